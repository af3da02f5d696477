"""Hosts that demand certificates of their clients: by auth-tls-secret of an Ingress, or by a listener.

A demand is in force for its host as a whole, in the namespace that owns the host. Rules of that namespace are
closed wherever a request could reach them without the certificate: on HTTP listeners, and where the host has
no TLS of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from controlplane.translate.authorities import AuthorityReader
from controlplane.translate.diagnostics import Findings
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.keypairs import KeyPairs
from controlplane.translate.live import Outcome
from controlplane.translate.tlsfields import NamedSecret
from proxy.model.actions import FixedResponse
from proxy.model.policies import Policies
from proxy.model.snapshot import Route, tenant_of
from proxy.model.tls import HostTls, ListenerTls

ANSWER: Final = FixedResponse(403, "This host demands a certificate of its clients, over HTTPS.\n")
_MARK: Final = ":without-certificate"
"""Behind the id of a route whose other ports are served."""


class _Demand(msgspec.Struct, frozen=True):
    secret: NamedSecret
    source: str  # namespace/name of the Ingress
    findings: Findings


class ClientCertificates:
    """The demands of all Ingresses and listeners, and what has been read for them."""

    def __init__(self, outcomes: Iterable[Outcome], pairs: KeyPairs) -> None:
        self.reader = AuthorityReader(pairs)
        self._by_ingress: dict[str, str] = {}  # key of the demanded Secret
        self._by_host: dict[tuple[str, str], _Demand] = {}  # by host and namespace
        demanding = [each for each in outcomes if each.plan is not None and each.plan.client_ca]
        for outcome in sorted(demanding, key=_age):
            self._add(outcome)

    def _add(self, outcome: Outcome) -> None:
        subject, plan = outcome.findings.subject, outcome.plan
        if plan is None:
            return
        secret = NamedSecret(subject.namespace, plan.client_ca, plan.client_ca_field)
        demand = _Demand(secret, subject.key, outcome.findings)
        self._by_ingress[subject.key] = secret.key
        for host in dict.fromkeys(route.host for route in outcome.routes):
            older = self._by_host.setdefault((host, subject.namespace), demand)
            if older.secret.key != secret.key:
                outcome.findings.add(
                    "FG0328",
                    secret.field,
                    secret.name,
                    host=host,
                    winner=older.source,
                    secret=older.secret.name,
                )

    def applied(self, host: HostTls, gateway: LiveGateway, port: int, before: HostTls | None) -> HostTls:
        """Return the TLS of a host with the bundle that its clients are checked with, if any.

        `before` is what the host has in the snapshot in use.
        """
        named = gateway.client_authorities.get(port)
        demand = self._by_host.get((host.host, host.owner)) if host.owner else None
        if named is None and demand is None:
            return replace(host, client_ca="") if host.client_ca else host
        kept = before.client_ca if before is not None and before.owner == host.owner else ""
        if demand is not None:
            return replace(host, client_ca=self.reader.bundle((demand.secret,), demand.findings, kept))
        return replace(host, client_ca=self.reader.bundle(named or (), gateway.findings, kept))

    def closed(
        self,
        routes: tuple[Route, ...],
        listeners: Mapping[int, ListenerTls],
        claimed: frozenset[tuple[int, str, str]],
        outcomes: Sequence[Outcome],
    ) -> tuple[Route, ...]:
        """Return the routes, of which those that a demand concerns answer 403 to clients without it.

        Other findings tell why a host has no TLS that is `claimed`: ports, hosts and owners of spec.tls.
        """
        if not self._by_host:
            return routes
        findings = {outcome.findings.subject.key: outcome.findings for outcome in outcomes}
        found: list[Route] = []
        for route in routes:
            source = f"{route.source.namespace}/{route.source.name}"
            ports = self._open_ports(route, source, listeners)
            found += _divided(route, ports)
            redirects = route.policies is not None and route.policies.to_https is not None
            shut = [
                port
                for port in route.ports
                if port not in ports and (port, route.host, tenant_of(route)) not in claimed
                if port in listeners or not redirects
            ]
            if shut and source in findings:
                self._tell(findings[source], route.host, shut)
        return tuple(found)

    def _open_ports(self, route: Route, source: str, listeners: Mapping[int, ListenerTls]) -> tuple[int, ...]:
        """Return the ports on which every client of the route has met the demand."""
        owner = tenant_of(route)
        demand = self._by_host.get((route.host, owner))
        if demand is None:
            return route.ports
        if self._by_ingress.get(source, demand.secret.key) != demand.secret.key:
            return ()
        return tuple(port for port in route.ports if _demands(listeners.get(port), route.host, owner))

    def _tell(self, findings: Findings, host: str, ports: Sequence[int]) -> None:
        listed = ", ".join(map(str, ports))
        text = f"{host or '*'} {listed}"
        if all(item.code != "FG0329" or item.value != text for item in findings.items):
            findings.add("FG0329", "spec.rules", text, host=host or "*", ports=listed)


def _age(outcome: Outcome) -> tuple[str, str]:
    return outcome.plan.created if outcome.plan is not None else "", outcome.findings.subject.key


def _demands(listener: ListenerTls | None, host: str, owner: str) -> bool:
    """Whether the handshakes of a host demand certificates there. The host's name is "" for all others."""
    hosts = listener.hosts if listener is not None else ()
    return any(each.host == host and each.owner == owner and each.client_ca for each in hosts)


def _divided(route: Route, ports: tuple[int, ...]) -> tuple[Route, ...]:
    """Return a route as it is on these ports, and closed on its others: there it leads at most to HTTPS."""
    if ports == route.ports:
        return (route,)
    to_https = route.policies.to_https if route.policies is not None else None
    shut = replace(
        route, action=ANSWER, policies=Policies(to_https=to_https) if to_https is not None else None
    )
    if not ports:
        return (shut,)
    others = tuple(port for port in route.ports if port not in ports)
    return replace(route, ports=ports), replace(shut, id=route.id + _MARK, ports=others)
