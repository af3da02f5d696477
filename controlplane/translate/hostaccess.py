"""Client addresses that a host allows: named by one Ingress, in force for all rules of its namespace."""

from collections.abc import Iterator, Sequence

import msgspec

from controlplane.translate.live import Outcome
from proxy.model.policies import Access, Policies
from proxy.model.snapshot import Route, tenant_of

_Place = tuple[int, str, str]
"""Port, host and namespace."""


def guard_hosts(outcomes: Sequence[Outcome], routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return the routes with the access lists of their hosts, except routes with lists of their own.

    Of several Ingresses with lists for a host the oldest decides; the others get a finding.
    """
    guards = [outcome for outcome in outcomes if outcome.plan is not None and outcome.plan.host_access]
    if not guards:
        return routes
    found: dict[_Place, tuple[str, Access]] = {}
    for outcome in sorted(guards, key=_age):
        _add(outcome, found)
    return tuple(_guarded(route, found) for route in routes)


def _age(outcome: Outcome) -> tuple[str, str]:
    return outcome.plan.created if outcome.plan is not None else "", outcome.findings.subject.key


def _add(outcome: Outcome, found: dict[_Place, tuple[str, Access]]) -> None:
    access = outcome.plan.host_access if outcome.plan is not None else None
    if access is None:
        return
    own = outcome.findings.subject.key
    for place in dict.fromkeys(place for route in outcome.routes for place in _places(route)):
        older, holding = found.setdefault(place, (own, access))
        if holding != access:
            outcome.findings.add("FG0705", "metadata.annotations", place[1], winner=older)


def _places(route: Route) -> Iterator[_Place]:
    return ((port, route.host, tenant_of(route)) for port in route.ports)


def _guarded(route: Route, found: dict[_Place, tuple[str, Access]]) -> Route:
    entry = next((found[place] for place in _places(route) if place in found), None)
    policies = route.policies or Policies()
    if entry is None or policies.access is not None:
        return route
    return msgspec.structs.replace(route, policies=msgspec.structs.replace(policies, access=entry[1]))
