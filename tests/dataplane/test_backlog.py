"""Which connection has the next turn: on a loop and a clock of the test."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from proxy.backlog import DROPS, FREE, GONE, QUANTUM, READERS, READS, SLICE_S, TURN_S, WAITS, Backlog
from tests.support.still_clock import StillClock


class TurnClock(StillClock):
    """A clock that is an event loop as well: `turn` calls what is due."""

    def __init__(self) -> None:
        super().__init__()
        self._due: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None], *_: Any) -> None:
        self._due.append(callback)

    def pass_s(self, seconds: float) -> None:
        self.time += seconds

    def turn(self) -> None:
        due, self._due = self._due, []
        for callback in due:
            callback()

    @property
    def is_idle(self) -> bool:
        return not self._due


class Peer:
    """A connection with so many quanta of input; each takes `takes_s`."""

    def __init__(
        self, clock: TurnClock, name: str, log: list[str], quanta: int, takes_s: float = 0.0
    ) -> None:
        self.is_listed = False
        self.quanta = quanta
        self._clock, self._name, self._log, self._takes_s = clock, name, log, takes_s

    def proceed(self) -> int:
        if not self.quanta:
            return GONE
        self.quanta -= 1
        self._clock.time += self._takes_s
        self._log.append(self._name)
        return WAITS if self.quanta else READS


@pytest.fixture
def clock() -> TurnClock:
    return TurnClock()


@pytest.fixture
def backlog(clock: TurnClock) -> Backlog:
    return Backlog(cast(asyncio.AbstractEventLoop, clock), clock)


def test_each_connection_has_one_quantum_per_turn(clock: TurnClock, backlog: Backlog) -> None:
    log: list[str] = []
    for name in "abc":
        backlog.add(Peer(clock, name, log, 3), is_new=False)
    clock.turn()
    assert log == ["a", "b", "c"]
    clock.turn()
    assert log == ["a", "b", "c"] * 2


def test_a_connection_that_is_new_comes_before_those_that_had_a_quantum(
    clock: TurnClock, backlog: Backlog
) -> None:
    log: list[str] = []
    for number in range(500):
        backlog.add(Peer(clock, f"flood-{number}", log, 100, SLICE_S * 0.6), is_new=False)
    clock.turn()
    backlog.add(Peer(clock, "other", log, 1), is_new=True)
    clock.turn()
    assert log == ["flood-0", "flood-1", "other", "flood-2", "flood-3"]


def test_a_slice_ends_after_its_time(clock: TurnClock, backlog: Backlog) -> None:
    log: list[str] = []
    for number in range(500):
        backlog.add(Peer(clock, str(number), log, 2, SLICE_S * 0.4), is_new=False)
    clock.turn()
    assert log == ["0", "1", "2"]
    clock.turn()
    assert log == ["0", "1", "2", "3", "4", "5"]


def test_a_slice_ends_after_its_time_also_where_each_connection_is_done(
    clock: TurnClock, backlog: Backlog
) -> None:
    log: list[str] = []

    class Light(Peer):
        def proceed(self) -> int:
            super().proceed()
            return GONE

    for number in range(500):
        backlog.add(Light(clock, str(number), log, 1, SLICE_S * 0.4), is_new=True)
    clock.turn()
    assert log == ["0", "1", "2"]


def test_few_connections_are_read_from_again_in_one_turn(clock: TurnClock, backlog: Backlog) -> None:
    log: list[str] = []
    for number in range(500):
        backlog.add(Peer(clock, str(number), log, 1), is_new=False)
    clock.turn()
    assert len(log) == READERS


def test_a_connection_without_input_is_no_longer_listed(clock: TurnClock, backlog: Backlog) -> None:
    log: list[str] = []
    peer = Peer(clock, "a", log, 1)
    backlog.add(peer, is_new=True)
    clock.turn()
    assert peer.is_listed  # if more has come by its next turn it is not new
    clock.turn()
    assert not peer.is_listed
    assert clock.is_idle


def test_a_turn_is_over_after_its_time(clock: TurnClock, backlog: Backlog) -> None:
    for _ in range(100):
        backlog.left -= FREE
        assert not backlog.is_over()
        assert backlog.left == QUANTUM
    clock.time += TURN_S
    backlog.left = -1
    assert backlog.is_over()
    clock.turn()
    assert backlog.left == FREE
    backlog.left = -1
    assert not backlog.is_over()


def test_the_time_of_the_slice_is_gone_from_the_turn(clock: TurnClock, backlog: Backlog) -> None:
    backlog.add(Peer(clock, "a", [], 9, SLICE_S), is_new=True)
    clock.turn()
    backlog.left = -1
    assert not backlog.is_over()
    clock.time += TURN_S - SLICE_S
    backlog.left = -1
    assert backlog.is_over()


def test_work_waits_in_order_for_a_turn_that_is_not_over(clock: TurnClock, backlog: Backlog) -> None:
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        clock.pass_s(SLICE_S * 0.2)

    backlog.do(lambda: done.append(0), "a")
    assert done == [0]
    backlog.left = -1
    backlog.is_over()
    clock.time += TURN_S
    for number in range(1, 100):
        backlog.left = -1
        backlog.do(partial(work, number), "a")
    assert done == [0]
    names: list[str] = []
    backlog.add(Peer(clock, "a", names, 1), is_new=True)
    clock.turn()
    assert done == [0, 1, 2, 3]
    assert names == ["a"]  # work leaves half of the slice to connections
    while not clock.is_idle:
        clock.turn()
    assert done == list(range(100))


def test_work_for_one_endpoint_does_not_wait_for_what_floods_another(
    clock: TurnClock, backlog: Backlog
) -> None:
    done: list[str] = []

    def work(name: str) -> None:
        done.append(name)
        clock.pass_s(SLICE_S * 0.2)

    backlog.left = -1
    backlog.is_over()
    clock.time += TURN_S
    for name in [*["a"] * 100, "b", "a", "b"]:
        backlog.left = -1
        backlog.do(partial(work, name), name)
    clock.turn()
    assert done == ["a", "b", "a"]
    while not clock.is_idle:
        clock.turn()
    assert done == ["a", "b", "a", "b", *["a"] * 99]


def test_connections_are_dropped_a_few_per_turn_and_in_order(clock: TurnClock, backlog: Backlog) -> None:
    dropped: list[int] = []
    waits = [not backlog.drop(lambda number=number: dropped.append(number)) for number in range(100)]  # type: ignore[misc]
    assert waits == [number >= DROPS for number in range(100)]
    before = 0
    while not clock.is_idle:
        assert before < len(dropped) <= before + DROPS
        before = len(dropped)
        clock.turn()
    assert dropped == list(range(100))
    assert backlog.drop(lambda: dropped.append(100))
