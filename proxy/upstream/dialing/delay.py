"""A delay that takes a busy event loop into account."""

import asyncio
from collections.abc import Callable
from typing import Final

from proxy.clock import Clock

_LATE_S: Final = 0.002
"""Delay of a timer, in seconds, that shows a busy loop: an answer may be there and not have been read."""

Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]
"""The `call_later` of an event loop."""


class Delay:
    """Waits for an answer: `work` is called when the loop has had time to see one that came before.

    Two timers in a row have to be on time: one may come just before the loop was held up.
    """

    __slots__ = ("_clock", "_due", "_later", "_timer", "_was_on_time", "_work")

    def __init__(self, later: Later, clock: Clock) -> None:
        self._later = later
        self._clock = clock
        self._work: Callable[[], None] | None = None
        self._due = 0.0
        self._was_on_time = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, work: Callable[[], None]) -> None:
        self._work = work
        self._was_on_time = False
        self._wait(seconds)

    def stop(self) -> None:
        self._work = None  # frees the waiting request at once, without the garbage collector
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._due = self._clock.now() + seconds
        self._timer = self._later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        is_on_time = self._clock.now() - self._due <= _LATE_S
        if not (is_on_time and self._was_on_time):
            self._was_on_time = is_on_time
            self._wait(_LATE_S)
            return
        work, self._work = self._work, None
        if work is not None:
            work()
