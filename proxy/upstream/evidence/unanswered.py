"""Whether an endpoint is unreachable: its connects get no answer, so a request need not wait for one.

A refusal is an answer, and so is any byte that comes over a connection that is already open.
"""

from math import inf
from typing import Final

TO_BE_UNREACHABLE: Final = 2  # connects without an answer: both SYNs of a single connect may have been lost


class Unanswered:
    """Connects to one endpoint without an answer, since its last sign of life. Times are monotonic."""

    __slots__ = ("_answered", "_count", "is_unreachable")

    def __init__(self) -> None:
        self.is_unreachable = False
        self._count = 0
        self._answered = -inf  # when a connect was answered last

    def add(self, started: float, heard: float) -> None:
        """A connect begun at `started` was given up; the endpoint was `heard` last at that time.

        The connect counts only if no byte has come since it began: where many connects were lost in one
        moment, and the next connects were answered, none of the lost ones counts.
        """
        if started > self._answered and started > heard:
            self._count += 1

    @property
    def is_enough(self) -> bool:
        return self._count >= TO_BE_UNREACHABLE

    def end(self, now: float) -> bool:
        """Note a sign of life; return whether the endpoint was unreachable."""
        was_unreachable, self.is_unreachable = self.is_unreachable, False
        self._count = 0
        self._answered = now
        return was_unreachable
