"""Counters as plain dicts and lists, bound to a route when the snapshot is swapped."""

from bisect import bisect_left
from typing import Final

from proxy.model.statistics import (
    DURATION_BOUNDS_S,
    AttemptCount,
    DurationHistogram,
    MirrorCount,
    RequestCount,
    SuppressedCount,
)

# A tuple of any length by its type: one of fixed length would be unpacked and packed for every request
_BOUNDS_S: Final[tuple[float, ...]] = DURATION_BOUNDS_S
_FIRST_S: Final[float] = DURATION_BOUNDS_S[0]
_BUCKETS: Final = len(DURATION_BOUNDS_S) + 1


class ClusterCell:
    """Durations and bytes of one route in one cluster ("" when no cluster was reached)."""

    __slots__ = ("buckets", "request_bytes", "response_bytes", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * _BUCKETS
        self.sum_s = 0.0
        self.request_bytes = 0
        self.response_bytes = 0


class RequestCell:
    """Requests that were alike in all that is counted."""

    __slots__ = ("cluster", "count", "durations", "flag", "kind", "listener", "service")

    def __init__(
        self, listener: str, service: str, cluster: str, kind: int, flag: str, durations: ClusterCell
    ) -> None:
        self.listener = listener
        self.service = service
        self.cluster = cluster
        self.kind = kind  # 2 for 2xx
        self.flag = flag
        self.durations = durations
        self.count = 0


class RouteCounters:
    """All counters of one route; they live as long as the route does."""

    __slots__ = ("_cells", "_last", "_requests", "route")

    def __init__(self, route: str) -> None:
        self.route = route
        self._requests: dict[tuple[str, str, str, int, str], RequestCell] = {}
        self._cells: dict[str, ClusterCell] = {}
        self._last: RequestCell | None = None  # most requests are like the one before

    def record(
        self, listener: str, service: str, cluster: str, status: int, flag: str, duration_s: float,
        request_bytes: int, response_bytes: int,
    ) -> None:  # fmt: skip
        kind = status // 100
        alike = self._last
        if (
            alike is None
            or alike.cluster is not cluster
            or alike.kind != kind
            or alike.flag is not flag
            or alike.service is not service
            or alike.listener is not listener
        ):
            alike = self._last = self._cell(listener, service, cluster, kind, flag)
        alike.count += 1
        cell = alike.durations
        cell.buckets[0 if duration_s <= _FIRST_S else bisect_left(_BOUNDS_S, duration_s)] += 1
        cell.sum_s += duration_s
        cell.request_bytes += request_bytes
        cell.response_bytes += response_bytes

    def _cell(self, listener: str, service: str, cluster: str, kind: int, flag: str) -> RequestCell:
        key = (listener, service, cluster, kind, flag)
        found = self._requests.get(key)
        if found is None:
            durations = self._cells.get(cluster)
            if durations is None:
                durations = self._cells[cluster] = ClusterCell()
            found = self._requests[key] = RequestCell(listener, service, cluster, kind, flag, durations)
        return found

    def requests(self) -> list[RequestCount]:
        return [
            RequestCount(c.listener, self.route, c.service, c.cluster, f"{c.kind}xx", c.flag, c.count)
            for c in self._requests.values()
        ]

    def durations(self) -> list[DurationHistogram]:
        return [
            DurationHistogram(
                self.route, cluster, tuple(cell.buckets), cell.sum_s, cell.request_bytes, cell.response_bytes
            )
            for cluster, cell in self._cells.items()
        ]


class AttemptCounters:
    """Failed attempts of the whole worker."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str, str], int] = {}

    def record(self, service: str, from_cluster: str, to_cluster: str, reason: str) -> None:
        key = (service, from_cluster, to_cluster, reason)
        self._counts[key] = self._counts.get(key, 0) + 1

    def counts(self) -> list[AttemptCount]:
        return [AttemptCount(*key, count) for key, count in self._counts.items()]


class SuppressedCounters:
    """Failed attempts of the whole worker that were the last, by why."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}

    def record(self, service: str, cluster: str, cause: str) -> None:
        key = (service, cluster, cause)
        self._counts[key] = self._counts.get(key, 0) + 1

    def counts(self) -> list[SuppressedCount]:
        return [SuppressedCount(*key, count) for key, count in self._counts.items()]


class MirrorCounters:
    """The outcomes of copies, for the whole worker."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def record(self, route: str, outcome: str) -> None:
        key = (route, outcome)
        self._counts[key] = self._counts.get(key, 0) + 1

    def forget(self, route: str) -> None:
        for key in [key for key in self._counts if key[0] == route]:
            del self._counts[key]

    def counts(self) -> list[MirrorCount]:
        return [MirrorCount(route, outcome, count) for (route, outcome), count in self._counts.items()]


class RequestCounters:
    """The requests of a worker, by route, and their copies."""

    __slots__ = ("_routes", "local", "mirrors")

    def __init__(self) -> None:
        self._routes: dict[str, RouteCounters] = {}
        self.local = RouteCounters("")  # requests that no route was found for
        self.mirrors = MirrorCounters()

    def of(self, route: str) -> RouteCounters:
        counters = self._routes.get(route)
        if counters is None:
            counters = self._routes[route] = RouteCounters(route)
        return counters

    def routes(self) -> list[str]:
        return list(self._routes)

    def forget(self, route: str) -> None:
        del self._routes[route]
        self.mirrors.forget(route)

    def all(self) -> list[RouteCounters]:
        return [self.local, *self._routes.values()]
