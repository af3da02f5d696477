"""What a route does with a request, bound to live services: which backend, cluster, endpoint."""

import msgspec

from proxy.model.snapshot import Backend, Forward, Route, Split, SplitMode
from proxy.routing.schedule import schedule
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.service import ClusterGroup, LiveService, Services


class ClusterSplit:
    """Divides one service's traffic over clusters and heals when a cluster cannot serve."""

    __slots__ = ("_at", "_epoch", "_order", "_ranked", "_split", "service")

    def __init__(self, split: Split, service: LiveService) -> None:
        self._split = split
        self.service = service
        self._epoch = 0
        self._order: list[ClusterGroup] = []
        self._ranked: list[ClusterGroup] = []
        self._at = 0

    def pick(self) -> ClusterGroup | None:
        """Return the cluster for a new request, None when no allowed one has an endpoint."""
        if self._epoch != self.service.epoch:
            self._rebuild()
        order = self._order
        if not order:
            return None
        at = self._at
        if at >= len(order):
            at = 0
        self._at = at + 1
        return order[at]

    def others(self, than: ClusterGroup) -> list[ClusterGroup]:
        """Return the clusters a request may fail over to, best first."""
        if self._epoch != self.service.epoch:
            self._rebuild()
        return [group for group in self._ranked if group is not than]

    def effective(self) -> dict[str, float]:
        """Return each cluster's present part of the traffic, 0 to 1."""
        if self._epoch != self.service.epoch:
            self._rebuild()
        total = len(self._order) or 1
        return {
            share.cluster: sum(g.cluster == share.cluster for g in self._order) / total
            for share in self._split.shares
        }

    def _rebuild(self) -> None:
        """Lay out the schedule of the best tier that can serve; rank everything that may."""
        split = self._split
        groups = self.service.groups
        weighted: list[tuple[ClusterGroup, int]] = []
        standby: list[tuple[ClusterGroup, int]] = []
        for share in split.shares:
            group = groups.get(share.cluster)
            if group is None:
                continue
            if split.mode is SplitMode.ENDPOINTS:
                weighted.append((group, 0))
            elif share.weight:
                weighted.append((group, share.weight))
            elif split.failover and (not split.failover_clusters or share.cluster in split.failover_clusters):
                standby.append((group, 0))
        tiers = [
            [(g, w or len(g.live)) for g, w in weighted if g.live],
            [(g, len(g.live)) for g, _ in standby if g.live],
            [(g, len(g.draining)) for g, _ in (*weighted, *standby) if g.draining and not g.live],
            # Everything allowed is ejected: an attempt can only tell us more (panic, Envoy's term)
            [(g, w or len(g.ejected)) for g, w in weighted if g.ejected and not g.live and not g.draining],
            [(g, len(g.ejected)) for g, _ in standby if g.ejected and not g.live and not g.draining],
        ]
        best = next((tier for tier in tiers if tier), [])
        self._order = [best[index][0] for index in schedule([weight for _, weight in best])] if best else []
        self._ranked = [group for tier in tiers for group, _ in tier]
        self._epoch = self.service.epoch


class RoutePlan:
    """A route's backends with their splits. One per route and table; picks are a few lookups."""

    __slots__ = ("_at", "_order", "backends", "counters", "log", "route", "services")

    def __init__(self, route: Route, services: Services, counters: RouteCounters) -> None:
        self.route = route
        self.counters = counters
        action: Forward = route.action
        self.backends = tuple(ClusterSplit(action.split, services.get(b.service)) for b in action.backends)
        self._order = _backend_order(action.backends)
        self._at = 0
        ingress = f"{route.source.namespace}/{route.source.name}"
        self.log = b'"route":%b,"ingress":%b' % (msgspec.json.encode(route.id), msgspec.json.encode(ingress))

    def pick(self) -> ClusterSplit | None:
        """Return the backend for a new request, None when the route has none with a weight."""
        backends = self.backends
        if len(backends) == 1:
            return backends[0]
        if not self._order:
            return None
        at = self._at
        if at >= len(self._order):
            at = 0
        self._at = at + 1
        return backends[self._order[at]]


def _backend_order(backends: tuple[Backend, ...]) -> list[int]:
    return schedule([backend.weight for backend in backends]) if backends else []
