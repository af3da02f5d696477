"""How much of its share a cluster takes as its endpoints fail and return: it falls at once, and rises slowly.

Pure: time is handed in. An endpoint that comes and goes every second does not swing traffic.
"""

from math import inf
from typing import Final

STEP: Final = 0.125  # of the share
STEP_S: Final = 1.0


class Ramp:
    """Of one service in one cluster, in one worker."""

    __slots__ = ("_next", "_target", "part")

    def __init__(self) -> None:
        self.part = 1.0
        self._target = 1.0
        self._next = inf  # when it rises, monotonic

    @property
    def is_rising(self) -> bool:
        return self.part < self._target

    def aim(self, target: float, now: float) -> None:
        """Its endpoints can carry this part now."""
        self._target = target
        if target <= self.part:
            self.part = target
            self._next = inf
        elif self._next == inf:
            self._next = now + STEP_S

    def reset(self) -> None:
        """The cluster is away: how it comes back is for its breaker to say."""
        self.part = self._target = 1.0
        self._next = inf

    def rise(self, now: float) -> None:
        """Go on if it is time."""
        while now >= self._next:
            self.part = min(self.part + STEP, self._target)
            self._next = self._next + STEP_S if self.part < self._target else inf
