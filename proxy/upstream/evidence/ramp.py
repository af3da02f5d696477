"""The ramp of a cluster's share: it falls at once when endpoints fail, and rises in steps when they are back.

So an endpoint that comes and goes every second does not swing traffic.
"""

from math import inf
from typing import Final

STEP: Final = 0.125  # part of the share by which a step rises
STEP_S: Final = 1.0


class Ramp:
    """The ramp of one service in one cluster, in one worker. Times are monotonic seconds."""

    __slots__ = ("_next", "_target", "part")

    def __init__(self) -> None:
        self.part = 1.0
        self._target = 1.0
        self._next = inf  # when the part rises

    @property
    def is_rising(self) -> bool:
        return self.part < self._target

    def aim(self, target: float, now: float) -> None:
        """Set the part of the share, 0 to 1, that the endpoints can carry now."""
        self._target = target
        if target <= self.part:
            self.part = target
            self._next = inf
        elif self._next == inf:
            self._next = now + STEP_S

    def reset(self) -> None:
        """Take the whole share: no endpoint serves, and the breaker decides how the cluster comes back."""
        self.part = self._target = 1.0
        self._next = inf

    def rise(self, now: float) -> None:
        """Take the next step if it is time."""
        while now >= self._next:
            self.part = min(self.part + STEP, self._target)
            self._next = self._next + STEP_S if self.part < self._target else inf
