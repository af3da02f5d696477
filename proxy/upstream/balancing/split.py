"""Divides the traffic of one service over clusters; the others take over when a cluster cannot serve."""

from proxy.model.actions import Split
from proxy.routing.schedule import schedule
from proxy.routing.shares import Reach, divided, first_clusters, priority_levels, reach
from proxy.upstream.cluster import LiveCluster
from proxy.upstream.service import LiveService

PriorityLevel = list[tuple[LiveCluster, int]]
"""Clusters of one priority level, at least one, with their weights."""


def is_in_panic(level: PriorityLevel) -> bool:
    """Whether all endpoints of a priority level are ejected."""
    return level[0][0].usable.is_only_ejected


class ClusterSplit:
    """A split bound to a live service; computed anew whenever the service has changed."""

    __slots__ = (
        "_at", "_epoch", "_first", "_levels", "_order", "_reach", "_serving", "_split", "_state", "mode",
        "service",
    )  # fmt: skip

    def __init__(self, split: Split, service: LiveService) -> None:
        self._split = split
        self.mode = split.mode
        self.service = service
        self._state = service.state
        self._epoch = 0
        self._order: list[LiveCluster] = []
        self._levels: list[PriorityLevel] = []
        self._reach = Reach.NOTHING
        self._first = first_clusters(split)
        self._serving: frozenset[str] = frozenset()
        self._at = 0

    def pick(self) -> LiveCluster | None:
        """Return the cluster for a new request, None when no allowed one has an endpoint."""
        if self._epoch != self._state.epoch:
            self._rebuild()
        order = self._order
        if not order:
            return None
        at = self._at
        if at >= len(order):
            at = 0
        self._at = at + 1
        return order[at]

    def priority_levels(self) -> list[PriorityLevel]:
        """Return the clusters that may serve, with their weights, best level first."""
        if self._epoch != self._state.epoch:
            self._rebuild()
        return self._levels

    def reach(self) -> Reach:
        """Return the present ability of the service to serve a request."""
        if self._epoch != self._state.epoch:
            self._rebuild()
        return self._reach

    def keeps(self, name: str) -> bool:
        """Whether sessions in a cluster go on: it serves new requests now, or would but for its draining."""
        if self._epoch != self._state.epoch:
            self._rebuild()
        cluster = self.service.clusters.get(name)
        is_only_reserve = cluster is not None and cluster.usable.is_only_reserve
        return name in self._serving or (is_only_reserve and name in self._first)

    def _rebuild(self) -> None:
        """Rank all clusters that may serve, and lay out the schedule of the best level that can."""
        known = self.service.clusters
        usable = {name: cluster.usable for name, cluster in known.items()}
        ranked = priority_levels(self._split, usable)
        self._levels = [[(known[c], weight) for c, weight in level.items()] for level in ranked if level]
        self._reach = reach(ranked, usable)
        parts = divided(self._split, ranked, usable)
        self._serving = frozenset([name for name, part in parts.items() if part])
        clusters = [known[name] for name in parts]
        self._order = [clusters[index] for index in schedule(list(parts.values()))]
        self._epoch = self._state.epoch
