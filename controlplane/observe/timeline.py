"""Failovers of the past: when and why a cluster stopped taking its share of a service, and when it returned.

Pure: callers pass the reports of the workers, again and again, and the time.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Set
from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.publish import Failures, Pair

KEPT: Final = 100
"""The number of kept failovers that are over; present failovers are all kept."""

LOOKBACK_S: Final = 3.0
"""Failures up to this long before the workers agree on a cluster's absence belong to its failover."""

GAP_S: Final = 2.5
"""Time until the next reports: only these show that workers still hold off a cluster with new endpoints."""

VAGUE: Final = frozenset(("hedged", "local", "overflow"))
"""Reasons that are no cause of a failover: a late answer, a lack on the gateway's side."""


class Observation(msgspec.Struct, frozen=True):
    """The state of all clusters at one time; `failures` are since the start of the gateway."""

    now: float  # Unix seconds
    held: Mapping[Pair, str]  # by their breaker, with the cause to name if no attempt failed
    empty: Set[Pair]  # in the snapshot, without endpoints
    filled: Set[Pair]  # in the snapshot, with endpoints
    carries: Callable[[Pair], bool]  # whether it has a share of some route while all is well
    failures: Failures
    returning: Set[Pair] = frozenset()  # of those held, whose share grows again


class Failover(msgspec.Struct):
    """A cluster's absence from one service."""

    service: str
    cluster: str
    start: float  # Unix seconds
    end: float = 0.0  # 0: it lasts
    seen_as: str = ""  # the cause when no attempt says more
    reasons: Counter[str] = field(default_factory=Counter)  # of attempts that failed there
    moved_to: Counter[str] = field(default_factory=Counter)  # requests, by the cluster they went to
    lost: int = 0

    @property
    def cause(self) -> str:
        """The most frequent reason; of equally frequent ones the first in the alphabet."""
        found = {reason: count for reason, count in self.reasons.items() if reason not in VAGUE}
        return min(found, key=lambda reason: (-found[reason], reason)) if found else self.seen_as

    @property
    def moved(self) -> int:
        return self.moved_to.total()

    def add(self, failures: Failures) -> None:
        for (service, cluster, to_cluster, reason), count in failures.attempts.items():
            if (service, cluster) == (self.service, self.cluster):
                self.reasons[reason] += count
                if to_cluster not in ("", cluster):
                    self.moved_to[to_cluster] += count
        self.lost += failures.lost[self.service, self.cluster]


class Timeline:
    """Remembers the failovers that last, and the latest that are over."""

    def __init__(self) -> None:
        self._lasting: dict[Pair, Failover] = {}
        self._over: deque[Failover] = deque(maxlen=KEPT)
        self._recent: deque[tuple[float, Failures]] = deque()
        self._before: Failures | None = None
        self._filled: Set[Pair] = frozenset()

    def observe(self, seen: Observation) -> list[Failover]:
        """Return the failovers that have begun or ended since the last time."""
        new = seen.failures.since(self._before) if self._before is not None else Failures()
        self._before = seen.failures
        for failover in self._lasting.values():
            failover.add(new)
        ended = [self._end(pair, seen.now) for pair in [*self._lasting] if not _is_away(pair, seen)]
        self._remember(seen.now, new)
        begun = [self._begin(pair, seen) for pair in self._candidates(seen)]
        self._filled = seen.filled
        return [*ended, *(failover for failover in begun if failover is not None)]

    def failovers(self) -> tuple[Failover, ...]:
        """Return copies, newest start first: a thread may read them slowly."""
        latest = sorted((*self._lasting.values(), *self._over), key=lambda f: f.start, reverse=True)
        return tuple(replace(f, reasons=f.reasons.copy(), moved_to=f.moved_to.copy()) for f in latest)

    def latest_of(self, pair: Pair) -> Failover | None:
        """Return the present failover of a cluster and service, else the latest one."""
        over = (failover for failover in reversed(self._over) if (failover.service, failover.cluster) == pair)
        return self._lasting.get(pair) or next(over, None)

    def _candidates(self, seen: Observation) -> list[Pair]:
        """Return the absent clusters with their services, without clusters that never had an endpoint."""
        away = {*seen.held, *(self._filled & seen.empty)}
        return sorted(away - self._lasting.keys())

    def _remember(self, now: float, new: Failures) -> None:
        if new.attempts or new.lost:
            self._recent.append((now, new))
        while self._recent and self._recent[0][0] < now - LOOKBACK_S:
            self._recent.popleft()

    def _begin(self, pair: Pair, seen: Observation) -> Failover | None:
        """Begin a failover, unless nothing was to go there and nothing did, or an earlier one goes on."""
        before = self.latest_of(pair)
        if before is not None and pair in seen.returning and seen.now - before.end <= GAP_S:
            self._resume(pair, before)
            return None
        failover = Failover(*pair, start=seen.now, seen_as=seen.held.get(pair, "no_endpoints"))
        for at, failures in self._since(before.end if before is not None else 0.0):
            failover.add(failures)
            failover.start = min(failover.start, at) if failover.reasons else failover.start
        if not failover.reasons and not failover.lost and not seen.carries(pair):
            return None
        self._lasting[pair] = failover
        return failover

    def _resume(self, pair: Pair, failover: Failover) -> None:
        for _, failures in self._since(failover.end):
            failover.add(failures)
        failover.end = 0.0
        self._over.remove(failover)
        self._lasting[pair] = failover

    def _since(self, then: float) -> list[tuple[float, Failures]]:
        return [(at, failures) for at, failures in self._recent if at > then]

    def _end(self, pair: Pair, now: float) -> Failover:
        failover = self._lasting.pop(pair)
        failover.end = now
        self._over.append(failover)
        return failover


def _is_away(pair: Pair, seen: Observation) -> bool:
    return pair in seen.held or pair in seen.empty
