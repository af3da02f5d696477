"""An Ingress with a protection that cannot be honoured is closed: its rules stay, and answer 503.

Were the rules left out, a less specific rule of another Ingress would take their requests past the
protection: users commonly write one Ingress for "/" and another with a login for "/admin". ingress-nginx
answers 503, too, where it cannot read the Secret of auth-secret. An Ingress with a protection that is over a
budget is closed as well: outlines of its rules stay, which cost little.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from controlplane.translate.annotations.guards import GUARDS, PROTECTING
from controlplane.translate.annotations.row import field_of
from controlplane.translate.diagnostics import Findings, shorten_field
from controlplane.translate.networks import NOBODY
from controlplane.translate.plan import Closed, PlannedRoute
from proxy.model.actions import FixedResponse
from proxy.model.policies import Access
from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.patterns import regex_beginning

ANSWER: Final = FixedResponse(
    503, "This gateway cannot protect this service as its Ingress asks: see the Events of the Ingress.\n"
)
EFFECT: Final = "the rules of the Ingress answer 503"

_NEVER: Final = ("FG0210", "FG0211")
"""Codes of findings that no other value of the annotation would remove."""

_OF_HOSTS: Final = ("domain-whitelist-source-range", "domain-blacklist-source-range")


def unhonoured(annotations: Mapping[str, str], findings: Findings) -> Closed | None:
    """Return the annotations that protect and cannot be used, by the findings; None for none."""
    errors = {item.field: item.code for item in findings.items if item.level == "error"}
    if not errors:
        return None
    codes = {key: errors.get(shorten_field(field_of(key)), "") for key in annotations}
    keys = [
        key
        for key, code in codes.items()
        if code in _NEVER or (code and GUARDS.get(_name(key)) in PROTECTING)
    ]
    return Closed(frozenset(keys), any(codes[key] in _NEVER for key in keys)) if keys else None


def protection(annotations: Mapping[str, str]) -> Closed | None:
    """Return the annotations that protect, usable or not; None without any."""
    keys = frozenset(key for key in annotations if GUARDS.get(_name(key)) in PROTECTING)
    return Closed(keys, never=False) if keys else None


def outlines(routes: Iterable[PlannedRoute]) -> tuple[PlannedRoute, ...]:
    """Return closed routes that cost little and take at least the same requests: without conditions, and
    with the beginning of an expression in place of the expression."""
    found: dict[tuple[str, PathMatch], PlannedRoute] = {}
    for route in closed_routes(routes):
        path = _outline(route.path)
        found.setdefault((route.host, path), replace(route, path=path, conditions=()))
    return tuple(found.values())


def _outline(path: PathMatch) -> PathMatch:
    if path.kind is not PathKind.REGEX:
        return path
    return PathMatch(PathKind.GLOB, regex_beginning(path.value) + "*", path.ignore_case)


def closed_routes(routes: Iterable[PlannedRoute]) -> tuple[PlannedRoute, ...]:
    """Return the routes with the answer in place of their actions."""
    return tuple(
        replace(route, action=ANSWER, policies=None, mirror=None, errors=None, default_backend=None)
        for route in routes
    )


def closed_hosts(closed: Closed | None) -> Access | None:
    """Return the access of whole hosts, which a list of theirs that cannot be used was to guard."""
    keys = closed.keys if closed is not None else ()
    return Access(deny=NOBODY) if any(_name(key) in _OF_HOSTS for key in keys) else None


def _name(key: str) -> str:
    return key.partition("/")[2]
