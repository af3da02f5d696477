"""Counters as plain dicts and lists, bound to a route when the snapshot is swapped."""

from bisect import bisect_left
from typing import Final

from proxy.model.channel import DURATION_BOUNDS_S, AttemptCount, DurationHistogram, RequestCount

_BUCKETS: Final = len(DURATION_BOUNDS_S) + 1


class ClusterCell:
    """Durations and bytes of one route in one cluster ("" when no cluster was reached)."""

    __slots__ = ("buckets", "request_bytes", "response_bytes", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * _BUCKETS
        self.sum_s = 0.0
        self.request_bytes = 0
        self.response_bytes = 0


class RouteCounters:
    """Everything counted for one route; lives as long as the route does."""

    __slots__ = ("_cells", "_requests", "route")

    def __init__(self, route: str) -> None:
        self.route = route
        self._requests: dict[tuple[str, str, str, int, str], int] = {}
        self._cells: dict[str, ClusterCell] = {}

    def record(
        self, listener: str, service: str, cluster: str, status: int, flag: str, duration_s: float,
        request_bytes: int, response_bytes: int,
    ) -> None:  # fmt: skip
        key = (listener, service, cluster, status // 100, flag)
        requests = self._requests
        requests[key] = requests.get(key, 0) + 1
        cell = self._cells.get(cluster)
        if cell is None:
            cell = self._cells[cluster] = ClusterCell()
        cell.buckets[bisect_left(DURATION_BOUNDS_S, duration_s)] += 1
        cell.sum_s += duration_s
        cell.request_bytes += request_bytes
        cell.response_bytes += response_bytes

    def requests(self) -> list[RequestCount]:
        return [
            RequestCount(listener, self.route, service, cluster, f"{status}xx", flag, count)
            for (listener, service, cluster, status, flag), count in self._requests.items()
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
