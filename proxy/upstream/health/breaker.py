"""The breaker of a cluster: the same for all endpoints of one service in it, where one is no accident.

    closed ▸ open (held) ▸ returning (its part grows) ▸ closed
                  ◂ whenever it fails again, and held for twice as long

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


class Phase(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    RETURNING = "returning"


class ClusterBreaker:
    """Of one service in one cluster, in one worker."""

    __slots__ = ("_at", "_held_until", "_returns_s", "_was_exhausted", "flaps", "level", "phase", "suspects")

    def __init__(self) -> None:
        self.phase = Phase.CLOSED
        self.flaps = 0  # times it opened again soon after it had closed
        self.level = STEPS  # eighths of its share that it takes
        self._at = -inf  # when the phase began, monotonic
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

    def tripped(self, endpoint: Hashable, count: int, now: float) -> None:
        """The breaker of one of `count` endpoints opened."""
        self.suspects.add(endpoint)
        if self.phase is not Phase.OPEN and len(self.suspects) >= _enough(count):
            self._open(now, was_exhausted=False)

    def look(self, serving: Set[Hashable], known: Set[Hashable], now: float) -> None:
        """Go on to the next phase if it is time, given which of the `known` endpoints serve."""
        if self.phase is Phase.OPEN:
            if now >= self._held_until and self._is_back(serving, known):
                self._return(now)
        elif known and not serving:
            self._open(now, was_exhausted=True)
        if self.phase is Phase.RETURNING:
            done = 1.0 if not self._returns_s else (now - self._at) / self._returns_s
            self.level = min(int(done * STEPS) + 1, STEPS)
            if done >= 1.0:
                self._enter(Phase.CLOSED, now)

    def _is_back(self, serving: Set[Hashable], known: Set[Hashable]) -> bool:
        """Whether there is proof: one that failed serves again, or other endpoints have taken their place."""
        if not serving:
            return False
        failed = self.suspects & known
        return self._was_exhausted or not failed or bool(failed & serving)

    def _open(self, now: float, *, was_exhausted: bool) -> None:
        again = self.phase is Phase.RETURNING or now - self._at < STABLE_S
        self.flaps = self.flaps + 1 if again else 0
        hold_s = FIRST_HOLD_S * 2.0 ** min(self.flaps - 1, 16) if self.flaps else 0.0
        self._held_until = now + min(hold_s, LONGEST_HOLD_S)
        self._was_exhausted = was_exhausted
        self.level = STEPS
        self._enter(Phase.OPEN, now)

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
