"""Owners of hosts: rules of other namespaces that are not installed under a host. Pure.

An alias is never installed where the host itself is another namespace's. With HostOwnership.NAMESPACE no rule
of another namespace is installed, and a host below a wildcard belongs to the older of the two.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from controlplane.translate.hosts import wildcard_above
from controlplane.translate.live import Outcome
from controlplane.translate.model import HostOwnership
from controlplane.translate.rules import APP_ROOT
from proxy.model.snapshot import Route

_Place = tuple[int, str]
"""Port and host."""


class _Claim(msgspec.Struct, frozen=True, order=True):
    """A claim to a host. Rules that name the host come before aliases; among equals the oldest owns it."""

    alias: bool
    created: str
    namespace: str
    name: str


def with_owners(outcomes: Sequence[Outcome], ownership: HostOwnership) -> tuple[Outcome, ...]:
    """Return the outcomes without the refused routes, and report these on their Ingresses.

    Canaries have no hosts of their own: they go where their bases are.
    """
    owners = HostOwners(route for outcome in outcomes if not is_canary(outcome) for route in outcome.routes)
    return tuple(
        outcome if is_canary(outcome) else _checked(outcome, owners, ownership) for outcome in outcomes
    )


def is_canary(outcome: Outcome) -> bool:
    return outcome.plan is not None and outcome.plan.canary is not None


class HostOwners:
    """The oldest claim to each host of each port."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._claims: dict[_Place, _Claim] = {}
        for route in routes:
            claim = _Claim(route.alias, route.created, route.source.namespace, route.source.name)
            for port in route.ports:
                known = self._claims.get((port, route.host))
                if known is None or claim < known:
                    self._claims[port, route.host] = claim

    def of(self, port: int, host: str) -> tuple[str, str]:
        """Return the namespace that has a host of some route, and the host by which it has it."""
        named = list(self._named(port, host))
        claim, by = min(named)
        return claim.namespace, by

    def first(self, port: int, host: str) -> str:
        """Return the namespace that has a host of some route by that very name."""
        return self._claims[port, host].namespace

    def itself(self, port: int, host: str, namespace: str) -> tuple[str, str] | None:
        """Return which other namespace has the host, or a wildcard above it, and not as an alias."""
        for claim, by in self._named(port, host):
            if not claim.alias and claim.namespace != namespace:
                return claim.namespace, by
        return None

    def _named(self, port: int, host: str) -> Iterator[tuple[_Claim, str]]:
        for name in (host, wildcard_above(host)):
            claim = self._claims.get((port, name)) if name is not None else None
            if claim is not None and name is not None:
                yield claim, name


def _checked(outcome: Outcome, owners: HostOwners, ownership: HostOwnership) -> Outcome:
    namespace = outcome.findings.subject.namespace
    kept: list[Route] = []
    root = outcome.plan.app_root if outcome.plan is not None else ""
    told: dict[str, tuple[str, str, str]] = {}  # by host: code, owner, the host by which it is the owner's
    for route in outcome.routes:
        ports: list[int] = []
        for port in route.ports:
            refusal = _refusal(owners, ownership, namespace, port, route)
            if refusal is None and root and route.path == APP_ROOT:
                owner = owners.first(port, route.host)
                refusal = ("FG0717", owner, route.host) if owner != namespace else None
            if refusal is None:
                ports.append(port)
            else:
                told.setdefault(route.host, refusal)
        if len(ports) == len(route.ports):
            kept.append(route)
        elif ports:
            kept.append(msgspec.structs.replace(route, ports=tuple(ports)))
    for host, (code, owner, by) in told.items():
        covering = f", by {by}" if by != host else ""
        field = root if code == "FG0717" else "spec.rules"
        outcome.findings.add(code, field, host or "*", owner=owner, own=namespace, covering=covering)
    return replace(outcome, routes=tuple(kept)) if told else outcome


def _refusal(
    owners: HostOwners, ownership: HostOwnership, namespace: str, port: int, route: Route
) -> tuple[str, str, str] | None:
    if route.alias:
        other = owners.itself(port, route.host, namespace)
        if other is not None:
            return "FG0716", *other
    if ownership is HostOwnership.NAMESPACE:
        owner, by = owners.of(port, route.host)
        if owner != namespace:
            return "FG0715", owner, by
    return None
