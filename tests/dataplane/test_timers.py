"""Deadlines that are due together: all are met, a few per turn of the loop."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from proxy.timers import SLICE_S, TICK_S, TimerWheel
from tests.support.still_clock import StillClock


class Loop:
    """An event loop and a clock of the test."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self._soon: list[Callable[[], None]] = []
        self._later: list[Callable[[], None]] = []

    def call_later(self, _seconds: float, callback: Callable[[], None]) -> object:
        self._later.append(callback)
        return object()

    def call_soon(self, callback: Callable[[], None]) -> object:
        self._soon.append(callback)
        return object()

    def turn(self) -> None:
        due, self._soon = self._soon, []
        for callback in due:
            callback()

    def tick(self) -> None:
        self.clock.time += 2 * TICK_S
        due, self._later = self._later, []
        for callback in due:
            callback()


class Deadline:
    def __init__(self, loop: Loop, *, fails: bool = False) -> None:
        self.met = 0
        self._loop = loop
        self._fails = fails

    def expire(self, now: float) -> float | None:
        self.met += 1
        self._loop.clock.time += SLICE_S / 20
        if self._fails:
            raise ValueError("a deadline that fails")
        return None


@pytest.fixture
def loop() -> Loop:
    return Loop()


def make_wheel(loop: Loop, deadlines: list[Deadline]) -> TimerWheel:
    wheel = TimerWheel(cast(asyncio.AbstractEventLoop, cast(Any, loop)), loop.clock)
    wheel.start()
    for deadline in deadlines:
        wheel.schedule(deadline, wheel.now)
    return wheel


def test_thousands_of_deadlines_are_met_over_several_turns(loop: Loop) -> None:
    deadlines = [Deadline(loop) for _ in range(1000)]
    wheel = make_wheel(loop, deadlines)
    loop.tick()
    met = sum(deadline.met for deadline in deadlines)
    assert 0 < met <= 40
    assert wheel.scheduled() == 1000 - met
    turns = 0
    while wheel.scheduled():
        before = sum(deadline.met for deadline in deadlines)
        loop.turn()
        turns += 1
        assert 0 < sum(deadline.met for deadline in deadlines) - before <= 40
    assert turns > 20
    assert all(deadline.met == 1 for deadline in deadlines)


def test_a_deadline_that_fails_keeps_no_other_from_being_met(loop: Loop) -> None:
    deadlines = [Deadline(loop, fails=number == 3) for number in range(10)]
    make_wheel(loop, deadlines)
    with pytest.raises(ValueError, match="fails"):
        loop.tick()
    loop.tick()
    assert all(deadline.met == 1 for deadline in deadlines)
