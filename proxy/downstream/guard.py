"""Stops accepting before the descriptors run out, and makes room by closing idle clients."""

import heapq
import logging
from collections.abc import Iterable
from typing import Final, Protocol

from proxy.dataplane import DataPlane
from proxy.downstream.admission import DESCRIPTORS, Admission
from proxy.downstream.client import ClientConnection
from proxy.downstream.descriptors import DescriptorBudget
from proxy.timers import TICK_S

log = logging.getLogger(__name__)

CHECK_S: Final = 0.1
QUIET_S: Final = 1.0  # who asked, or came, later than that has a request on the way
CLOSES: Final = 256  # at a time: 10 µs for each
LOG_S: Final = 60.0  # between two lines about the same trouble


class Doors(Protocol):
    """The listeners of the worker, as the guard sees them."""

    def pause(self, cause: str) -> None: ...

    def resume(self, cause: str) -> None: ...

    def clients(self) -> Iterable[ClientConnection]: ...


class DescriptorGuard:
    """`check` is called for every new connection, `expire` by the timer wheel while accepting is paused."""

    __slots__ = (
        "_admission", "_before", "_budget", "_doors", "_is_closed", "_logged", "_plane", "_recent", "_tick",
    )  # fmt: skip

    def __init__(
        self, plane: DataPlane, admission: Admission, budget: DescriptorBudget, doors: Doors
    ) -> None:
        self._plane = plane
        self._admission = admission
        self._budget = budget
        self._doors = doors
        self._is_closed = False
        self._logged = -LOG_S
        self._tick = 0.0
        # Clients since then, and in the tick before it: each needs a connection to an endpoint in a moment,
        # or a little later where its request waits for a turn of the loop
        self._recent = 0
        self._before = 0

    @property
    def used(self) -> int:
        tally = self._plane.services.tally
        return self._admission.open + tally.open + tally.opening

    @property
    def room(self) -> int:
        """How many clients may come at once: each will need a connection to an endpoint, too."""
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
        self._doors.pause(DESCRIPTORS)
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
        self._doors.resume(DESCRIPTORS)
        return None

    def _shed_idle(self, now: float) -> None:
        """Close those that have been idle longest."""
        idle = [client for client in self._doors.clients() if client.quiet_since <= now - QUIET_S]
        excess = max(self.used - self._budget.relaxed, 0)
        for client in heapq.nsmallest(min(excess, CLOSES), idle, key=_quiet_since):
            client.shed(DESCRIPTORS)


def _quiet_since(client: ClientConnection) -> float:
    return client.quiet_since
