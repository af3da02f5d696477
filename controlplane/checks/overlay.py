"""Verdicts onto a snapshot: endpoints change, the rules do not, so workers get them as a delta. Pure."""

from collections.abc import Callable

import msgspec

from proxy.model.snapshot import ClusterEndpoints, Endpoint, HealthCheck, Service, Snapshot

IsFailing = Callable[[Endpoint, HealthCheck], bool]


def with_verdicts(snapshot: Snapshot, is_failing: IsFailing) -> Snapshot:
    """Return the snapshot with the current `failing` of every endpoint.

    Unchanged parts stay the same objects, so that comparing with the snapshot before is quick.
    """
    services = tuple(_judged(service, is_failing) for service in snapshot.services)
    if all(new is old for new, old in zip(services, snapshot.services, strict=True)):
        return snapshot
    return msgspec.structs.replace(snapshot, services=services)


def _judged(service: Service, is_failing: IsFailing) -> Service:
    check = service.health
    clusters: list[ClusterEndpoints] = []
    changed = False
    for group in service.clusters:
        verdicts = [check is not None and is_failing(e, check) for e in group.endpoints]
        if all(e.failing is failing for e, failing in zip(group.endpoints, verdicts, strict=True)):
            clusters.append(group)
            continue
        changed = True
        judged = (
            e if e.failing is failing else msgspec.structs.replace(e, failing=failing)
            for e, failing in zip(group.endpoints, verdicts, strict=True)
        )
        clusters.append(ClusterEndpoints(group.cluster, tuple(judged), group.pods))
    return msgspec.structs.replace(service, clusters=tuple(clusters)) if changed else service
