"""A plan, its gateway and the member clusters to routes of the snapshot."""

from collections.abc import Iterator

import msgspec

from controlplane.translate.annotations.draft import PlannedBackend, PlannedTls
from controlplane.translate.backends import check_backend
from controlplane.translate.diagnostics import Findings
from controlplane.translate.endpoints import ServiceResolver
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.grants import NO_GRANTS, Grants
from controlplane.translate.plan import IngressPlan, PlannedForward, PlannedRoute
from controlplane.translate.ports import ports_of
from controlplane.translate.references import References
from controlplane.translate.servergroups import ServerGroups
from controlplane.translate.splits import split_of
from proxy.model.actions import Action, Backend, Destination, Forward, Split
from proxy.model.conditions import HeaderCondition
from proxy.model.policies import ErrorFallback, Mirror, Policies
from proxy.model.snapshot import Route, Source


class Binding(msgspec.Struct, frozen=True):
    """The gateway, services and settings that a plan is bound to."""

    gateway: LiveGateway
    resolver: ServiceResolver
    groups: ServerGroups
    findings: Findings
    grants: Grants = NO_GRANTS
    tls: PlannedTls | None = None

    @property
    def references(self) -> References:
        return References(self.findings.subject.namespace, self.gateway, self.grants, self.tls)


def bind_routes(plan: IngressPlan, binding: Binding) -> tuple[Route, ...]:
    """Return the routes of a plan on the listeners of its gateway.

    Nothing here makes a route unusable: missing Services and listeners are reported, and the rest works.
    """
    if not plan.routes:
        return ()
    ports = ports_of(plan, binding.gateway, binding.findings)
    split = split_of(plan, binding.gateway, binding.findings)
    _check_backends(plan, binding)
    binding.references.report_secret(binding.findings)
    _check_headers(plan, binding.findings)
    if not ports.plain and not ports.tls:
        return ()
    subject = plan.subject
    source = Source(subject.kind, subject.namespace, subject.name, subject.generation)
    return tuple(
        Route(
            id=route.id,
            source=source,
            ports=ports.of(route.host),
            host=route.host,
            path=route.path,
            action=_action(route, split, binding),
            conditions=route.conditions,
            policies=_policies(route, split, binding),
            order=route.order,
            created=plan.created,
            alias=route.alias,
        )
        for route in plan.routes
        if ports.of(route.host)
    )


def _action(route: PlannedRoute, split: Split, binding: Binding) -> Action:
    if not isinstance(route.action, PlannedForward):
        return route.action
    return Forward(_backends(route.action.backends, route, binding), split, route.action.balance)


def _policies(route: PlannedRoute, split: Split, binding: Binding) -> Policies | None:
    mirror, errors = route.mirror, route.errors
    if mirror is not None and not any(_is_allowed(backend, binding) for backend in mirror.backends):
        mirror = None
    if errors is not None and not _is_allowed(errors.backend, binding):
        errors = None
    policies = _redirected(route.policies, binding.gateway)
    if mirror is None and errors is None:
        return policies
    policies = policies or Policies()
    if mirror is not None:
        copies = Mirror(_backends(mirror.backends, route, binding), split, mirror.percent)
        policies = msgspec.structs.replace(policies, mirror=copies)
    if errors is not None:
        (backend,) = _backends((errors.backend,), route, binding)
        policies = msgspec.structs.replace(policies, errors=ErrorFallback(errors.statuses, backend, split))
    return policies


def _redirected(policies: Policies | None, gateway: LiveGateway) -> Policies | None:
    """Return the policies with a redirect to https that leads to a listener of the gateway, if it has any."""
    ports = gateway.tls_ports
    if policies is None or policies.to_https is None or not ports or 443 in ports:
        return policies
    return msgspec.structs.replace(
        policies, to_https=msgspec.structs.replace(policies.to_https, port=str(ports[0]))
    )


def _backends(
    planned: tuple[PlannedBackend, ...], route: PlannedRoute, binding: Binding
) -> tuple[Backend, ...]:
    found: list[Backend] = []
    for backend in planned:
        here = _destination(backend, route, binding)
        fallbacks = tuple(
            _destination(fallback, route, binding)
            for fallback in backend.fallbacks
            if _is_allowed(fallback, binding)
        )
        found.append(Backend(here.service, backend.weight, here.split, fallbacks))
    return tuple(found)


def _is_allowed(backend: PlannedBackend, binding: Binding) -> bool:
    return bool(backend.group) or binding.references.allow(backend.service)


def _destination(backend: PlannedBackend, route: PlannedRoute, binding: Binding) -> Destination:
    """Return a Service in the clusters of the route, or a server group, which has its own zones."""
    if not backend.group:
        return binding.references.destination(backend.service)
    return binding.groups.resolve(_namespace(route), backend.group)


def _namespace(route: PlannedRoute) -> str:
    return route.id.partition("/")[0]


def _check_backends(plan: IngressPlan, binding: Binding) -> None:
    """Report Services and server groups that do not exist, each where it is named first."""
    services: dict[str, tuple[str, str]] = {}  # the field, and the consequence
    groups: dict[tuple[str, str], tuple[str, str]] = {}
    for route in plan.routes:
        for backend, effect in _named(route, is_canary=plan.canary is not None):
            place = (backend.place or route.field, effect)
            if backend.group:
                groups.setdefault((_namespace(route), backend.group), place)
            elif backend.service:
                services.setdefault(backend.service, place)
    for service_id in sorted(services):
        place = services[service_id]
        if binding.references.allow(service_id):
            check_backend(service_id, *place, binding.gateway, binding.resolver, binding.findings)
        else:
            binding.references.report(service_id, *place, binding.findings)
    for group in sorted(groups):
        binding.groups.check(*group, *groups[group], binding.findings)


def _check_headers(plan: IngressPlan, findings: Findings) -> None:
    """Report conditions on headers that workers refuse."""
    for route in plan.routes:
        canary = plan.canary.condition if plan.canary is not None else None
        for condition in (*route.conditions, canary):
            if isinstance(condition, HeaderCondition) and "_" in condition.name:
                findings.add("FG0312", route.field, condition.name, name=condition.name)


def _named(route: PlannedRoute, *, is_canary: bool) -> Iterator[tuple[PlannedBackend, str]]:
    """Yield each backend that a route names, with the consequence when it does not exist."""
    if isinstance(route.action, PlannedForward):
        serving = [backend for backend in route.action.backends if backend.weight]
        for backend in route.action.backends:
            if is_canary:
                yield backend, "the base of the canary serves instead"
            elif route.default_backend is not None or any(other is not backend for other in serving):
                yield backend, "the other backends of the rule serve instead"
            else:
                yield backend, "requests are answered 503"
    if route.mirror is not None:
        for backend in route.mirror.backends:
            yield backend, "no copies are sent"
    if route.default_backend is not None:
        yield route.default_backend, "it does not stand in for the Services of rules"
