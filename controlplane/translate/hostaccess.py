"""Client addresses that may come to a host: said by one Ingress, held by the rules of all."""

from collections.abc import Sequence

import msgspec

from controlplane.translate.live import Outcome
from proxy.model.policies import Access, Policies
from proxy.model.snapshot import Route

_Place = tuple[int, str]
"""Port and host."""


def guard_hosts(outcomes: Sequence[Outcome], routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return the routes with the access of their hosts, but for those that have their own.

    Of several Ingresses that say it for a host the oldest holds; the others are told.
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
    for place in dict.fromkeys((port, route.host) for route in outcome.routes for port in route.ports):
        older, holding = found.setdefault(place, (own, access))
        if holding != access:
            outcome.findings.add("FG0705", "metadata.annotations", place[1], winner=older)


def _guarded(route: Route, found: dict[_Place, tuple[str, Access]]) -> Route:
    entry = next((found[port, route.host] for port in route.ports if (port, route.host) in found), None)
    policies = route.policies or Policies()
    if entry is None or policies.access is not None:
        return route
    return msgspec.structs.replace(route, policies=msgspec.structs.replace(policies, access=entry[1]))
