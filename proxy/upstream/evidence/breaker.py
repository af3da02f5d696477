"""The circuit breaker of a cluster: outlier detection for all endpoints of one service in it together.

    closed ▸ open (held) ▸ ramping up (its share grows) ▸ closed
                  ◂ whenever it fails again, and then held for twice as long

A transient stall, in which endpoints were silent for a moment and failed no request, opens the breaker as
well, but leaves no trace: a program that collects garbage twice a minute would be held out for longer each
time.

The breaker decides nothing about single endpoints: its caller says which of them serve.
"""

from collections.abc import Hashable, Set
from enum import StrEnum
from math import ceil, inf
from typing import Final

STEPS: Final = 8  # steps in which the share of a cluster grows on its way back
RAMP_S: Final = 10.0  # longest time of these steps, and the time of a cluster that has flapped
SHORT_S: Final = 2.0  # absence below which a cluster that did not flap needs no ramp
FIRST_HOLD_S: Final = 1.0  # least time for which a cluster that fails again stays out
LONGEST_HOLD_S: Final = 60.0
STABLE_S: Final = 60.0  # time without a failure after which the next failure counts as the first
FEW: Final = 3  # endpoints; of fewer endpoints all must fail to open the breaker
PART: Final = 0.2  # part of many endpoints that must fail to open the breaker
STALLS_PART: Final = 0.1  # part of the time; a cluster that stalls for more, in the long run, has failed


class Phase(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    RAMPING = "ramping"  # up


class ClusterBreaker:
    """One for each service and cluster, in each worker. Times are monotonic seconds."""

    __slots__ = (
        "_at",
        "_before",
        "_held_until",
        "_is_stall",
        "_ramp_s",
        "_stalled_at",
        "_stalled_s",
        "_was_exhausted",
        "flaps",
        "phase",
        "step",
        "suspects",
    )  # fmt: skip

    def __init__(self) -> None:
        self.phase = Phase.CLOSED
        self.flaps = 0  # times it opened again soon after it had closed
        self.step = STEPS  # of the ramp: eighths of its share that the cluster takes
        self._at = -inf  # when the phase began
        self._before = (Phase.CLOSED, -inf)  # the phase in which it opened, and when that phase had begun
        self._is_stall = False  # a transient stall opened it, as far as is known yet
        self._stalled_s = 0.0  # length of the stalls up to `_stalled_at`, less the part they may take
        self._stalled_at = -inf
        self._held_until = -inf
        self._ramp_s = 0.0
        self.suspects: set[Hashable] = set()  # endpoints that failed, none having answered in between
        self._was_exhausted = False

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.OPEN

    def answered(self) -> None:
        """One of the endpoints answered: the failures before were failures of single endpoints."""
        if self.phase is not Phase.OPEN:
            self.suspects.clear()

    def tripped(self, endpoint: Hashable, count: int, stalling: Set[Hashable], now: float) -> None:
        """One of `count` endpoints was ejected; `stalling` endpoints have failed no request yet."""
        self.suspects.add(endpoint)
        if self.phase is not Phase.OPEN and len(self.suspects) >= _enough(count):
            self._open(now, was_exhausted=False, is_stall=self.suspects <= stalling)

    def look(self, serving: Set[Hashable], known: Set[Hashable], stalling: Set[Hashable], now: float) -> None:
        """Go on to the next phase if it is time, given which of the `known` endpoints serve or stall."""
        if self.phase is Phase.OPEN:
            self._look_at_open(serving, known, stalling, now)
        elif known and not serving:
            self._open(now, was_exhausted=True, is_stall=known <= stalling)
        if self.phase is Phase.RAMPING:
            done = 1.0 if not self._ramp_s else (now - self._at) / self._ramp_s
            self.step = min(int(done * STEPS) + 1, STEPS)
            if done >= 1.0:
                self._enter(Phase.CLOSED, now)

    def _look_at_open(
        self, serving: Set[Hashable], known: Set[Hashable], stalling: Set[Hashable], now: float
    ) -> None:
        is_back = self._is_back(serving, known)
        if self._is_stall and is_back:
            self._resume(now)
            return
        away = known if self._was_exhausted else self.suspects & known
        if self._is_stall and (now - self._at >= SHORT_S or not away <= stalling):
            self._has_failed()
        if is_back and now >= self._held_until:
            self._return(now)

    def _is_back(self, serving: Set[Hashable], known: Set[Hashable]) -> bool:
        """Whether an endpoint that failed serves again, or others have taken the places of the failed."""
        if not serving:
            return False
        failed = self.suspects & known
        return self._was_exhausted or not failed or bool(failed & serving)

    def _open(self, now: float, *, was_exhausted: bool, is_stall: bool) -> None:
        self._before = self.phase, self._at
        self._was_exhausted = was_exhausted
        self.step = STEPS
        self._enter(Phase.OPEN, now)
        self._is_stall = is_stall and self._stalled(now) < SHORT_S
        if not self._is_stall:
            self._has_failed()

    def _has_failed(self) -> None:
        """Note a failure, no mere transient stall: hold the cluster out, if it was out not long ago."""
        phase, since = self._before
        self._is_stall = False
        again = phase is Phase.RAMPING or self._at - since < STABLE_S
        self.flaps = self.flaps + 1 if again else 0
        hold_s = FIRST_HOLD_S * 2.0 ** min(self.flaps - 1, 16) if self.flaps else 0.0
        self._held_until = self._at + min(hold_s, LONGEST_HOLD_S)

    def _resume(self, now: float) -> None:
        """Go on in the phase before a transient stall: the stall has no consequences."""
        self._stalled_s = self._stalled(now) + now - self._at
        self._stalled_at = now
        self._is_stall = False
        self.suspects.clear()
        self.phase, self._at = self._before

    def _stalled(self, now: float) -> float:
        return max(0.0, self._stalled_s - STALLS_PART * (now - self._stalled_at))

    def _return(self, now: float) -> None:
        away_s = now - self._at
        self._ramp_s = RAMP_S if self.flaps else min(away_s, RAMP_S) if away_s >= SHORT_S else 0.0
        self.suspects.clear()
        self._enter(Phase.RAMPING, now)

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase = phase
        self._at = now


def _enough(count: int) -> int:
    """Return how many of `count` endpoints must fail in a row to open the breaker."""
    return max(min(count, FEW), ceil(count * PART))
