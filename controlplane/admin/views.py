"""The JSON of the admin API, made from the state. Keys are camelCase, as in Kubernetes."""

import platform
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from controlplane.admin.failback import failback_views
from controlplane.admin.health import readiness
from controlplane.admin.state import State, dataplane
from controlplane.admin.times import rfc3339
from controlplane.checks import CheckView
from controlplane.kube.cluster import ClusterHealth
from controlplane.observe import absences, shares
from controlplane.observe.endpoints import Merged, usable
from controlplane.observe.failbacks import Failbacks
from controlplane.translate.annotations.failback import written
from controlplane.translate.services import names_service
from proxy import __version__
from proxy.model.actions import Forward, Split
from proxy.model.snapshot import Route, destinations_of
from proxy.model.statistics import BreakerStats
from proxy.routing.shares import Usable

Json = dict[str, Any]


def overview(state: State) -> Json:
    """The gateway on one page."""
    snapshot = state.snapshot
    flags = Counter[str]()
    for (_, _, _, _, code_class, _), count in state.totals.requests.items():
        flags[code_class] += count
    return {
        "version": __version__,
        "python": platform.python_version(),
        "dataplane": dataplane(state.workers),
        "startedAt": rfc3339(state.started_at),
        "ready": all(check.passed for check in readiness(state)),
        "snapshot": snapshot_summary(state),
        "workers": [worker(state, view.worker) for view in state.processes],
        "listeners": [
            {
                "name": listener.name,
                "address": listener.address,
                "port": listener.port,
                "protocol": listener.protocol,
                "http2": listener.tls is not None and listener.tls.http2,
                "error": state.failed_ports.get(listener.port, ""),
            }
            for listener in (snapshot.listeners if snapshot is not None else ())
        ],
        "fleet": {"server": state.fleet_server, "synced": state.fleet_synced, "lastError": state.fleet_error},
        "problems": list(state.problems),
        "leader": state.leader,
        "statusError": state.status_error,
        "counts": {
            "routes": len(snapshot.routes) if snapshot is not None else 0,
            "services": len(snapshot.services) if snapshot is not None else 0,
            "endpoints": dict(Counter(endpoint.state for endpoint in state.endpoints())),
            "clusters": len(state.clusters),
            "clustersSynced": sum(cluster.synced and not cluster.stale for cluster in state.clusters),
            "diagnostics": dict(Counter(diagnostic.level for diagnostic in state.diagnostics)),
        },
        "requests": {"total": flags.total(), **flags},
    }


def snapshot_summary(state: State) -> Json:
    return {
        "version": state.snapshot.version if state.snapshot is not None else 0,
        "rulesVersion": state.rules_version,
        "wantedVersion": state.wanted_version,
        "fromDisk": state.from_disk,
        "appliedOn": state.applied_count,
        "appliedAt": rfc3339(state.applied_at),
        "rejected": None
        if state.rejection is None
        else {"version": state.rejection.version, "reason": state.rejection.reason},
        "rejectedTotal": state.rejected_total,
        "savedVersion": state.store.saved_version,
        "saveError": state.store.error,
    }


def worker(state: State, number: int) -> Json:
    process = next(view for view in state.processes if view.worker == number)
    view = next((view for view in state.workers if view.worker == number), None)
    stats = view.stats if view is not None else None
    return {
        "worker": number,
        "pid": process.pid,
        "restarts": process.restarts,
        "restartReasons": {reason: count for reason, count in process.reasons.items() if count},
        "connected": view is not None,
        "dataplane": view.dataplane if view is not None else "unknown",
        "appliedVersion": view.applied_version if view is not None else 0,
        "rejection": view.nack_reason if view is not None else "",
        "connections": sum(c.active for c in stats.connections) if stats is not None else 0,
        "loopLagSeconds": stats.loop_lag_s if stats is not None else None,
    }


def routes(state: State, *, host: str = "", service: str = "", cluster: str = "") -> list[Json]:
    """All routes in the order of the snapshot; filters compare exactly, `service` also without port."""
    if state.snapshot is None:
        return []
    seen, opened, back = state.endpoints(), state.breakers(), state.failbacks()
    endpoints = usable(seen, opened, back)
    reasons = absences.absences(state.snapshot, seen, opened)
    requests: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (_, route, _, at, _, _), count in state.totals.requests.items():
        requests[route][at] += count
    return [
        route_view(route, endpoints, reasons, back, requests[route.id])
        for route in state.snapshot.routes
        if (not host or route.host == host.lower())
        and (not service or any(names_service(service, named) for named, _ in destinations_of(route)))
        and (not cluster or any(uses(split, cluster) for _, split in destinations_of(route)))
    ]


def uses(split: Split, cluster: str) -> bool:
    return any(share.cluster == cluster for share in split.shares)


