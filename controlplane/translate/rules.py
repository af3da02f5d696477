"""spec.rules and spec.defaultBackend of an Ingress to planned routes."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from controlplane.resources.ingress import Ingress, IngressBackend, IngressRule, ServiceBackend
from controlplane.translate.annotations import order as order_annotation
from controlplane.translate.annotations.actions import NO_ACTION, FinalAction, RuleAction
from controlplane.translate.annotations.condition_values import Host
from controlplane.translate.annotations.conditions import NO_CONDITIONS, RuleConditions
from controlplane.translate.annotations.draft import Draft, PlannedBackend
from controlplane.translate.closed import ANSWER
from controlplane.translate.diagnostics import Findings
from controlplane.translate.paths import ANY_PATH
from controlplane.translate.plan import (
    DEFAULT_BACKEND,
    PlannedErrors,
    PlannedForward,
    PlannedMirror,
    PlannedRoute,
)
from controlplane.translate.responses import PlannedResponse, with_responses
from controlplane.translate.routeids import with_ids
from controlplane.translate.rulefields import Surroundings, read_final, read_host, read_path, read_service
from proxy.model.actions import FixedResponse, Redirect
from proxy.model.snapshot import PathKind, PathMatch

APP_ROOT: Final = PathMatch(PathKind.EXACT, "/")
"""The path that app-root redirects; an Ingress with it has no other rule for that."""


class _Match(msgspec.Struct, frozen=True):
    """The place and the match of a route; a `host` or `path` of None cannot be used."""

    field: str
    host: str | None
    path: PathMatch | None
    order: int


def plan_routes(around: Surroundings, most: int) -> tuple[PlannedRoute, ...]:
    """Return the routes that can be installed; each of the others becomes a finding.

    At most `most` + 1 routes are planned: hosts and paths of conditions multiply.
    """
    spec = around.ingress.spec
    routes: list[PlannedRoute] = []
    for index, rule in enumerate(spec.rules):
        routes += islice(_plan_rule(around, index, rule), most + 1 - len(routes))
    if spec.default_backend is not None:
        # Below every rule of every Ingress: no annotation can give this order.
        order = order_annotation.LAST + around.draft.order
        match = _Match(DEFAULT_BACKEND, "", ANY_PATH, order)
        planned = _plan_route(around, match, spec.default_backend, match.field)
        routes += islice(planned, most + 1 - len(routes))
    if around.draft.app_root:
        routes = _with_root(around, routes)
    if not spec.rules and spec.default_backend is None:
        around.findings.add("FG0308", "spec")
    changed = with_responses(routes, around.planned_responses, around.findings)
    return tuple(with_ids(around.ingress.metadata, changed))


def _with_root(around: Surroundings, routes: list[PlannedRoute]) -> list[PlannedRoute]:
    """Return the routes with one for "/" of each host that redirects to the root of the application."""
    action = Redirect(302, path=around.draft.app_root, query="")
    by_host = {route.host: route for route in reversed(routes)}
    roots = [
        PlannedRoute(
            field=by_host[host].field,
            host=host,
            path=APP_ROOT,
            action=action,
            conditions=tuple(around.draft.conditions),
            order=by_host[host].order,
            policies=around.policies(),
        )
        for host in sorted(by_host)
    ]
    return [*(route for route in routes if route.path != APP_ROOT), *roots]


def backend_services(ingress: Ingress) -> tuple[str, ...]:
    """Return the service names that the spec names, sorted."""
    backends = [path.backend for rule in ingress.spec.rules if rule.http for path in rule.http.paths]
    if ingress.spec.default_backend is not None:
        backends.append(ingress.spec.default_backend)
    return tuple(sorted({backend.service.name for backend in backends if backend.service is not None}))


def _plan_rule(around: Surroundings, index: int, rule: IngressRule) -> Iterator[PlannedRoute]:
    place = f"spec.rules[{index}]"
    host = read_host(f"{place}.host", rule.host, around.findings)
    if rule.http is None or not rule.http.paths:
        # The Ingress API: a rule without paths sends its host to the default backend.
        default = around.ingress.spec.default_backend
        if default is None:
            around.findings.add("FG0306", place, rule.host)
            return
        match = _Match(place, host, ANY_PATH, around.draft.order)
        yield from _plan_route(around, match, default, DEFAULT_BACKEND)
        return
    for number, path in enumerate(rule.http.paths):
        where = f"{place}.http.paths[{number}]"
        match = _Match(where, host, read_path(where, path, around), around.draft.order)
        yield from _plan_route(around, match, path.backend, f"{where}.backend")


def _plan_route(
    around: Surroundings, match: _Match, backend: IngressBackend, place: str
) -> Iterator[PlannedRoute]:
    """Yield a route for each host and path that the rule and its conditions name."""
    service = read_service(place, backend, around.findings)
    if service is None:
        yield from _without_backend(around, match, NO_CONDITIONS)
        return
    conditions = around.conditions.get(service.name, NO_CONDITIONS)
    action = around.actions.get(service.name, NO_ACTION)
    is_response = service.name in around.responses
    final = None if is_response else read_final(place, service, action, around)
    if conditions is None:
        return
    if match.host is None or match.path is None or action is None:
        yield from _without_backend(around, match, conditions)
        return
    if is_response:
        around.planned_responses.append(
            PlannedResponse(match.field, match.host, match.path, conditions, action)
        )
        return
    if final is None or not _is_of_request(place, service, conditions, around.findings):
        yield from _without_backend(around, match, conditions)
        return
    for host, path in _targets(match.host, match.path, conditions, around.draft):
        yield _route(around, match, host, path, final, conditions, action)


def _without_backend(
    around: Surroundings, match: _Match, conditions: RuleConditions
) -> Iterator[PlannedRoute]:
    """Yield the routes of a rule that forwards to nothing, where they are needed to keep their place."""
    if around.is_closed and match.host is not None and match.path is not None:
        for host, path in _targets(match.host, match.path, conditions, around.draft):
            yield _route(around, match, host, path, ANSWER, conditions, NO_ACTION)


def _route(
    around: Surroundings, match: _Match, host: Host, path: PathMatch, final: FinalAction,
    conditions: RuleConditions, action: RuleAction,
) -> PlannedRoute:  # fmt: skip
    draft = around.draft
    pattern = (host.pattern,) if host.pattern is not None else ()
    mirror = action.mirror or draft.mirror
    errors = None
    if draft.error_statuses and draft.default_backend is not None:
        errors = PlannedErrors(draft.error_statuses, draft.default_backend)
    return PlannedRoute(
        field=match.field,
        host=host.name,
        path=path,
        action=final if isinstance(final, Redirect | FixedResponse) else _forward(final, action, draft),
        conditions=(*pattern, *draft.conditions, *conditions.of_request),
        order=match.order,
        alias=host.is_alias,
        policies=around.policies(action),
        mirror=PlannedMirror(mirror, draft.mirror_percent) if mirror else None,
        errors=errors,
        default_backend=draft.default_backend,
    )


def _forward(backends: tuple[PlannedBackend, ...], action: RuleAction, draft: Draft) -> PlannedForward:
    return PlannedForward(backends, draft.balance(action.sticky))


def _targets(
    host: str, path: PathMatch, conditions: RuleConditions, draft: Draft
) -> Iterator[tuple[Host, PathMatch]]:
    """Yield each host with each path. Hosts of conditions stand beside that of the rule, if it has one."""
    named = [Host(host)] if host or not conditions.hosts else []
    own = dict.fromkeys([*named, *conditions.hosts])
    aliases = (Host(alias, is_alias=True) for alias in draft.aliases if Host(alias) not in own)
    paths = dict.fromkeys([path, *conditions.paths])
    for each in (*own, *dict.fromkeys(aliases)):
        for every in paths:
            yield each, every


def _is_of_request(
    place: str, service: ServiceBackend, conditions: RuleConditions, findings: Findings
) -> bool:
    if not conditions.is_of_response:
        return True
    problem = "has conditions of responses, but its rules are about requests"
    allowed = f"the annotation rule-direction.{service.name}: Response, or no such condition"
    findings.add("FG0201", f"{place}.service.name", service.name, problem=problem, allowed=allowed)
    return False
