"""Finds a worker that hangs. Pure: observations of the processes in, at most one verdict out.

A busy worker does not hang, nor does a worker that waits for a CPU. A hang is an event loop that has not
turned while its thread used 1 s of CPU, or was blocked for 5 s: asleep, stopped, in a system call. Time that
the supervisor itself missed (VM pause, throttled or busy control plane) is no evidence against any worker.
One worker is killed at a time: the next one only when the first one's replacement serves.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

PERIOD_S: Final = 0.25
"""Time between two looks."""

LATE_S: Final = 0.25
"""A look that is late by more says nothing about the time since the last one."""

REPLACEMENT_S: Final = 15.0
"""A replacement that does not serve by then (no snapshot, or a bad one) protects no other worker."""


class Limits(msgspec.Struct, frozen=True):
    """The time that the loop's thread may use, or lose, without a turn of the loop."""

    cpu_s: float
    blocked_s: float


RUNNING: Final = Limits(cpu_s=1.0, blocked_s=5.0)
STARTING: Final = Limits(cpu_s=15.0, blocked_s=15.0)
"""Before the first turn: interpreter and imports, on a slow machine from a cold disk."""


class Reason(StrEnum):
    """How a worker hangs; the values are in metrics and the log."""

    CPU = "hang_cpu"
    BLOCKED = "hang_blocked"


class Look(msgspec.Struct, frozen=True):
    """One worker's process at one moment. Times are of the thread of its loop, since it was started."""

    pid: int
    turns: int  # as in proxy.model.liveness
    ran_s: float
    waited_s: float  # ready to run, without a CPU
    is_ready: bool  # it runs or waits for a CPU now: a wait that lasts is not in `waited_s` yet
    serves: bool


class Hang(msgspec.Struct, frozen=True):
    """The worker to be killed, and why."""

    worker: int
    pid: int
    reason: Reason
    cause: str


class Judge:
    """Keeps the evidence against each worker since its loop last turned."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._looked: float | None = None
        self._killed: Hang | None = None
        self._protected_s = 0.0  # time that the replacement of the killed one is waited for

    def look(self, now: float, looks: Mapping[int, Look]) -> Hang | None:
        """Return the worker to be killed. `now` is in monotonic seconds; `looks` has all live processes."""
        passed_s = None if self._looked is None else now - self._looked
        self._looked = now
        is_late = passed_s is None or passed_s > PERIOD_S + LATE_S
        counted_s = 0.0 if passed_s is None or is_late else passed_s
        self._records = {worker: self._record(worker, look, counted_s) for worker, look in looks.items()}
        self._wait_for_replacement(looks, counted_s)
        if is_late:
            return None
        hang = self._first_hang()
        if hang is not None:
            self._killed, self._protected_s = hang, 0.0
        return hang

    def _record(self, worker: int, look: Look, counted_s: float) -> "_Record":
        record = self._records.get(worker)
        if record is None or record.last.pid != look.pid:
            return _Record(look, 0.0, 0.0)
        return record.after(look, counted_s)

    def _wait_for_replacement(self, looks: Mapping[int, Look], counted_s: float) -> None:
        if self._killed is None:
            return
        self._protected_s += counted_s
        look = looks.get(self._killed.worker)
        serves = look is not None and look.pid != self._killed.pid and look.serves
        if serves or self._protected_s > REPLACEMENT_S:
            self._killed = None

    def _first_hang(self) -> Hang | None:
        for worker, record in sorted(self._records.items()):
            hang = record.hang(worker)
            if hang is not None and self._may_be_killed(hang):
                return hang
        return None

    def _may_be_killed(self, hang: Hang) -> bool:
        """One at a time; the replacement that is waited for may hang itself."""
        killed = self._killed
        return killed is None or (hang.worker == killed.worker and hang.pid != killed.pid)


class _Record(msgspec.Struct, frozen=True):
    """CPU time and blocked time of one process since its loop turned, as of the last look."""

    last: Look
    cpu_s: float
    blocked_s: float

    def after(self, look: Look, counted_s: float) -> "_Record":
        """Return the record after a look that accounts for the last `counted_s` seconds."""
        if look.turns != self.last.turns:
            return _Record(look, 0.0, 0.0)
        if not counted_s:
            return _Record(look, self.cpu_s, self.blocked_s)
        ran_s = look.ran_s - self.last.ran_s
        waited_s = look.waited_s - self.last.waited_s
        blocked_s = 0.0 if look.is_ready else max(0.0, counted_s - ran_s - waited_s)
        return _Record(look, self.cpu_s + ran_s, self.blocked_s + blocked_s)

    def hang(self, worker: int) -> Hang | None:
        limits = RUNNING if self.last.turns else STARTING
        if self.cpu_s >= limits.cpu_s:
            cause = f"its event loop has not turned in {self.cpu_s:.1f} s of CPU time"
            return Hang(worker, self.last.pid, Reason.CPU, cause)
        if self.blocked_s >= limits.blocked_s:
            cause = f"its event loop has not turned, blocked for {self.blocked_s:.1f} s"
            return Hang(worker, self.last.pid, Reason.BLOCKED, cause)
        return None
