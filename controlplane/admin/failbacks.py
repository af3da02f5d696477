"""Clusters that do not take their share of an Ingress yet, because of its `fleetgate.io/failback`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from controlplane.admin.state import State
from controlplane.admin.times import rfc3339
from controlplane.publish import Pair, WorkerView
from proxy.model.actions import Failback
from proxy.model.channel import FailbackStats, Hold

Failbacks = Mapping[Pair, Mapping[str, FailbackStats]]
"""By service and cluster, and then by Ingress."""

REASONS: Final = {"held": "held_out", "delayed": "failback_delay", "returning": "returning"}
"""What the state of such a cluster is called where its share is explained."""


def failbacks(state: State) -> Failbacks:
    """Return those that at least half of the workers that report agree on."""
    return agreed(state.workers)


def agreed(workers: Iterable[WorkerView]) -> Failbacks:
    views = [view.stats for view in workers if view.stats is not None]
    every = sorted((each for stats in views for each in stats.failbacks), key=_place)
    found: dict[Pair, dict[str, FailbackStats]] = {}
    for (service, cluster, ingress), group in groupby(every, key=_place):
        seen = list(group)
        if len(seen) * 2 >= len(views):
            found.setdefault((service, cluster), {})[ingress] = _most(seen)
    return found


def reason(failback: Failback | None, pair: Pair, found: Failbacks) -> str:
    """Return why a cluster does not take its share of a split with this failback, "" if that is not why."""
    stats = found.get(pair, {}).get(failback.ingress) if failback is not None else None
    return REASONS[stats.state] if stats is not None else ""


def of_cluster(state: State, cluster: str, found: Failbacks) -> Iterator[dict[str, Any]]:
    """Yield what `/api/v1/clusters` says of a cluster."""
    for (service, where), by_ingress in found.items():
        if where == cluster:
            for ingress, stats in by_ingress.items():
                yield {
                    "ingress": ingress,
                    "service": service,
                    "state": stats.state,
                    "partPercent": round(100 * stats.part, 2),
                    "since": rfc3339(state.held.get(Hold(ingress, service, cluster), 0.0)),
                    "until": rfc3339(state.now + stats.left_s) if stats.state != "held" else None,
                    "text": text(stats, state.now),
                }


def text(stats: FailbackStats, now: float) -> str:
    """Return what becomes of it, and what to do, in words."""
    if stats.state == "held":
        return (
            f"held out (failback manual) until: fleetgate failback {stats.ingress} --cluster {stats.cluster}"
        )
    until = datetime.fromtimestamp(now + stats.left_s, UTC).strftime("%H:%M:%S UTC")
    if stats.state == "delayed":
        return f"held out until {until} (failback)"
    return f"gets {stats.part:.1%} of its share, all of it at {until} (failback)"


def _place(stats: FailbackStats) -> tuple[str, str, str]:
    return stats.service, stats.cluster, stats.ingress


def _most(seen: Iterable[FailbackStats]) -> FailbackStats:
    """Return a view whose state and part most have; of equally frequent ones one with the smallest part."""
    views = Counter((stats.state, stats.part) for stats in seen)
    return max(seen, key=lambda stats: (views[stats.state, stats.part], -stats.part, stats.left_s))
