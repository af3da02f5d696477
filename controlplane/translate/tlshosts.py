"""The certificate of each host on each HTTPS listener. Pure.

A host is served with a certificate of the namespace that owns the host, by its oldest Ingress, or with one
that the gateway's object names, which only admins write. A certificate of another namespace is never used,
whatever names are in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.resources.secret import Secret
from controlplane.translate.clientcerts import ClientCertificates
from controlplane.translate.diagnostics import Findings
from controlplane.translate.gateways import Gateways, LiveGateway
from controlplane.translate.hostowners import HostOwners, is_canary
from controlplane.translate.keypairs import KeyPair, KeyPairError, KeyPairs, read_key_pair
from controlplane.translate.live import Outcome
from controlplane.translate.tlsclaims import CertificateClaim, claims_of
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
    claimed: frozenset[tuple[int, str, str]] = frozenset()  # port, host and owner with an entry in spec.tls


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
    claimed: set[tuple[int, str, str]] = set()
    owners = HostOwners(route for each in outcomes if not is_canary(each) for route in each.routes)
    for gateway in gateways.all:
        for listener in gateway.listeners:
            if listener.tls is None:
                continue
            port = listener.port
            before, claims = _hosts_of(previous, port), claims_of(port, outcomes, owners)
            claimed.update((port, host, of_host[0].namespace) for host, of_host in claims.items())
            hosts = _hosts(gateway, listener, claims, reader, before)
            made = (
                demands.applied(tls, gateway, port, before.get(host))
                for host, (_, tls) in sorted(hosts.items())
            )
            listeners[port] = replace(listener.tls, hosts=tuple(made))
            listed[port] = _listed(hosts)
    return TlsPlan(
        listeners,
        listed,
        reader.certificates(),
        reader.used,
        frozenset(reader.namespaces),
        frozenset(claimed),
    )


def _hosts(
    gateway: LiveGateway,
    listener: Listener,
    claims: Mapping[str, Sequence[CertificateClaim]],
    reader: "_PairReader",
    before: Mapping[str, HostTls],
) -> dict[str, tuple[str, HostTls]]:
    """Return the hosts of a listener, each with its Secret, "" where that is not listed yet."""
    hosts = _named_by_gateway(gateway, listener, reader, before)
    lowest = listener.tls.min_version if listener.tls is not None else ""
    for host, of_host in claims.items():
        pair = reader.of_claims(host, of_host)
        if pair is not None:
            secret, found = pair
            hosts[host] = secret, _host_tls(host, found, of_host, lowest)
        elif host in before and reader.awaits(before[host].owner) and _owns(of_host, before[host]):
            hosts[host] = "", before[host]
    return hosts


def _listed(hosts: Mapping[str, tuple[str, HostTls]]) -> tuple[ListedCertificate, ...]:
    default, _ = hosts.get("", ("", None))
    named = dict.fromkeys(secret for secret, _ in hosts.values() if secret)
    return tuple(ListedCertificate(secret, secret == default) for secret in named)


def _hosts_of(snapshot: Snapshot | None, port: int) -> dict[str, HostTls]:
    """Return the hosts with TLS on a port, by name."""
    listeners = snapshot.listeners if snapshot is not None else ()
    return {
        host.host: host
        for listener in listeners
        if listener.port == port and listener.tls is not None
        for host in listener.tls.hosts
    }


def _owns(claims: Sequence[CertificateClaim], host: HostTls) -> bool:
    return claims[0].namespace == host.owner


def _host_tls(host: str, pair: KeyPair, claims: Sequence[CertificateClaim], lowest: str) -> HostTls:
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

    def of_claims(self, host: str, claims: Sequence[CertificateClaim]) -> tuple[str, KeyPair] | None:
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
        self, host: str, claim: CertificateClaim, findings: Findings
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
