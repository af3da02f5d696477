"""Rules that can never match because an equal one comes first."""

from collections.abc import Iterable, Mapping

from controlplane.translate.diagnostics import Findings
from proxy.model.conditions import Condition
from proxy.model.snapshot import PathMatch, Route, tenant_of
from proxy.routing.rank import Place, place, precedence

_Rule = tuple[int, str, PathMatch, frozenset[Condition]]


def report_conflicts(routes: Iterable[Route], findings: Mapping[str, Findings]) -> None:
    """Add a finding for each route that another route shadows on all its ports.

    `findings` are by "namespace/name" of the Ingress.
    """
    winners: dict[_Rule, Route] = {}
    for route in in_precedence(routes):
        conditions = frozenset(route.conditions)
        shadows = [
            winners.setdefault((port, route.host, route.path, conditions), route) for port in route.ports
        ]
        if all(winner is not route for winner in shadows):
            source = route.source
            winner = f"rule {shadows[0].id}"
            findings[f"{source.namespace}/{source.name}"].add("FG0701", value=route.id, winner=winner)


def in_precedence(routes: Iterable[Route]) -> list[Route]:
    """Return the routes so that of equal hosts and paths the route that is taken comes first."""
    routes = list(routes)
    since: dict[tuple[Place, str], str] = {}
    for route in routes:
        key = place(route), tenant_of(route)
        since[key] = min(since.get(key, route.created), route.created)
    return sorted(
        routes,
        key=lambda route: (
            route.alias, since[place(route), tenant_of(route)], tenant_of(route), precedence(route)
        ),
    )  # fmt: skip
