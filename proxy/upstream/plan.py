"""What a route does with a request, bound to live services: which backend, cluster, endpoint."""

import msgspec

from proxy.model.actions import Backend, Forward, Split
from proxy.model.snapshot import Route
from proxy.routing.schedule import schedule
from proxy.routing.shares import tiers
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.group import ClusterGroup
from proxy.upstream.service import LiveService, Services


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

    def _rebuild(self) -> None:
        """Lay out the schedule of the best tier that can serve; rank everything that may."""
        groups = self.service.groups
        ranked = tiers(self._split, {cluster: group.usable for cluster, group in groups.items()})
        best = next((tier for tier in ranked if tier), {})
        clusters = list(best)
        self._order = [groups[clusters[index]] for index in schedule(list(best.values()))] if best else []
        self._ranked = [groups[cluster] for tier in ranked for cluster in tier]
        self._epoch = self.service.epoch


class RoutePlan:
    """A route's backends with their splits, for as long as the route stays as it is."""

    __slots__ = ("_at", "_order", "backends", "counters", "log")

    def __init__(self, route: Route, services: Services, counters: RouteCounters) -> None:
        self.counters = counters
        action = route.action
        if not isinstance(action, Forward):
            raise TypeError(f"route {route.id} does not forward")
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
