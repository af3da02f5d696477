"""Which health check each service has: that of the oldest Ingress which names the service and wants one.

A server group has its own, in its spec; an Ingress that forwards to it says nothing about its servers.
"""

from collections.abc import Iterable, Iterator

import msgspec

from controlplane.translate.annotations.draft import PlannedCheck
from controlplane.translate.live import Outcome
from proxy.model.snapshot import HealthCheck, Service, destinations_of

Checks = dict[str, HealthCheck]
"""Checks by service id."""


def bind_checks(outcomes: Iterable[Outcome]) -> Checks:
    """Return the checks; an Ingress whose check differs from the check in force gets a finding."""
    checks: Checks = {}
    owners: dict[str, str] = {}
    for outcome, planned in _by_age(outcomes):
        for service in _services(outcome):
            if checks.setdefault(service, planned.check) != planned.check:
                outcome.findings.add("FG0620", planned.field, service, owner=owners[service], service=service)
            owners.setdefault(service, outcome.findings.subject.key)
    return checks


def with_check(service: Service, checks: Checks) -> Service:
    check = checks.get(service.id)
    return service if check is None else msgspec.structs.replace(service, health=check)


def _by_age(outcomes: Iterable[Outcome]) -> Iterator[tuple[Outcome, PlannedCheck]]:
    aged = [
        (outcome.plan.created, outcome.findings.subject.key, outcome, outcome.plan.health)
        for outcome in outcomes
        if outcome.plan is not None and outcome.plan.health is not None
    ]
    for _, _, outcome, planned in sorted(aged, key=lambda item: item[:2]):
        yield outcome, planned


def _services(outcome: Outcome) -> list[str]:
    """Return the services that an Ingress may have asked: those of its own namespace."""
    own = f"{outcome.findings.subject.namespace}/"
    named = {service for route in outcome.routes for service, _ in destinations_of(route)}
    return sorted(service for service in named if service.startswith(own))
