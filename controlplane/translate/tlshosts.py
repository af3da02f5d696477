"""The certificate of each host on each HTTPS listener. Pure.

A host is served with a certificate of the namespace that owns the host, by its oldest Ingress, or with one
that the gateway's object names, which only admins write. A certificate of another namespace is never used,
whatever names are in it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.resources.ingress import IngressTLS
from controlplane.resources.secret import Secret
from controlplane.translate.clientcerts import ClientCertificates
from controlplane.translate.diagnostics import Findings
from controlplane.translate.gateways import Gateways, LiveGateway
from controlplane.translate.hostowners import HostOwners, is_canary
from controlplane.translate.hosts import wildcard_above
from controlplane.translate.keypairs import KeyPair, KeyPairError, KeyPairs, read_key_pair
from controlplane.translate.live import Outcome
from controlplane.translate.tlsfields import NamedSecret
from proxy.model.snapshot import Listener, Snapshot
from proxy.model.tls import Certificate, HostTls, ListenerTls

_EFFECT_KEPT: Final = "the last good pair stays in use"
_EARLY: Final = timedelta(days=21)


class ListedCertificate(msgspec.Struct, frozen=True):
    """A certificate of a listener, as its status shows it."""

    secret: str  # namespace/name
    is_default: bool


class TlsPlan(msgspec.Struct, frozen=True):
    """TLS of all listeners, by port."""

    listeners: Mapping[int, ListenerTls] = field(default_factory=dict)
    listed: Mapping[int, tuple[ListedCertificate, ...]] = field(default_factory=dict)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)  # by id, all that are named
    pairs: Mapping[str, KeyPair] = field(default_factory=dict)  # those in use by namespace/name of the Secret
    namespaces: frozenset[str] = frozenset()  # those whose Secrets are needed


class _CertificateClaim(msgspec.Struct, frozen=True):
    """An entry of spec.tls for a host that the Ingress has rules for."""

    created: str
    name: str
    index: int
    namespace: str
    secret: str  # name; "": whichever of the namespace covers the host
    outcome: Outcome

    @property
    def field(self) -> str:
        return f"spec.tls[{self.index}].secretName"


def plan_tls(
    gateways: Gateways,
    outcomes: Sequence[Outcome],
    pairs: KeyPairs,
    demands: ClientCertificates,
    today: str,
    previous: Snapshot | None = None,
) -> TlsPlan:
    """Return the TLS of the listeners, and report on Ingresses and gateways what is missing.

    `today` is the date from which certificates are reported that end soon; "": none are. A host whose Secrets
    are about to be listed keeps the certificate that it has in `previous`: so a restart interrupts nothing.
    """
    reader = _PairReader(pairs, today)
    listeners: dict[int, ListenerTls] = {}
    listed: dict[int, tuple[ListedCertificate, ...]] = {}
    owners = HostOwners(route for each in outcomes if not is_canary(each) for route in each.routes)
    for gateway in gateways.all:
        for listener in gateway.listeners:
            if listener.tls is None:
                continue
            before = _hosts_of(previous, listener.port)
            hosts = _named_by_gateway(gateway, listener, reader, before)
            default = hosts.get("")
            for host, claims in _claims(listener.port, outcomes, owners).items():
                pair = reader.of_claims(host, claims)
                if pair is not None:
                    secret, found = pair
                    hosts[host] = secret, _host_tls(host, found, claims, listener.tls.min_version)
                elif host in before and reader.awaits(before[host].owner) and _owns(claims, before[host]):
                    hosts[host] = "", before[host]
            listeners[listener.port] = replace(
                listener.tls,
                hosts=tuple(
                    demands.applied(hosts[host][1], gateway, listener.port, before.get(host))
                    for host in sorted(hosts)
                ),
            )
            named = dict.fromkeys(secret for secret, _ in hosts.values() if secret)
            listed[listener.port] = tuple(
                ListedCertificate(secret, default is not None and secret == default[0]) for secret in named
            )
    return TlsPlan(listeners, listed, reader.certificates(), reader.used, frozenset(reader.namespaces))


def _hosts_of(snapshot: Snapshot | None, port: int) -> dict[str, HostTls]:
    """Return the hosts with TLS on a port, by name."""
    listeners = snapshot.listeners if snapshot is not None else ()
    return {
        host.host: host
        for listener in listeners
        if listener.port == port and listener.tls is not None
        for host in listener.tls.hosts
    }


def _owns(claims: Sequence[_CertificateClaim], host: HostTls) -> bool:
    return claims[0].namespace == host.owner


def _host_tls(host: str, pair: KeyPair, claims: Sequence[_CertificateClaim], lowest: str) -> HostTls:
    """Return the TLS of a host; the strictest Ingress of its owner decides on versions and ciphers.

    The lowest version wins over the highest one: so clients still agree on one where Ingresses contradict.
    """
    plans = [claim.outcome.plan for claim in claims if claim.outcome.plan is not None]
    low = max((lowest, *(plan.min_tls for plan in plans)))
    high = min((plan.max_tls for plan in plans if plan.max_tls), default="")
    listed = [plan.ciphers for plan in plans if plan.ciphers]
    ciphers = listed[0] if listed else ()
    for others in listed[1:]:
        ciphers = tuple(name for name in ciphers if name in others) or ciphers
    return HostTls(
        host, pair.certificate.id, claims[0].namespace, low,
        max_version=max(low, high) if high else "", ciphers=ciphers,
    )  # fmt: skip


def _named_by_gateway(
    gateway: LiveGateway, listener: Listener, reader: "_PairReader", before: Mapping[str, HostTls]
) -> dict[str, tuple[str, HostTls]]:
    """Return the hosts of the certificates that the gateway names, each with its Secret.

    The default is for all other hosts, too. The Secret is "" where it is not listed yet.
    """
    found: dict[str, tuple[str, HostTls]] = {}
    if listener.tls is None:
        return found
    for number, secret in enumerate(gateway.certificates.get(listener.port, ())):
        pair = reader.named(secret, gateway.findings)
        if pair is None:
            if reader.awaits(secret.namespace):
                kept = (host for host in before.values() if not host.owner)
                found = {host.host: ("", host) for host in kept} | found
            continue
        for host in ("", *pair.names) if number == 0 else pair.names:
            found.setdefault(
                host, (secret.key, HostTls(host, pair.certificate.id, "", listener.tls.min_version))
            )
    return found


def _claims(port: int, outcomes: Iterable[Outcome], owners: HostOwners) -> dict[str, list[_CertificateClaim]]:
    """Return the entries of spec.tls for each host in the namespace that owns the host, oldest first."""
    found: dict[str, list[_CertificateClaim]] = {}
    for outcome in outcomes:
        if outcome.live is None or is_canary(outcome):
            continue
        entries = outcome.live.ingress.spec.tls
        if not entries:
            continue
        hosts = {route.host for route in outcome.routes if port in route.ports and route.host}
        for host in hosts:
            index = _entry(entries, host)
            if index is None:
                continue
            metadata = outcome.live.ingress.metadata
            if owners.of(port, host)[0] != metadata.namespace:
                continue
            claim = _CertificateClaim(
                metadata.creation_timestamp, metadata.name, index, metadata.namespace,
                entries[index].secret_name, outcome,
            )  # fmt: skip
            found.setdefault(host, []).append(claim)
    for claims in found.values():
        claims.sort(key=lambda claim: (claim.created, claim.name))
    return found


def _entry(entries: Sequence[IngressTLS], host: str) -> int | None:
    """Return which entry is for a host: one that names it, its wildcard, or no host at all."""
    above = wildcard_above(host)
    ranks: tuple[Callable[[tuple[str, ...]], bool], ...] = (
        lambda hosts: host in hosts,
        lambda hosts: above in hosts,
        lambda hosts: not hosts,
    )
    for covers in ranks:
        for index, entry in enumerate(entries):
            if covers(tuple(name.lower() for name in entry.hosts)):
                return index
    return None


class _PairReader:
    """Reads Secrets once each, remembers what is used, and reports faults once for each place."""

    def __init__(self, pairs: KeyPairs, today: str) -> None:
        self._soon = (date.fromisoformat(today) + _EARLY).isoformat() if today else ""
        self._secrets = pairs.secrets
        self._kept = pairs.used
        self.namespaces: set[str] = set()
        self.used: dict[str, KeyPair] = {}
        self._told: set[tuple[int, str]] = set()

    def awaits(self, namespace: str) -> bool:
        """Whether the Secrets of a namespace are not known, but probably will be in a moment."""
        return namespace not in self._secrets.by_namespace and namespace not in self._secrets.denied

    def certificates(self) -> dict[str, Certificate]:
        return {pair.certificate.id: pair.certificate for pair in self.used.values()}

    def named(self, secret: NamedSecret, findings: Findings) -> KeyPair | None:
        """Return the pair of a Secret that an object names."""
        self.namespaces.add(secret.namespace)
        known = self._secrets.by_namespace.get(secret.namespace)
        kept = self._kept.get(secret.key)
        if known is None:
            if secret.namespace in self._secrets.denied:
                effect = _EFFECT_KEPT if kept is not None else "clients of its hosts get no connection"
                self._tell(findings, "FG0320", secret, namespace=secret.namespace, effect=effect)
            return self._use(secret, kept, findings)
        found = known.get(secret.name)
        if found is None:
            self._tell(findings, "FG0321", secret, namespace=secret.namespace)
            return None
        try:
            return self._use(secret, read_key_pair(found), findings)
        except KeyPairError as error:
            effect = _EFFECT_KEPT if kept is not None else "it is not used"
            self._tell(findings, "FG0322", secret, problem=str(error), effect=effect)
            return self._use(secret, kept, findings)

    def of_claims(self, host: str, claims: Sequence[_CertificateClaim]) -> tuple[str, KeyPair] | None:
        """Return Secret and pair of the oldest claim that has one."""
        for claim in claims:
            findings = claim.outcome.findings
            if not claim.secret:
                found = self._discovered(host, claim, findings)
            else:
                secret = NamedSecret(claim.namespace, claim.secret, claim.field)
                pair = self.named(secret, findings)
                found = (secret.key, pair) if pair is not None else None
                if pair is not None and not pair.covers(host):
                    names = ", ".join(pair.names[:5]) or "no name"
                    self._tell(findings, "FG0323", secret, host=host, names=names)
            if found is not None:
                return found
        return None

    def _discovered(
        self, host: str, claim: _CertificateClaim, findings: Findings
    ) -> tuple[str, KeyPair] | None:
        """Return the pair of the namespace that covers the host and is valid for longest."""
        self.namespaces.add(claim.namespace)
        known = self._secrets.by_namespace.get(claim.namespace)
        wanted = NamedSecret(claim.namespace, "", claim.field)
        if known is None:
            if claim.namespace in self._secrets.denied:
                effect = "clients of its hosts get no connection"
                self._tell(findings, "FG0320", wanted, namespace=claim.namespace, effect=effect)
            return None
        candidates = list(_covering(host, known))
        if not candidates:
            self._tell(findings, "FG0324", wanted, host=host, namespace=claim.namespace)
            return None
        name, pair = max(candidates, key=lambda found: (found[1].expires, found[0]))
        secret = NamedSecret(claim.namespace, name, claim.field)
        self._use(secret, pair, findings)
        return secret.key, pair

    def _use(self, secret: NamedSecret, pair: KeyPair | None, findings: Findings) -> KeyPair | None:
        if pair is not None:
            self.used[secret.key] = pair
            if pair.expires < self._soon:
                self._tell(findings, "FG0325", secret, date=pair.expires[:10])
        return pair

    def _tell(self, findings: Findings, code: str, secret: NamedSecret, **details: object) -> None:
        """Report once per object and place, though several listeners use the Secret."""
        mark = (id(findings), f"{code} {secret.field} {details.get('host', '')}")
        if mark not in self._told:
            self._told.add(mark)
            findings.add(code, secret.field, secret.key if secret.name else "", **details)


def _covering(host: str, secrets: Mapping[str, Secret]) -> Iterator[tuple[str, KeyPair]]:
    for name, secret in secrets.items():
        try:
            pair = read_key_pair(secret)
        except KeyPairError:
            continue
        if pair.covers(host):
            yield name, pair
