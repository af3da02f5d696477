"""Why a route was taken or not, in words."""

from collections.abc import Callable
from typing import Any, Final

from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    SourceCondition,
)
from proxy.model.snapshot import PathKind, Route
from proxy.routing.contest import Precedence
from proxy.routing.explain import Considered, Difference, Part

_LOST: Final[dict[Precedence, str]] = {
    Precedence.OWNER: "the host belongs to another namespace",
    Precedence.ORDER: "its order {loser.order} comes after {winner.order}",
    Precedence.HOST: "its host is less specific",
    Precedence.PATH_KIND: "{loser.path.kind} {loser.path.value} comes after {winner.path.kind}",
    Precedence.PATH_LENGTH: "its path is shorter",
    Precedence.SINCE: "rules of the namespace {winner.source.namespace} have been at this place for longer",
    Precedence.PRIORITY: "the other is a canary of higher precedence",
    Precedence.CONDITIONS: "it has fewer conditions ({losing} to {winning})",
    Precedence.AGE: "its {loser.source.kind} is younger",
    Precedence.NAME: "its name comes later",
    Precedence.PLACE: "it stands later in its {loser.source.kind}",
}


def reason(considered: Considered) -> str:
    """Return why a route lost or did not match; "" for the one that was taken."""
    if considered.lost_by is not None:
        loser, winner = considered.route, considered.lost_to or considered.route
        return "matches, but " + _LOST[considered.lost_by].format(
            loser=loser, winner=winner, losing=len(loser.conditions), winning=len(winner.conditions)
        )
    return "; ".join(difference_text(difference, considered.route) for difference in considered.differences)


def difference_text(difference: Difference, route: Route) -> str:
    found = difference.found[0] if difference.found else ""
    if difference.part is Part.PORT:
        return f"is on port {difference.wanted}"
    if difference.part is Part.HOST:
        return f"host differs: {difference.wanted}"
    if difference.part is Part.PATH:
        return _path_text(str(difference.wanted), found, route.path.kind)
    assert not isinstance(difference.wanted, str)
    shown = ", ".join(difference.found)
    return f"{condition_text(difference.wanted)} does not hold: " + (
        f"found {shown}" if shown else "it has none"
    )


def _path_text(wanted: str, found: str, kind: PathKind) -> str:
    if kind in (PathKind.GLOB, PathKind.REGEX):
        return f"path does not match {wanted}"
    same = 0
    while same < min(len(wanted), len(found)) and wanted[same] == found[same]:
        same += 1
    rest = found[same:]
    return f'path differs at "{rest}"' if rest else f'path lacks "{wanted[same:]}"'


def _pairs(kind: str) -> Callable[[Any], str]:
    return lambda condition: f"{kind} " + " or ".join(f"{name}={value}" for name, value in condition.pairs)


_CONDITIONS: Final[dict[type[Any], Callable[[Any], str]]] = {
    HeaderCondition: lambda condition: f"header {condition.name}={' or '.join(condition.patterns)}",
    CookieCondition: _pairs("cookie"),
    QueryCondition: _pairs("query"),
    MethodCondition: lambda condition: f"method {' or '.join(condition.methods)}",
    SourceCondition: lambda condition: f"source {' or '.join(condition.networks)}",
    HostCondition: lambda condition: f"host {' or '.join(condition.patterns)}",
}


def condition_text(condition: Condition) -> str:
    """Return a condition as one reads it: "header stage=gray or blue"."""
    return _CONDITIONS[type(condition)](condition)
