"""spec.rules and spec.defaultBackend of an Ingress to planned routes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from controlplane.resources.ingress import (
    Ingress,
    IngressBackend,
    IngressPath,
    IngressRule,
    ServiceBackend,
)
from controlplane.translate.annotations import order as order_annotation
from controlplane.translate.annotations.actions import FAMILY as ACTIONS
from controlplane.translate.annotations.actions import USE_ANNOTATION
from controlplane.translate.annotations.draft import Draft, PlannedBackend
from controlplane.translate.diagnostics import Findings
from controlplane.translate.hosts import HostProblem, parse_host
from controlplane.translate.paths import ANY_PATH, PATH_TYPES, PathProblem, parse_path
from controlplane.translate.plan import PlannedForward, PlannedRoute
from controlplane.translate.services import ServiceRef
from proxy.model.conditions import Condition
from proxy.model.snapshot import PathMatch

_PORT_RANGE: Final = "a Service name and a port of it: 1 to 65535, or its name"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An Ingress and what its annotations say of all rules and of single services; None is unusable."""

    ingress: Ingress
    draft: Draft
    conditions: Mapping[str, tuple[Condition, ...] | None]
    actions: Mapping[str, tuple[PlannedBackend, ...] | None]
    findings: Findings


@dataclass(frozen=True, slots=True)
class _Match:
    """Where a route stands and what it matches; `host` or `path` None cannot be used."""

    suffix: str
    field: str
    host: str | None
    path: PathMatch | None
    order: int


def plan_routes(around: Surroundings) -> tuple[PlannedRoute, ...]:
    """Return the routes that can be installed; what is wrong with the others becomes a finding."""
    spec = around.ingress.spec
    routes: list[PlannedRoute | None] = []
    for index, rule in enumerate(spec.rules):
        routes += _plan_rule(around, index, rule)
    if spec.default_backend is not None:
        # Below every rule of every Ingress, whatever its order: an order no annotation can give.
        order = order_annotation.LAST + around.draft.order
        match = _Match("default", "spec.defaultBackend", "", ANY_PATH, order)
        routes.append(_plan_route(around, match, spec.default_backend, match.field))
    if not spec.rules and spec.default_backend is None:
        around.findings.add("FG0308", "spec")
    return tuple(route for route in routes if route is not None)


def backend_services(ingress: Ingress) -> tuple[str, ...]:
    """Return the service names that the spec names, sorted."""
    backends = [path.backend for rule in ingress.spec.rules if rule.http for path in rule.http.paths]
    if ingress.spec.default_backend is not None:
        backends.append(ingress.spec.default_backend)
    return tuple(sorted({backend.service.name for backend in backends if backend.service is not None}))


def _plan_rule(around: Surroundings, index: int, rule: IngressRule) -> list[PlannedRoute | None]:
    field = f"spec.rules[{index}]"
    host = _host(f"{field}.host", rule.host, around.findings)
    if rule.http is None or not rule.http.paths:
        # The Ingress API: a rule without paths sends its host to the default backend.
        default = around.ingress.spec.default_backend
        if default is None:
            around.findings.add("FG0306", field, rule.host)
            return []
        match = _Match(f"{index}/0", field, host, ANY_PATH, around.draft.order)
        return [_plan_route(around, match, default, "spec.defaultBackend")]
    return [
        _plan_path(
            around,
            _Match(f"{index}/{number}", f"{field}.http.paths[{number}]", host, None, around.draft.order),
            path,
        )
        for number, path in enumerate(rule.http.paths)
    ]


def _plan_path(around: Surroundings, match: _Match, path: IngressPath) -> PlannedRoute | None:
    match = replace(match, path=_path(match.field, path, around.findings))
    return _plan_route(around, match, path.backend, f"{match.field}.backend")


def _plan_route(
    around: Surroundings, match: _Match, backend: IngressBackend, field: str
) -> PlannedRoute | None:
    service = _service(field, backend, around.findings)
    if service is None:
        return None
    backends = _backends(field, service, around)
    conditions = around.conditions.get(service.name, ())
    if match.host is None or match.path is None or backends is None or conditions is None:
        return None
    metadata = around.ingress.metadata
    route_id = f"{metadata.namespace}/{metadata.name}/{match.suffix}"
    return PlannedRoute(
        id=route_id,
        field=match.field,
        host=match.host,
        path=match.path,
        action=PlannedForward(backends),
        conditions=(*around.draft.conditions, *conditions),
        order=match.order,
        policies=around.draft.policies(),
    )


def _host(field: str, text: str, findings: Findings) -> str | None:
    try:
        return parse_host(text)
    except HostProblem as problem:
        findings.add("FG0301", field, text, problem=problem)
        return None


def _path(field: str, path: IngressPath, findings: Findings) -> PathMatch | None:
    if path.path_type and path.path_type not in PATH_TYPES:
        findings.add("FG0303", f"{field}.pathType", path.path_type)
        return None
    try:
        return parse_path(path.path_type, path.path)
    except PathProblem as problem:
        findings.add("FG0302", f"{field}.path", path.path, problem=problem, allowed=problem.allowed)
        return None


def _service(field: str, backend: IngressBackend, findings: Findings) -> ServiceBackend | None:
    if backend.resource is not None:
        resource = f"{backend.resource.kind} {backend.resource.name}"
        findings.add("FG0305", f"{field}.resource", backend.resource.name, resource=resource)
        return None
    service = backend.service
    if service is None or not service.name:
        findings.add("FG0304", f"{field}.service", problem="names no Service", allowed=_PORT_RANGE)
        return None
    return service


def _backends(field: str, service: ServiceBackend, around: Surroundings) -> tuple[PlannedBackend, ...] | None:
    port, actions, findings = service.port, around.actions, around.findings
    if port.name == USE_ANNOTATION:
        if service.name not in actions:
            problem = f"needs the annotation {ACTIONS}{service.name}"
            findings.add(
                "FG0304", f"{field}.service.port.name", port.name, problem=problem, allowed=_PORT_RANGE
            )
        return actions.get(service.name)
    if bool(port.name) == bool(port.number) or not 0 <= port.number <= 65535:
        problem = "is not one port, by number or by name"
        written = port.name or port.number
        findings.add("FG0304", f"{field}.service.port", written, problem=problem, allowed=_PORT_RANGE)
        return None
    if service.name in actions:
        # ALB appends the backend of the rule as a second final action, and refuses that.
        problem = f"with {ACTIONS}{service.name} the rule would have two destinations"
        allowed = f"the port name {USE_ANNOTATION}"
        findings.add(
            "FG0304", f"{field}.service.port", port.name or port.number, problem=problem, allowed=allowed
        )
        return None
    ref = ServiceRef.of(around.draft.namespace, service.name, port.name or port.number)
    return (PlannedBackend(ref.id),)
