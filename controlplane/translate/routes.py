"""A plan, its gateway and the member clusters to routes of the snapshot."""

from typing import Final

import msgspec

from controlplane.translate.annotations.draft import PlannedBackend
from controlplane.translate.annotations.listen_ports import LISTEN_PORTS
from controlplane.translate.annotations.row import field_of
from controlplane.translate.backends import check_backend
from controlplane.translate.diagnostics import Findings
from controlplane.translate.endpoints import ServiceResolver
from controlplane.translate.gateways import Gateway
from controlplane.translate.plan import IngressPlan, PlannedForward, PlannedRoute
from controlplane.translate.splits import split_of
from proxy.model.actions import Action, Backend, Destination, Forward, Split
from proxy.model.policies import ErrorFallback, Mirror, Policies
from proxy.model.snapshot import Route, Source

_LISTEN_PORTS: Final = field_of(LISTEN_PORTS.keys[0])


def bind_routes(
    plan: IngressPlan, gateway: Gateway, resolver: ServiceResolver, findings: Findings
) -> tuple[Route, ...]:
    """Return the routes of a plan on the listeners of its gateway.

    Nothing here makes a route unusable: what does not exist (yet) is reported, and the rest works.
    """
    if not plan.routes:
        return ()
    ports = _ports(plan, gateway, findings)
    split = split_of(plan, gateway, findings)
    _check_backends(plan, gateway, resolver, findings)
    if not ports:
        return ()
    subject = plan.subject
    source = Source(subject.kind, subject.namespace, subject.name, subject.generation)
    return tuple(
        Route(
            id=route.id,
            source=source,
            ports=ports,
            host=route.host,
            path=route.path,
            action=_action(route, split),
            conditions=route.conditions,
            policies=_policies(route, split),
            order=route.order,
            created=plan.created,
        )
        for route in plan.routes
    )


def _action(route: PlannedRoute, split: Split) -> Action:
    if not isinstance(route.action, PlannedForward):
        return route.action
    backends = tuple(_backend(backend) for backend in route.action.backends if not backend.group)
    return Forward(backends, split, route.action.balance)


def _policies(route: PlannedRoute, split: Split) -> Policies | None:
    if route.mirror is None and route.errors is None:
        return route.policies
    mirror, errors = route.mirror, route.errors
    return msgspec.structs.replace(
        route.policies or Policies(),
        mirror=Mirror(tuple(map(_backend, mirror.backends)), split, mirror.percent) if mirror else None,
        errors=ErrorFallback(errors.statuses, _backend(errors.backend), split) if errors else None,
    )


def _backend(planned: PlannedBackend) -> Backend:
    fallbacks = tuple(Destination(fallback.service) for fallback in planned.fallbacks)
    return Backend(planned.service, planned.weight, fallbacks=fallbacks)


def _ports(plan: IngressPlan, gateway: Gateway, findings: Findings) -> tuple[int, ...]:
    if plan.ports is None:
        return _default_ports(gateway, findings)
    ports: list[int] = []
    for protocol, port in plan.ports:
        if protocol == "HTTP" and port in gateway.ports:
            ports.append(port)
        else:
            _report_missing(f"{protocol}:{port}", gateway, findings)
    return tuple(sorted(ports))


def _default_ports(gateway: Gateway, findings: Findings) -> tuple[int, ...]:
    """Return HTTP:80, also for hosts in spec.tls, as Ingress conformance wants; else all listeners.

    ALB installs the rules nowhere when the AlbConfig has no listener on port 80, and says nothing.
    """
    if 80 in gateway.ports:
        return (80,)
    if not gateway.ports:
        _report_missing("HTTP:80", gateway, findings)
        return ()
    listeners = gateway.listed_listeners()
    findings.add("FG0506", _LISTEN_PORTS, gateway=gateway.name, listeners=listeners, port=gateway.ports[0])
    return gateway.ports


def _report_missing(listener: str, gateway: Gateway, findings: Findings) -> None:
    findings.add(
        "FG0505",
        _LISTEN_PORTS,
        listener,
        gateway=gateway.name,
        listener=listener,
        listeners=gateway.listed_listeners(),
    )


def _check_backends(
    plan: IngressPlan, gateway: Gateway, resolver: ServiceResolver, findings: Findings
) -> None:
    fields = {
        backend.service: route.field
        for route in reversed(plan.routes)
        if isinstance(route.action, PlannedForward)
        for backend in route.action.backends
    }
    if "" in fields:
        note = "server groups outside the clusters come with the next version"
        findings.add("FG0203", fields.pop(""), note=note, allowed="ServiceName and ServicePort")
    for service_id in sorted(fields):
        check_backend(service_id, fields[service_id], gateway, resolver, findings)
