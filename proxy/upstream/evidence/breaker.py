"""The breaker of a cluster: the same for all endpoints of one service in it, where one is no accident.

    closed ▸ open (held) ▸ returning (its part grows) ▸ closed
                  ◂ whenever it fails again, and held for twice as long

A pause, in which endpoints were silent for a moment and failed nothing, opens it as well, but leaves no
trace: a program that collects garbage twice a minute would be held out for longer each time.

Pure: time is handed in. It decides nothing about single endpoints; it is told which of them serve.
"""

from collections.abc import Hashable, Set
from enum import StrEnum
from math import ceil, inf
from typing import Final

STEPS: Final = 8  # in which the part of a returning cluster grows
RETURN_S: Final = 10.0  # that this takes at most, and always once it has flapped
SHORT_S: Final = 2.0  # an absence below this, of a cluster that did not flap, needs no such care
FIRST_HOLD_S: Final = 1.0  # from the second time on
LONGEST_HOLD_S: Final = 60.0
STABLE_S: Final = 60.0  # after which a cluster is believed again
FEW: Final = 3  # endpoints: fewer must all fail
PART: Final = 0.2  # of many endpoints
PAUSES_PART: Final = 0.1  # of the time; a cluster that pauses for more of it, in the long run, fails


class Phase(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    RETURNING = "returning"


class ClusterBreaker:
    """Of one service in one cluster, in one worker."""

    __slots__ = (
        "_at", "_before", "_held_until", "_is_pause", "_paused_at", "_paused_s", "_returns_s",
        "_was_exhausted", "flaps", "level", "phase", "suspects",
    )  # fmt: skip

    def __init__(self) -> None:
        self.phase = Phase.CLOSED
        self.flaps = 0  # times it opened again soon after it had closed
        self.level = STEPS  # eighths of its share that it takes
        self._at = -inf  # when the phase began, monotonic
        self._before = (Phase.CLOSED, -inf)  # the phase it opened in, and when that had begun
        self._is_pause = False  # what opened it, as far as that is known yet
        self._paused_s = 0.0  # in pauses up to `_paused_at`, less what they may take
        self._paused_at = -inf
        self._held_until = -inf
        self._returns_s = 0.0
        self.suspects: set[Hashable] = set()  # endpoints that failed, none having answered in between
        self._was_exhausted = False

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.OPEN

    def answered(self) -> None:
        """One of its endpoints answered: failures before that are single ones."""
        if self.phase is not Phase.OPEN:
            self.suspects.clear()

    def tripped(self, endpoint: Hashable, count: int, pausing: Set[Hashable], now: float) -> None:
        """The breaker of one of `count` endpoints opened; who is `pausing` has failed nothing yet."""
        self.suspects.add(endpoint)
        if self.phase is not Phase.OPEN and len(self.suspects) >= _enough(count):
            self._open(now, was_exhausted=False, is_pause=self.suspects <= pausing)

    def look(self, serving: Set[Hashable], known: Set[Hashable], pausing: Set[Hashable], now: float) -> None:
        """Go on to the next phase if it is time, given which of the `known` endpoints serve or pause."""
        if self.phase is Phase.OPEN:
            self._look_at_open(serving, known, pausing, now)
        elif known and not serving:
            self._open(now, was_exhausted=True, is_pause=known <= pausing)
        if self.phase is Phase.RETURNING:
            done = 1.0 if not self._returns_s else (now - self._at) / self._returns_s
            self.level = min(int(done * STEPS) + 1, STEPS)
            if done >= 1.0:
                self._enter(Phase.CLOSED, now)

    def _look_at_open(
        self, serving: Set[Hashable], known: Set[Hashable], pausing: Set[Hashable], now: float
    ) -> None:
        is_back = self._is_back(serving, known)
        if self._is_pause and is_back:
            self._resume(now)
            return
        away = known if self._was_exhausted else self.suspects & known
        if self._is_pause and (now - self._at >= SHORT_S or not away <= pausing):
            self._has_failed()
        if is_back and now >= self._held_until:
            self._return(now)

    def _is_back(self, serving: Set[Hashable], known: Set[Hashable]) -> bool:
        """Whether there is proof: one that failed serves again, or other endpoints have taken their place."""
        if not serving:
            return False
        failed = self.suspects & known
        return self._was_exhausted or not failed or bool(failed & serving)

    def _open(self, now: float, *, was_exhausted: bool, is_pause: bool) -> None:
        self._before = self.phase, self._at
        self._was_exhausted = was_exhausted
        self.level = STEPS
        self._enter(Phase.OPEN, now)
        self._is_pause = is_pause and self._paused(now) < SHORT_S
        if not self._is_pause:
            self._has_failed()

    def _has_failed(self) -> None:
        """It is open for more than a pause: have it held, if it has been open not long ago."""
        phase, since = self._before
        self._is_pause = False
        again = phase is Phase.RETURNING or self._at - since < STABLE_S
        self.flaps = self.flaps + 1 if again else 0
        hold_s = FIRST_HOLD_S * 2.0 ** min(self.flaps - 1, 16) if self.flaps else 0.0
        self._held_until = self._at + min(hold_s, LONGEST_HOLD_S)

    def _resume(self, now: float) -> None:
        """It was a pause: go on as if nothing had been."""
        self._paused_s = self._paused(now) + now - self._at
        self._paused_at = now
        self._is_pause = False
        self.suspects.clear()
        self.phase, self._at = self._before

    def _paused(self, now: float) -> float:
        return max(0.0, self._paused_s - PAUSES_PART * (now - self._paused_at))

    def _return(self, now: float) -> None:
        away_s = now - self._at
        self._returns_s = RETURN_S if self.flaps else min(away_s, RETURN_S) if away_s >= SHORT_S else 0.0
        self.suspects.clear()
        self._enter(Phase.RETURNING, now)

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase = phase
        self._at = now


def _enough(count: int) -> int:
    """Return how many endpoints of so many must fail in a row."""
    return max(min(count, FEW), ceil(count * PART))
