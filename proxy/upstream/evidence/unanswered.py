"""Whether connects to an endpoint get any answer: where none came lately, a request need not wait for one.

A refusal is an answer, and so is anything that comes over a connection that is there already.
"""

from math import inf
from typing import Final

TO_BE_UNREACHABLE: Final = 2  # of one that was given up both SYNs may have been lost


class Unanswered:
    """Connects to one endpoint that nothing came of, since the last sign of life. Times are monotonic."""

    __slots__ = ("_answered", "_count", "is_unreachable")

    def __init__(self) -> None:
        self.is_unreachable = False
        self._count = 0
        self._answered = -inf  # when a connect was answered last

    def add(self, started: float, heard: float) -> None:
        """A connect begun at `started` was given up; the endpoint was `heard` last at that time.

        It counts only where nothing has come since it began: of many that were lost in one moment, and
        answered in the next, none does.
        """
        if started > self._answered and started > heard:
            self._count += 1

    @property
    def is_enough(self) -> bool:
        return self._count >= TO_BE_UNREACHABLE

    def end(self, now: float) -> bool:
        """There was a sign of life; return whether it was unreachable."""
        was_unreachable, self.is_unreachable = self.is_unreachable, False
        self._count = 0
        self._answered = now
        return was_unreachable
