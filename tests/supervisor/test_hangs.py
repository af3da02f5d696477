"""Which worker is killed as hanging, on a clock that the test turns."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from controlplane.supervisor.hangs import (
    LATE_S,
    PERIOD_S,
    REPLACEMENT_S,
    RUNNING,
    STARTING,
    Hang,
    Judge,
    Look,
    Reason,
)


class Life(msgspec.Struct, frozen=True):
    """What a worker does in each second: parts of it that its thread runs, and waits for a CPU."""

    runs: float = 0.0
    waits: float = 0.0
    is_ready: bool = False
    turns: bool = False
    has_started: bool = True
    serves: bool = True


TURNS = Life(turns=True)
SPINS = Life(runs=1.0, is_ready=True)
SLEEPS = Life()
STARVES = Life(is_ready=True)
"""Waits in the run queue all the time: the kernel adds up a wait only when it is over."""


class Machine:
    """Workers that live as they are told to, and a supervisor that looks at them."""

    def __init__(self, *lives: Life) -> None:
        self.lives = dict(enumerate(lives))
        self.looks = {
            worker: Look(100 + worker, int(life.has_started), 0.0, 0.0, life.is_ready, life.serves)
            for worker, life in self.lives.items()
        }
        self.now = 1000.0
        self.judge = Judge()
        self.killed: list[tuple[float, Hang]] = []
        assert self.judge.look(self.now, self.looks) is None

    def pass_time(self, for_s: float, step_s: float = PERIOD_S) -> None:
        end = self.now + for_s
        while self.now < end - 1e-9:
            self.now += step_s
            for worker, life in self.lives.items():
                look = self.looks[worker]
                self.looks[worker] = replace(
                    look,
                    turns=look.turns + life.turns,
                    ran_s=look.ran_s + life.runs * step_s,
                    waited_s=look.waited_s + life.waits * step_s,
                    is_ready=life.is_ready,
                    serves=life.serves,
                )
            hang = self.judge.look(self.now, self.looks)
            if hang is not None:
                self.killed.append((self.now - 1000.0, hang))

    def replaced(self, worker: int, life: Life) -> None:
        """A new process is in the place of this worker."""
        self.lives[worker] = life
        pid = self.looks[worker].pid + 1000
        self.looks[worker] = Look(pid, int(life.has_started), 0.0, 0.0, life.is_ready, life.serves)

    def victims(self) -> list[tuple[int, Reason]]:
        return [(hang.worker, hang.reason) for _, hang in self.killed]


@pytest.mark.parametrize(
    ("life", "reason", "after_s"),
    [
        (SPINS, Reason.CPU, 1.0),
        (SLEEPS, Reason.BLOCKED, 5.0),
        (Life(runs=0.5, waits=0.5, is_ready=True), Reason.CPU, 2.0),  # it gets half of a CPU
        (Life(runs=0.1, is_ready=False), Reason.BLOCKED, 5.5),  # polls something in its one turn
        (Life(runs=0.4), Reason.CPU, 2.5),
        (Life(waits=0.5), Reason.BLOCKED, 10.0),  # half of the time blocked, half of it starved
        (replace(SPINS, has_started=False), Reason.CPU, 15.0),
        (replace(SLEEPS, has_started=False), Reason.BLOCKED, 15.0),
    ],
)
def test_a_loop_that_does_not_turn_is_killed_by_cpu_time_or_blocked_time(
    life: Life, reason: Reason, after_s: float
) -> None:
    machine = Machine(TURNS, life)
    machine.pass_time(after_s + PERIOD_S)
    ((when, hang),) = machine.killed
    assert (hang.worker, hang.pid, hang.reason) == (1, 101, reason)
    assert after_s <= when <= after_s + PERIOD_S
    assert hang.cause.startswith("its event loop has not turned")


@pytest.mark.parametrize(
    "life",
    [
        TURNS,
        Life(runs=1.0, is_ready=True, turns=True),
        STARVES,
        Life(runs=0.001, waits=0.999),
        Life(runs=0.01, waits=2.0),  # a wait of long ago is accounted for late
        replace(STARVES, has_started=False),
    ],
)
def test_busy_and_starved_workers_are_never_killed(life: Life) -> None:
    machine = Machine(life, life)
    machine.pass_time(60.0)
    assert not machine.killed


def test_turns_of_nearly_a_second_of_cpu_are_no_hang() -> None:
    machine = Machine(SPINS)
    for _ in range(20):
        machine.pass_time(0.75)
        machine.lives[0] = replace(SPINS, turns=True)
        machine.pass_time(PERIOD_S)
        machine.lives[0] = SPINS
    assert not machine.killed


def test_time_that_the_supervisor_missed_counts_for_no_worker() -> None:
    machine = Machine(SLEEPS, SPINS, TURNS)
    machine.pass_time(80.0, step_s=8.0)
    assert not machine.killed
    machine.pass_time(0.75)
    assert not machine.killed
    machine.pass_time(PERIOD_S)
    assert machine.victims() == [(1, Reason.CPU)]


def test_a_supervisor_that_is_late_now_and_then_still_finds_a_hang() -> None:
    machine = Machine(SLEEPS)
    for _ in range(6):
        machine.pass_time(1.0)
        machine.pass_time(2.0, step_s=2.0)
    assert machine.victims() == [(0, Reason.BLOCKED)]


def test_a_second_worker_is_killed_only_when_the_replacement_of_the_first_serves() -> None:
    machine = Machine(SPINS, SPINS, SLEEPS)
    machine.pass_time(1.0)
    assert machine.victims() == [(0, Reason.CPU)]
    machine.pass_time(3.0)  # it takes the process a while to end
    machine.replaced(0, replace(TURNS, serves=False))
    machine.pass_time(3.0)
    assert machine.victims() == [(0, Reason.CPU)]
    machine.lives[0] = TURNS
    machine.pass_time(PERIOD_S)
    assert machine.victims() == [(0, Reason.CPU), (1, Reason.CPU)]
    machine.replaced(1, TURNS)
    machine.pass_time(PERIOD_S)
    assert machine.victims() == [(0, Reason.CPU), (1, Reason.CPU), (2, Reason.BLOCKED)]


def test_a_replacement_that_never_serves_does_not_protect_another_hanging_worker_for_ever() -> None:
    machine = Machine(SPINS, SPINS)
    machine.pass_time(1.0)
    machine.replaced(0, replace(TURNS, serves=False))
    machine.pass_time(REPLACEMENT_S)
    assert len(machine.killed) == 1
    machine.pass_time(2 * PERIOD_S)
    assert machine.victims() == [(0, Reason.CPU), (1, Reason.CPU)]


def test_a_replacement_that_hangs_is_killed_itself() -> None:
    machine = Machine(SPINS, SPINS)
    machine.pass_time(1.0)
    machine.replaced(0, replace(SPINS, serves=False))
    machine.pass_time(PERIOD_S)
    assert len(machine.killed) == 1
    machine.pass_time(1.0)
    assert machine.victims() == [(0, Reason.CPU), (0, Reason.CPU)]


LIVES = st.builds(
    Life,
    runs=st.sampled_from((0.0, 0.3, 1.0)),
    waits=st.sampled_from((0.0, 0.5)),
    is_ready=st.booleans(),
    turns=st.booleans(),
    serves=st.booleans(),
)
STEPS = st.tuples(
    st.lists(LIVES, min_size=3, max_size=3), st.floats(0.01, 12.0), st.sets(st.integers(0, 2)), st.booleans()
)


@given(st.lists(STEPS, max_size=40))
def test_no_worker_that_turned_or_was_starved_is_killed_and_no_two_at_once(
    steps: list[tuple[list[Life], float, set[int], bool]],
) -> None:
    machine = Machine(TURNS, TURNS, TURNS)
    used = [0.0, 0.0, 0.0]  # by turn that has not ended, at most
    lost = [0.0, 0.0, 0.0]
    missing: tuple[int, int] | None = None  # killed, not replaced by one that serves; since
    for lives, step_s, replacements, is_late in steps:
        machine.lives = dict(enumerate(lives))
        for worker in replacements:
            machine.replaced(worker, lives[worker])
            used[worker] = lost[worker] = 0.0
        passed_s = step_s + LATE_S + PERIOD_S if is_late else min(step_s, PERIOD_S)
        before = len(machine.killed)
        pids = {worker: look.pid for worker, look in machine.looks.items()}
        machine.pass_time(passed_s, step_s=passed_s)
        for worker, life in enumerate(lives):
            used[worker] = 0.0 if life.turns else used[worker] + life.runs * passed_s
            lost[worker] = 0.0 if life.turns else lost[worker] + (0.0 if life.is_ready else passed_s)
        if missing is not None:
            worker, pid = missing
            if machine.looks[worker].serves and pids[worker] != pid:
                missing = None
        for _, hang in machine.killed[before:]:
            assert not is_late
            limits = RUNNING if machine.looks[hang.worker].turns else STARTING
            bounds = {Reason.CPU: (used, limits.cpu_s), Reason.BLOCKED: (lost, limits.blocked_s)}
            spent, limit = bounds[hang.reason]
            assert spent[hang.worker] >= limit - 1e-6
            assert missing is None or hang.worker == missing[0]
            missing = (hang.worker, hang.pid)
