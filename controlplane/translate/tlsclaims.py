"""Entries of spec.tls for the hosts that an Ingress has rules for. Pure."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from controlplane.resources.ingress import IngressTLS
from controlplane.translate.hostowners import HostOwners, is_canary
from controlplane.translate.hosts import wildcard_above
from controlplane.translate.live import Outcome


class CertificateClaim(msgspec.Struct, frozen=True):
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


def claims_of(
    port: int, outcomes: Iterable[Outcome], owners: HostOwners
) -> dict[str, list[CertificateClaim]]:
    """Return the entries of spec.tls for each host in the namespace that owns the host, oldest first."""
    found: dict[str, list[CertificateClaim]] = {}
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
            claim = CertificateClaim(
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
