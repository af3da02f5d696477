"""Clusters that do not take their share of an Ingress yet, because of its `fleetgate.io/failback`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

from controlplane.publish import Pair, WorkerView
from proxy.model.actions import Failback
from proxy.model.statistics import FailbackStats

Failbacks = Mapping[Pair, Mapping[str, FailbackStats]]
"""Failbacks by service and cluster, and then by Ingress."""

REASONS: Final = {"held": "held_out", "delayed": "failback_delay", "ramping": "ramping"}
"""Names of the states of a failback where the share of its cluster is explained."""


def agreed_failbacks(workers: Iterable[WorkerView]) -> Failbacks:
    """Return the failbacks that at least half of the workers that report agree on."""
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


def _place(stats: FailbackStats) -> tuple[str, str, str]:
    return stats.service, stats.cluster, stats.ingress


def _most(seen: Iterable[FailbackStats]) -> FailbackStats:
    """Return a view whose state and part most have; of equally frequent ones one with the smallest part."""
    views = Counter((stats.state, stats.part) for stats in seen)
    return max(seen, key=lambda stats: (views[stats.state, stats.part], -stats.part, stats.left_s))
