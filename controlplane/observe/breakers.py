"""The breakers of clusters as most workers see them."""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from controlplane.publish import WorkerView
from proxy.model.statistics import BreakerStats

Breakers = dict[tuple[str, str], BreakerStats]
"""Breakers that are not closed, by service and cluster."""


def agreed_breakers(workers: Iterable[WorkerView]) -> Breakers:
    """Return the breakers that are not closed in at least half of the workers that report."""
    views = [view.stats for view in workers if view.stats is not None]
    found = sorted(
        (breaker for stats in views for breaker in stats.breakers), key=lambda b: (b.service, b.cluster)
    )
    return {
        key: _most(seen)
        for key, group in groupby(found, key=lambda b: (b.service, b.cluster))
        if len(seen := list(group)) * 2 >= len(views)
    }


def _most(seen: Iterable[BreakerStats]) -> BreakerStats:
    """Return the view that most have; of equally frequent ones that with the smallest part."""
    views = Counter(seen)
    return max(views, key=lambda breaker: (views[breaker], -breaker.ramp))
