"""One Ingress to its plan, on its own: the same object always gives the same plan and findings."""

from collections.abc import Iterable

from controlplane.resources.ingress import Ingress
from controlplane.translate.annotations import (
    actions,
    cluster_weight,
    conditions,
    failover,
    listen_ports,
    order,
)
from controlplane.translate.annotations.failover import CLUSTERS_KEY, MODE_KEY
from controlplane.translate.annotations.registry import Scope, check_keys, field_of
from controlplane.translate.diagnostics import Findings, Subject, did_you_mean
from controlplane.translate.dialects import Dialect
from controlplane.translate.plan import IngressPlan
from controlplane.translate.rules import Surroundings, backend_services, plan_routes


def plan_ingress(ingress: Ingress, dialect: Dialect, findings: Findings) -> IngressPlan:
    """Return what an Ingress asks for.

    Values that cannot be used become error findings. One that concerns the whole Ingress leaves the
    plan without routes, one that concerns some rules leaves those out.
    """
    annotations = ingress.metadata.annotations
    check_keys(annotations, Scope.INGRESS, findings)
    ports = listen_ports.parse(annotations, findings)
    weights = cluster_weight.parse(annotations, findings)
    policy = failover.parse(annotations, findings)
    _check_failover(ingress, bool(weights), findings)
    first = order.parse(annotations, findings)
    concerns_all = findings.failed
    around = Surroundings(
        ingress,
        conditions.parse(annotations, findings),
        actions.parse(annotations, ingress.metadata.namespace, findings),
        first,
        findings,
    )
    _check_services(conditions.FAMILY, around.conditions, around)
    _check_services(actions.FAMILY, around.actions, around)
    if ingress.spec.tls:
        findings.add("FG0307", "spec.tls")
    routes = plan_routes(around)
    return IngressPlan(
        subject=Subject.of("Ingress", ingress.metadata),
        created=ingress.metadata.creation_timestamp,
        ports=ports,
        weights=weights,
        failover=policy,
        routes=() if concerns_all else routes,
    )


def _check_failover(ingress: Ingress, weighted: bool, findings: Findings) -> None:
    """Without weights every cluster serves, so nothing is left to fail over to."""
    if weighted or any(key.startswith(cluster_weight.FAMILY) for key in ingress.metadata.annotations):
        return
    for key in (MODE_KEY, CLUSTERS_KEY):
        value = ingress.metadata.annotations.get(key)
        if value is not None and value.strip() != "auto":
            note = f"every attached cluster serves while there is no {cluster_weight.FAMILY}<cluster>"
            findings.add("FG0204", field_of(key), value, note=note)


def _check_services(family: str, named: Iterable[str], around: Surroundings) -> None:
    """Report annotations for services that no rule has as backend."""
    services = backend_services(around.ingress)
    for service in named:
        if service not in services:
            key = family + service
            value = around.ingress.metadata.annotations[key]
            hint = did_you_mean(service, services)
            listed = ", ".join(services) or "none"
            around.findings.add("FG0206", field_of(key), value, service=service, hint=hint, services=listed)
