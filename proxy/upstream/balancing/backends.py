"""The backends that a route divides its requests over, bound to live services."""

from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.model.actions import Forward
from proxy.model.policies import RetryScope
from proxy.routing.schedule import schedule
from proxy.routing.shares import healed
from proxy.upstream.algorithms.hashing import best, number_of, opaque_id, seed_of
from proxy.upstream.balancing.balance import balancer
from proxy.upstream.balancing.choice import BackendChoice, Choice
from proxy.upstream.balancing.keyed import KeyedChoice, KeyReader
from proxy.upstream.balancing.split import ClusterSplit
from proxy.upstream.balancing.sticky import Session, StickySessions
from proxy.upstream.service import Services


class Backends:
    """Divides requests over backends by weight; backends that can serve take over from those that cannot."""

    __slots__ = (
        "_at", "_epoch", "_key", "_now", "_order", "_seeds", "_services", "_weights", "backends",
        "needs_request", "sticky",
    )  # fmt: skip

    def __init__(
        self, action: Forward | None, services: Services, scope: RetryScope = RetryScope.ANY
    ) -> None:
        """`action`: None for a route without backends, for which nothing is ever picked."""
        meant = action.backends if action is not None else ()
        self.backends = _bound(action, services, scope) if action is not None else ()
        self._weights = [backend.weight for backend in meant]
        self._services = [split.service.state for backend in self.backends for split in backend.options]
        self._seeds = [seed_of(opaque_id(backend.service)) for backend in meant]
        self._now: list[int] = []  # weights of the backends that can serve
        self._order: list[int] = []
        self._epoch = 0
        self._at = 0
        balance = action.balance if action is not None else None
        self._key = KeyReader(balance.key) if balance is not None and balance.key is not None else None
        sticky = balance.sticky if balance is not None else None
        self.sticky = StickySessions(sticky) if sticky is not None else None
        self.needs_request = self._key is not None or self.sticky is not None  # then `pick_for`, not `pick`

    def pick(self) -> BackendChoice | None:
        """Return the backend for a new request, None when the route has none with a weight."""
        backends = self.backends
        if len(backends) == 1:
            return backends[0]
        self._look()
        if not self._order:
            return None
        at = self._at
        if at >= len(self._order):
            at = 0
        self._at = at + 1
        return backends[self._order[at]]

    def pick_for(self, address: bytes, line: RequestLine, headers: RequestHeaders) -> Choice | None:
        """Return the choice for one request, by its key or its session; `address` is its client's."""
        key = self._key.read(address, line, headers) if self._key is not None else b""
        number = number_of(key)
        found = self.sticky.find(headers, self._in_use()) if self.sticky is not None else None
        if found is not None:
            endpoint, backend = found
            return Session(endpoint, KeyedChoice(backend, number) if key else backend)
        if not key:
            return self.pick()
        keyed = self._pick_by(number)
        return KeyedChoice(keyed, number) if keyed is not None else None

    def _pick_by(self, key: int) -> BackendChoice | None:
        if len(self.backends) == 1:
            return self.backends[0]
        self._look()
        able = [index for index, weight in enumerate(self._now) if weight]
        if not able:
            return None
        return self.backends[
            able[best(key, [self._seeds[index] for index in able], [self._now[index] for index in able])]
        ]

    def _in_use(self) -> list[BackendChoice]:
        """Return the backends whose sessions are followed."""
        if len(self.backends) == 1:
            return list(self.backends)
        return [backend for backend, weight in zip(self.backends, self._weights, strict=True) if weight]

    def _look(self) -> None:
        """Lay out the schedule of the backends that can serve, of all when none can, if anything changed."""
        epoch = 0
        for service in self._services:
            epoch += service.epoch
        if epoch == self._epoch:
            return
        self._epoch = epoch
        now = healed(self._weights, [backend.reach() for backend in self.backends])
        self._now = now if any(now) else self._weights
        self._order = schedule(self._now)


def _bound(action: Forward, services: Services, scope: RetryScope) -> tuple[BackendChoice, ...]:
    chooser = balancer(action.balance)
    bound = []
    for meant in action.backends:
        own = meant.split or action.split
        fallbacks = [ClusterSplit(f.split or own, services.get(f.service)) for f in meant.fallbacks]
        split = ClusterSplit(own, services.get(meant.service))
        bound.append(BackendChoice(split, tuple(fallbacks), chooser, scope))
    weighted = [backend.split for backend, meant in zip(bound, action.backends, strict=True) if meant.weight]
    if len(bound) > 1:
        for backend in bound:
            backend.also(tuple([split for split in weighted if split is not backend.split]))
    return tuple(bound)
