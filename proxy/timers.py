"""One coarse timer wheel for all deadlines of a worker.

A deadline is an attribute of the object that has it; moving it costs one assignment. The wheel only asks
each object, when its turn comes, whether a deadline is due: no timer is armed per request.
"""

import asyncio
from collections import deque
from email.utils import formatdate
from time import time
from typing import Final, Protocol

from proxy.clock import Clock

TICK_S: Final = 0.1
SLICE_S: Final = 0.003
"""Length of a slice. Ten thousand deadlines can be due at one tick: the rest waits for the next turn."""
_AT_ONCE: Final = 16  # deadlines between two looks at the clock: 50 µs for one that answers and closes


class Timed(Protocol):
    def expire(self, now: float) -> float | None:
        """Act on deadlines due at `now` (monotonic seconds); return when to ask again, None for never."""


class TimerWheel:
    """Calls `expire` of scheduled objects, at most one tick late; keeps the coarse clocks."""

    __slots__ = ("_due", "_handle", "_loop", "_rest", "_slots", "_turn", "clock", "date", "lag_s", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock | None = None) -> None:
        self._loop = loop
        self.clock = clock or Clock()
        self._slots: dict[int, list[Timed]] = {}
        self._due: deque[Timed] = deque()
        self._rest: asyncio.Handle | None = None  # goes on with the rest in the next turn
        self._handle: asyncio.TimerHandle | None = None
        self.now = self.clock.now()  # time of the last tick
        self.date = b""  # RFC 9110 §5.6.7, for responses that carry none
        self.lag_s = 0.0  # worst delay of a tick since it was last taken
        self._turn = int(self.now / TICK_S)

    def start(self) -> None:
        self.now = self.clock.now()
        self._turn = int(self.now / TICK_S)
        self._set_date()
        self._handle = self._loop.call_later(TICK_S, self._tick)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._slots.clear()
        self._due.clear()

    def schedule(self, target: Timed, at: float) -> None:
        """Ask `target` once at `at`. An object is scheduled by its owner, once."""
        turn = max(int(at / TICK_S) + 1, self._turn + 1)
        slot = self._slots.get(turn)
        if slot is None:
            self._slots[turn] = [target]
        else:
            slot.append(target)

    def scheduled(self) -> int:
        """Return how many objects are to be asked."""
        return sum(map(len, self._slots.values())) + len(self._due)

    def take_lag(self) -> float:
        lag, self.lag_s = self.lag_s, 0.0
        return lag

    def _set_date(self) -> None:
        self.date = formatdate(time(), usegmt=True).encode()

    def _tick(self) -> None:
        now = self.clock.now()
        self.lag_s = max(self.lag_s, now - self.now - TICK_S)
        self.now = now
        self._set_date()
        self._handle = self._loop.call_later(
            TICK_S, self._tick
        )  # first: time goes on even if the code below fails
        turn = int(now / TICK_S)
        first, self._turn = self._turn + 1, turn
        for due in range(first, turn + 1):
            self._due.extend(self._slots.pop(due, ()))
        if self._rest is None:
            self._expire_some()

    def _expire_some(self) -> None:
        """Ask the objects that are due, for the length of a slice."""
        self._rest = None
        due, end = self._due, self.clock.now() + SLICE_S
        while due:
            for _ in range(min(len(due), _AT_ONCE)):
                if not due:
                    return  # stopped by one of them
                target = due.popleft()
                again = target.expire(self.now)
                if again is not None:
                    self.schedule(target, again)
            if due and self.clock.now() >= end:
                self._rest = self._loop.call_soon(self._expire_some)
                return
