"""One Ingress to its plan, on its own: the same object always gives the same plan and findings."""

from collections.abc import Iterable
from typing import Final

from controlplane.resources.ingress import Ingress
from controlplane.translate.annotations import (
    actions,
    client_certificates,
    cluster_weight,
    conditions,
    rule_direction,
)
from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.failover import CLUSTERS_KEY, MODE_KEY
from controlplane.translate.annotations.families import apply_all
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.registry import check_keys, note_approximated
from controlplane.translate.annotations.row import Scope, field_of
from controlplane.translate.budgets.ingress import check_budgets, most_routes
from controlplane.translate.budgets.work import positive_work
from controlplane.translate.closed import (
    closed_hosts,
    closed_routes,
    outlines,
    protection,
    unhonoured,
)
from controlplane.translate.diagnostics import Findings, Subject, did_you_mean
from controlplane.translate.dialects import Dialect
from controlplane.translate.plan import IngressPlan
from controlplane.translate.rulefields import Surroundings
from controlplane.translate.rules import backend_services, plan_routes
from controlplane.translate.usable import usable_routes
from proxy.model.limits import Limits

_LIMITS: Final = Limits()


def plan_ingress(
    ingress: Ingress, dialect: Dialect, findings: Findings, limits: Limits = _LIMITS
) -> IngressPlan:
    """Return the plan of an Ingress.

    Unusable values become error findings. A value for the whole Ingress leaves the plan without routes, a
    value for some rules leaves these rules out. An Ingress with a protection is closed (see closed.py) when
    the protection cannot be honoured, or when the Ingress is over a budget.
    """
    annotations = ingress.metadata.annotations
    check_keys(annotations, Scope.INGRESS, dialect, findings)
    reader = Reader(annotations, dialect, findings)
    draft = Draft(ingress.metadata.namespace)
    apply_all(reader, draft)
    _check_failover(ingress, bool(draft.weights or draft.priority_levels), findings)
    _check_canary(reader, draft)
    client_certificates.check(
        reader, draft, [entry.secret_name for entry in ingress.spec.tls if entry.secret_name]
    )
    concerns_all = findings.failed
    closed = unhonoured(annotations, findings)
    around = Surroundings(
        ingress,
        draft,
        conditions.parse(reader),
        actions.parse(reader, draft.namespace),
        rule_direction.responses(reader),
        findings,
        is_closed=closed is not None,
    )
    _check_limits(around)
    _check_services(conditions.FAMILY, around.conditions, around)
    _check_services(actions.FAMILY, around.actions, around)
    planned = plan_routes(around, most_routes(limits))
    if closed is not None:
        # A closed canary has no routes: its base takes the requests
        planned = closed_routes(planned) if draft.canary is None else ()
    work = check_budgets(planned, limits, findings)
    if work is None:
        closed = closed or protection(annotations)
        # A canary takes nothing but a part of its base's
        planned = outlines(planned) if closed is not None and draft.canary is None else ()
        work = positive_work(planned, limits.max_ingress_pattern_work)
    routes = usable_routes(planned, draft.canary, findings)
    note_approximated(annotations, Scope.INGRESS, dialect, findings)
    return IngressPlan(
        subject=Subject.of("Ingress", ingress.metadata),
        created=ingress.metadata.creation_timestamp,
        ports=draft.ports,
        weights=draft.weights,
        weights_key=draft.weights_key,
        failover=draft.failover,
        routes=() if concerns_all and closed is None else routes,
        priority_levels=draft.priority_levels,
        failback=draft.failback,
        canary=draft.canary,
        host_access=closed_hosts(closed) or draft.host_access,
        health=draft.health,
        backend_tls=draft.tls,
        closed=closed,
        tls=ingress.spec.tls,
        min_tls=draft.min_tls,
        max_tls=draft.max_tls,
        ciphers=draft.ciphers,
        client_ca=draft.client_ca,
        client_ca_field=draft.client_ca_field,
        to_https=draft.to_https.field if draft.to_https is not None else "",
        app_root=draft.app_root_field,
        work=work,
    )


def _check_failover(ingress: Ingress, weighted: bool, findings: Findings) -> None:
    """Report failover settings without weights: every cluster serves then, none is left to fail over to."""
    if weighted or any(key.startswith(cluster_weight.FAMILY) for key in ingress.metadata.annotations):
        return
    for key in (MODE_KEY, CLUSTERS_KEY):
        value = ingress.metadata.annotations.get(key)
        if value is not None and value.strip() != "auto":
            note = f"every attached cluster serves while there is no {cluster_weight.FAMILY}<cluster>"
            findings.add("FG0204", field_of(key), value, note=note)


def _check_canary(reader: Reader, draft: Draft) -> None:
    """ALB refuses a canary with conditions: they would belong to the rules of its base."""
    if draft.canary is None:
        return
    for given in reader.members(conditions.CONDITIONS):
        reader.reject(given, "stands on a canary", "conditions on other Ingresses")


def _check_limits(around: Surroundings) -> None:
    """ALB refuses a rule that is limited twice."""
    for service, action in around.actions.items():
        if action is not None and action.rate_limits and around.draft.rate_limits:
            key = actions.FAMILY + service
            problem = "limits requests, which traffic-limit-qps or traffic-limit-ip-qps does already"
            value, allowed = around.ingress.metadata.annotations[key], "one of the two"
            around.findings.add("FG0201", field_of(key), value, problem=problem, allowed=allowed)


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
