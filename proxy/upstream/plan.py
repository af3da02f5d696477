"""What a route does with a request, bound to live services: which backend, cluster, endpoint."""

import msgspec

from proxy.model.actions import Forward
from proxy.model.snapshot import Route
from proxy.routing.schedule import schedule
from proxy.routing.shares import healed
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.balance import balancer
from proxy.upstream.choice import Backend
from proxy.upstream.service import Services
from proxy.upstream.split import ClusterSplit


class RoutePlan:
    """A route's backends with their splits, for as long as the route stays as it is."""

    __slots__ = ("_at", "_epoch", "_order", "_services", "_weights", "backends", "counters", "log")

    def __init__(self, route: Route, services: Services, counters: RouteCounters) -> None:
        self.counters = counters
        action = route.action
        if not isinstance(action, Forward):
            raise TypeError(f"route {route.id} does not forward")
        self.backends = _bound(action, services)
        self._weights = [backend.weight for backend in action.backends]
        self._services = [split.service for backend in self.backends for split in backend.options]
        self._order: list[int] = []
        self._epoch = 0
        self._at = 0
        ingress = f"{route.source.namespace}/{route.source.name}"
        self.log = b'"route":%b,"ingress":%b' % (msgspec.json.encode(route.id), msgspec.json.encode(ingress))

    def pick(self) -> Backend | None:
        """Return the backend for a new request, None when the route has none with a weight."""
        backends = self.backends
        if len(backends) == 1:
            return backends[0]
        epoch = 0
        for service in self._services:
            epoch += service.epoch
        if epoch != self._epoch:
            self._epoch = epoch
            self._rebuild()
        if not self._order:
            return None
        at = self._at
        if at >= len(self._order):
            at = 0
        self._at = at + 1
        return backends[self._order[at]]

    def _rebuild(self) -> None:
        """Lay out the schedule of the backends that can serve; of all when none can."""
        weights = self._weights
        now = healed(weights, [backend.reach() for backend in self.backends])
        self._order = schedule(now if any(now) else weights) if weights else []


def _bound(action: Forward, services: Services) -> tuple[Backend, ...]:
    chooser = balancer(action.balance)
    bound = []
    for meant in action.backends:
        own = meant.split or action.split
        fallbacks = [ClusterSplit(f.split or own, services.get(f.service)) for f in meant.fallbacks]
        split = ClusterSplit(own, services.get(meant.service))
        bound.append(Backend(split, tuple(fallbacks), chooser))
    weighted = [backend.split for backend, meant in zip(bound, action.backends, strict=True) if meant.weight]
    if len(bound) > 1:
        for backend in bound:
            backend.also(tuple([split for split in weighted if split is not backend.split]))
    return tuple(bound)
