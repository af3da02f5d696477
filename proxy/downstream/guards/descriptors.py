"""File descriptors: accepting pauses before they run out, and idle clients make room.

Connections that wait for a descriptor in the kernel's queue cost nothing. A worker without descriptors can
neither reach endpoints nor take a connection out of that queue, and is woken up for it again and again.
"""

import heapq
import logging
import resource
from typing import Final

from proxy.dataplane import DataPlane
from proxy.downstream.guards.admission import DESCRIPTORS, Admission
from proxy.downstream.guards.listeners import GuardedClient, GuardedListeners
from proxy.timers import TICK_S

log = logging.getLogger(__name__)

RESERVE_SHARE: Final = 10  # one descriptor in ten is for endpoints, logs and the control channel
MIN_RESERVE: Final = 64
_HYSTERESIS_SHARE: Final = 10

CHECK_S: Final = 0.1
QUIET_S: Final = 1.0  # idle time below which a client may have a request on the way
CLOSES: Final = 256  # connections closed at a time: 10 µs for each
LOG_S: Final = 60.0  # time between two log lines about the same shortage


class DescriptorBudget:
    """Connections, to clients and endpoints together: accepting pauses at `full`, goes on at `relaxed`."""

    __slots__ = ("full", "relaxed")

    def __init__(self, limit: int) -> None:
        """`limit` is the number of descriptors that the process may have."""
        self.full = max(limit - max(limit // RESERVE_SHARE, MIN_RESERVE), 1)
        self.relaxed = self.full - max(self.full // _HYSTERESIS_SHARE, 1)


def raised_limit() -> int:
    """Raise the soft limit of descriptors to the hard one; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class DescriptorGuard:
    """Pauses accepting. `check` is called for every new connection, `expire` while accepting is paused."""

    __slots__ = (
        "_admission", "_before", "_budget", "_is_closed", "_listeners", "_logged", "_plane", "_recent",
        "_tick",
    )  # fmt: skip

    def __init__(
        self, plane: DataPlane, admission: Admission, budget: DescriptorBudget, listeners: GuardedListeners
    ) -> None:
        self._plane = plane
        self._admission = admission
        self._budget = budget
        self._listeners = listeners
        self._is_closed = False
        self._logged = -LOG_S
        self._tick = 0.0
        # Clients that came since `_tick`, and in the tick before: each needs a connection to an endpoint in a
        # moment, or a little later where its request waits for a turn of the loop
        self._recent = 0
        self._before = 0

    @property
    def used(self) -> int:
        tally = self._plane.upstream.services.tally
        return self._admission.open + tally.open + tally.opening

    @property
    def room(self) -> int:
        """Number of clients that may come at once: each will need a connection to an endpoint, too."""
        return max(self._budget.full - self.used - self._recent - self._before, 0) // 2

    def check(self) -> None:
        now = self._plane.wheel.now
        if now != self._tick:
            self._before = self._recent if now - self._tick < 2.0 * TICK_S else 0
            self._tick = now
            self._recent = 0
        self._recent += 1
        if self._is_closed or self.used + self._recent + self._before < self._budget.full:
            return
        self._is_closed = True
        self._listeners.pause(DESCRIPTORS)
        if now - self._logged >= LOG_S:
            self._logged = now
            log.warning("accepting paused: %d connections leave too few file descriptors", self.used)
        self._shed_idle(now)
        self._plane.wheel.schedule(self, now + CHECK_S)

    def expire(self, now: float) -> float | None:
        if self.used > self._budget.relaxed:
            self._shed_idle(now)
            return now + CHECK_S
        self._is_closed = False
        self._listeners.resume(DESCRIPTORS)
        return None

    def _shed_idle(self, now: float) -> None:
        """Close the connections that have been idle longest."""
        idle = [client for client in self._listeners.clients() if client.quiet_since <= now - QUIET_S]
        excess = max(self.used - self._budget.relaxed, 0)
        for client in heapq.nsmallest(min(excess, CLOSES), idle, key=_quiet_since):
            client.shed(DESCRIPTORS)


def _quiet_since(client: GuardedClient) -> float:
    return client.quiet_since
