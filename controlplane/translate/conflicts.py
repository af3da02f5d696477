"""Rules that can never match because an equal one comes first."""

from collections.abc import Iterable, Mapping

from controlplane.translate.diagnostics import Findings
from proxy.model.conditions import Condition
from proxy.model.snapshot import PathMatch, Route
from proxy.routing.rank import precedence

_Rule = tuple[int, str, PathMatch, frozenset[Condition]]


def report_conflicts(routes: Iterable[Route], findings: Mapping[str, Findings]) -> None:
    """Add a finding for each route that another one shadows on all its ports.

    `findings` are by "namespace/name" of the Ingress.
    """
    winners: dict[_Rule, Route] = {}
    for route in sorted(routes, key=lambda route: (route.order, precedence(route))):
        conditions = frozenset(route.conditions)
        shadows = [
            winners.setdefault((port, route.host, route.path, conditions), route) for port in route.ports
        ]
        if all(winner is not route for winner in shadows):
            source = route.source
            winner = f"rule {shadows[0].id}"
            findings[f"{source.namespace}/{source.name}"].add("FG0701", value=route.id, winner=winner)
