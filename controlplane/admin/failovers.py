"""The timeline of failovers as JSON."""

from collections.abc import Iterator
from typing import Any

from controlplane.admin.state import State
from controlplane.admin.times import rfc3339
from controlplane.observe.timeline import Failover
from controlplane.translate.services import names_service


def failover_views(state: State, *, service: str = "", cluster: str = "") -> Iterator[dict[str, Any]]:
    """Yield them, the latest to begin first."""
    for failover in state.failovers:
        if (not service or names_service(service, failover.service)) and cluster in ("", failover.cluster):
            yield failover_view(failover, state.now)


def failover_view(failover: Failover, now: float) -> dict[str, Any]:
    return {
        "service": failover.service,
        "fromCluster": failover.cluster,
        "toClusters": dict(sorted(failover.moved_to.items())),
        "cause": failover.cause,
        "reasons": dict(sorted(failover.reasons.items())),
        "start": rfc3339(failover.start),
        "end": rfc3339(failover.end),
        "seconds": round((failover.end or now) - failover.start, 1),
        "moved": failover.moved,
        "lost": failover.lost,
    }