def route_view(
    route: Route,
    endpoints: dict[str, dict[str, Usable]],
    found: absences.Absences,
    back: Failbacks,
    requests: Counter[str],
) -> Json:
    action = route.action
    forward = action if isinstance(action, Forward) else None
    configured, effective = shares.of_route(route, endpoints)
    reasons: dict[str, str] = {}
    if forward is not None:
        here = absences.with_failback(found, shares.splits_of(forward), back)
        reasons = absences.of_route(forward, configured, effective, here)
    return {
        "id": route.id,
        "host": route.host or "*",
        "path": msgspec.to_builtins(route.path),
        "ports": route.ports,
        "conditions": msgspec.to_builtins(route.conditions),
        "order": route.order,
        "source": msgspec.to_builtins(route.source),
        "policies": msgspec.to_builtins(route.policies),
        "action": None if forward else msgspec.to_builtins(action),
        "backends": backend_views(forward, endpoints) if forward else [],
        "split": forward.split.mode if forward else None,
        "failover": list(forward.split.failover_clusters) or forward.split.failover if forward else None,
        "failback": written(forward.split.failback) if forward else None,
        "clusters": [
            {
                "cluster": cluster,
                "weight": weight,
                "configuredPercent": percent(configured.get(cluster, 0.0)),
                "effectivePercent": percent(effective.get(cluster, 0.0)),
                "reason": reasons.get(cluster, ""),
                "requests": requests[cluster],
            }
            for cluster, weight in (shares.clusters_of(forward) if forward else {}).items()
        ],
        "requests": requests.total(),
    }


def backend_views(forward: Forward, endpoints: dict[str, dict[str, Usable]]) -> list[Json]:
    return [
        {
            **msgspec.to_builtins(backend),
            "configuredPercent": percent(share.configured),
            "effectivePercent": percent(share.effective),
            "servedBy": share.served_by,
        }
        for backend, share in zip(forward.backends, shares.of_backends(forward, endpoints), strict=True)
    ]


def clusters(state: State, *, cluster: str = "") -> list[Json]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seen, opened, back = state.endpoints(), state.breakers(), state.failbacks()
    for endpoint in seen:
        counts[endpoint.key[1]][endpoint.state] += 1
    reduced = absences.by_cluster(absences.absences(state.snapshot, seen, opened))
    return [
        cluster_view(
            health,
            counts[health.cluster],
            [each for each in opened.values() if each.cluster == health.cluster],
            reduced.get(health.cluster, {}),
        )
        | {"failbacks": [*failback_views(state, health.cluster, back)]}
        for health in state.clusters
        if cluster in ("", health.cluster)
    ]


def cluster_view(
    health: ClusterHealth, counts: Counter[str], opened: Iterable[BreakerStats], reduced: dict[str, str]
) -> Json:
    return {
        "cluster": health.cluster,
        "server": health.server,
        "attached": health.attached,
        "synced": health.synced,
        "stale": health.stale,
        "ageSeconds": round(health.age_s, 1),
        "lastError": health.last_error,
        "objects": dict(health.objects),
        "relists": health.relists,
        "watchRestarts": health.watch_restarts,
        "endpoints": dict(counts),
        "breakers": [
            {
                "service": each.service,
                "phase": each.phase,
                "partPercent": percent(each.ramp),
                "flaps": each.flaps,
            }
            for each in opened
        ],
        "reduced": [{"service": service, "reason": reason} for service, reason in reduced.items()],
    }


def endpoints(state: State, *, service: str = "", cluster: str = "") -> list[Json]:
    return [
        endpoint_view(endpoint)
        for endpoint in state.endpoints()
        if (not service or names_service(service, endpoint.key[0])) and cluster in ("", endpoint.key[1])
    ]


def endpoint_view(endpoint: Merged) -> Json:
    service, cluster, address, port = endpoint.key
    seen = endpoint.by_worker
    return {
        "service": service,
        "cluster": cluster,
        "address": address,
        "port": port,
        "state": endpoint.state,
        "draining": endpoint.draining,
        "inFlight": sum(stats.in_flight for stats in seen.values()),
        "idle": sum(stats.idle for stats in seen.values()),
        "requests": sum(stats.requests for stats in seen.values()),
        "failures": sum(stats.failures for stats in seen.values()),
        "lastFailure": next((stats.last_failure for stats in seen.values() if stats.last_failure), ""),
        "check": check_view(endpoint.check),
        "workers": [{"worker": number, "state": stats.state} for number, stats in sorted(seen.items())],
    }


def check_view(check: CheckView | None) -> Json | None:
    if check is None:
        return None
    return {
        "healthy": not check.failing,
        "since": rfc3339(check.since),
        "lastAt": rfc3339(check.last_at),
        "lastCause": check.last_cause,
    }


def diagnostics(
    state: State, *, level: str = "", namespace: str = "", name: str = "", code: str = ""
) -> list[Json]:
    return [
        {**msgspec.to_builtins(item), "reason": item.reason, "text": str(item)}
        for item in state.diagnostics
        if level in ("", item.level)
        and namespace in ("", item.namespace)
        and name in ("", item.name)
        and code in ("", item.code)
    ]


def percent(share: float) -> float:
    return round(100 * share, 2)


def listing(state: State, items: Iterable[Json]) -> Json:
    version = state.snapshot.version if state.snapshot is not None else 0
    return {"snapshotVersion": version, "items": list(items)}
