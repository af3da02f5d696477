"""States of a gateway for tests of what the admin API makes of them."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from controlplane.admin.state import State
from controlplane.kube.cluster import ClusterHealth
from controlplane.publish import Totals, WorkerView
from controlplane.supervisor import ProcessView
from controlplane.translate.diagnostics import Findings, Subject
from proxy.model.statistics import (
    AttemptCount,
    ConnectionCount,
    DurationHistogram,
    EndpointStats,
    RequestCount,
    Stats,
)
from tests.support.dataplane import snapshot

ROUTE, SERVICE, LISTENER = "shop/web/0/0", "shop/web:80", "http-8001"


def stats(requests: int, states: Mapping[str, str], version: int = 7) -> Stats:
    """What a worker reports; `states` are those of the one endpoint in each cluster."""
    buckets = (requests,) + (0,) * 14
    return Stats(
        version=version,
        requests=(
            RequestCount(LISTENER, ROUTE, SERVICE, "cluster-1", "2xx", "-", requests),
            RequestCount(LISTENER, "shop/gone/0/0", SERVICE, "cluster-1", "2xx", "-", 1),
            RequestCount(LISTENER, "", "", "", "4xx", "NR", 2),
        ),
        durations=(DurationHistogram(ROUTE, "cluster-1", buckets, 0.5, 10, 20),),
        attempts=(
            AttemptCount(SERVICE, "cluster-2", "cluster-1", "refused", 3),
            AttemptCount(SERVICE, "cluster-2", "cluster-2", "refused", 4),
            AttemptCount(SERVICE, "cluster-2", "", "timeout", 5),
        ),
        endpoints=tuple(
            EndpointStats(SERVICE, cluster, "10.0.0.1", 8080, state, 1, 2, requests, 0, "")
            for cluster, state in states.items()
        ),
        connections=(ConnectionCount(LISTENER, 3, 9),),
        loop_lag_s=0.002,
        log_lines_dropped=0,
        tasks=6,
        timers=3,
    )


def serving(*reports: Stats, **changes: Any) -> State:
    """A healthy gateway whose workers reported this; two healthy ones when nothing is given."""
    healthy = {"cluster-1": "healthy", "cluster-2": "healthy"}
    seen = reports or (stats(10, healthy), stats(20, healthy))
    totals = Totals()
    for report in seen:
        totals.add(report)
    findings = Findings(Subject("Ingress", "shop", "web", "uid", 2))
    findings.add("FG0101", "spec.ingressClassName", "albb", name="albb", hint="")
    state = State(
        now=1000.0,
        started_at=900.0,
        worker_count=len(seen),
        started=True,
        snapshot=snapshot(7, 8001),
        wanted_version=7,
        applied_count=len(seen),
        applied_at=950.0,
        processes=tuple(
            ProcessView(worker, 100 + worker, {"hang_cpu": 1, "exit": 0}) for worker in range(len(seen))
        ),
        workers=tuple(WorkerView(worker, 100 + worker, 7, "", report) for worker, report in enumerate(seen)),
        tally=totals.copy,
        diagnostics=tuple(findings.items),
        fleet_server="https://fleet:6443",
        fleet_synced=True,
        clusters=tuple(
            ClusterHealth(cluster, attached=True, synced=True, age_s=2.0, objects={"services": 1})
            for cluster in ("cluster-1", "cluster-2")
        ),
    )
    return replace(state, **changes)
