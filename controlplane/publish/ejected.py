"""The endpoints that the workers have ejected: a new worker need not find them out by failed requests."""

from collections.abc import Iterator
from typing import Final

from proxy.model.channel import Ejection
from proxy.model.statistics import Stats

MAX_AGE_S: Final = 5.0  # reports come once a second; an older one says nothing about now

_STATES: Final = frozenset(("ejected", "stalled", "unreachable"))


class Ejected:
    """The last report of each worker, and its messages since. Times are monotonic seconds.

    The report of a worker that has died counts, too, until its successor's: it may have been the only one.
    """

    def __init__(self) -> None:
        self._reports: dict[int, tuple[float, Stats]] = {}
        self._news: dict[int, list[tuple[float, Ejection]]] = {}

    def told(self, worker: int, endpoints: tuple[Ejection, ...], now: float) -> None:
        self._news.setdefault(worker, []).extend((now, endpoint) for endpoint in endpoints)

    def reported(self, worker: int, stats: Stats, now: float) -> None:
        self._reports[worker] = (now, stats)
        self._news.pop(worker, None)

    def known(self, now: float) -> tuple[Ejection, ...]:
        """Return the endpoints that any worker holds for ejected."""
        found = {(e.service, e.cluster, e.address, e.port): e for e in self._all(now - MAX_AGE_S)}
        return tuple(found.values())

    def _all(self, since: float) -> Iterator[Ejection]:
        for at, stats in self._reports.values():
            if at >= since:
                for e in stats.endpoints:
                    if e.state in _STATES:
                        yield Ejection(
                            e.service,
                            e.cluster,
                            e.address,
                            e.port,
                            stalled=e.state == "stalled",
                            unreachable=e.state == "unreachable",
                        )
        for news in self._news.values():
            yield from (ejection for at, ejection in news if at >= since)
