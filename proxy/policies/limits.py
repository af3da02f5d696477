"""Token buckets and counts of requests in flight; each worker has its part of the gateway's."""

from ipaddress import IPv6Address
from math import ceil
from typing import Final

from proxy.model.policies import ConcurrencyLimit, LimitScope, RateLimit

MAX_CLIENTS: Final = 10_000
"""Addresses remembered per limit and generation; one that is forgotten has a full bucket again."""
_ROUNDING_S: Final = 1e-6  # sums of intervals are not exact


class RateLimiter:
    """The part of one worker in a RateLimit.

    A bucket is one number, the time at which it will be full again: each request moves it by the
    time that one token takes, and it may not be further away than the bucket is deep (GCRA).
    """

    __slots__ = ("_depth_s", "_interval_s", "_networks", "_old", "_young", "config")

    def __init__(self, config: RateLimit, workers: int) -> None:
        self.config = config
        self._interval_s = 0.0
        self._depth_s = 0.0
        self._young: dict[bytes, float] = {}
        self._old: dict[bytes, float] = {}
        self._networks: dict[bytes, bytes] = {}  # networks by IPv6 address
        self.divide(workers)

    def divide(self, workers: int) -> None:
        """Set the number of workers that share the limit. Each worker may always let one request pass."""
        config = self.config
        self._interval_s = config.per_s * workers / max(config.requests, 1)
        self._depth_s = self._interval_s * max((config.burst or config.requests) / workers, 1.0)

    def wait_s(self, client: bytes, now: float) -> float:
        """Return how long a request of this client would have to wait, 0 when it may pass at once."""
        full_at = self._full_at(self._key(client), now)
        wait_s = full_at + self._interval_s - self._depth_s - now
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def take(self, client: bytes, now: float) -> None:
        """Count a request that passes."""
        key = self._key(client)
        full_at = self._full_at(key, now) + self._interval_s
        if len(self._young) >= MAX_CLIENTS:
            self._old, self._young = self._young, {}
        self._young[key] = full_at

    @property
    def clients(self) -> int:
        """Number of remembered clients."""
        return len(self._young) + len(self._old)

    def _key(self, client: bytes) -> bytes:
        if self.config.scope is LimitScope.ROUTE:
            return b""
        if b":" not in client:
            return client
        network = self._networks.get(client)
        if network is None:
            if len(self._networks) >= MAX_CLIENTS:
                self._networks.clear()
            network = self._networks[client] = _network(client)
        return network

    def _full_at(self, key: bytes, now: float) -> float:
        full_at = self._young.get(key)
        if full_at is None:
            full_at = self._old.get(key, now)
        return max(full_at, now)


def _network(client: bytes) -> bytes:
    """Return the /64 of an IPv6 address: one host can choose freely within it."""
    try:
        return IPv6Address(client.decode("ascii").partition("%")[0]).packed[:8]
    except ValueError:
        return client


class ConcurrencyLimiter:
    """The part of one worker in a ConcurrencyLimit; at least one request."""

    __slots__ = ("_most", "config", "in_flight")

    def __init__(self, config: ConcurrencyLimit, workers: int) -> None:
        self.config = config
        self.in_flight = 0
        self._most = 0
        self.divide(workers)

    def divide(self, workers: int) -> None:
        self._most = max(ceil(self.config.requests / workers), 1)

    def enter(self) -> bool:
        """Count a request; False: there is no room for it."""
        if self.in_flight >= self._most:
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        self.in_flight -= 1


class RouteLimits:
    """The limiters of one route."""

    __slots__ = ("concurrency", "rates")

    def __init__(self) -> None:
        self.rates: dict[RateLimit, RateLimiter] = {}
        self.concurrency: dict[ConcurrencyLimit, ConcurrencyLimiter] = {}


class Limiters:
    """The limiters of all routes of a worker, which outlive snapshots in which their limit is the same."""

    __slots__ = ("_routes", "workers")

    def __init__(self) -> None:
        self.workers = 1
        self._routes: dict[str, RouteLimits] = {}

    def rate(self, route: str, config: RateLimit) -> RateLimiter:
        known = self._of(route).rates
        limiter = known.get(config)
        if limiter is None:
            limiter = known[config] = RateLimiter(config, self.workers)
        return limiter

    def concurrency(self, route: str, config: ConcurrencyLimit) -> ConcurrencyLimiter:
        known = self._of(route).concurrency
        limiter = known.get(config)
        if limiter is None:
            limiter = known[config] = ConcurrencyLimiter(config, self.workers)
        return limiter

    def keep(self, route: str, rates: tuple[RateLimit, ...], concurrency: ConcurrencyLimit | None) -> None:
        """Forget the limiters that a route no longer has."""
        known = self._routes.get(route)
        if known is None:
            return
        known.rates = {config: limiter for config, limiter in known.rates.items() if config in rates}
        known.concurrency = {c: limiter for c, limiter in known.concurrency.items() if c == concurrency}
        if not known.rates and not known.concurrency:
            del self._routes[route]

    def divide(self, workers: int) -> None:
        """Take over the number of workers that share the limits."""
        if workers == self.workers:
            return
        self.workers = workers
        for known in self._routes.values():
            for rate in known.rates.values():
                rate.divide(workers)
            for concurrency in known.concurrency.values():
                concurrency.divide(workers)

    def forget(self, route: str) -> None:
        self._routes.pop(route, None)

    def _of(self, route: str) -> RouteLimits:
        known = self._routes.get(route)
        if known is None:
            known = self._routes[route] = RouteLimits()
        return known
