"""How long answers take, known well enough to tell an endpoint that has stalled from one that is slow.

Only answers that take longer than the shortest limit of a stall go into buckets: an answer of an endpoint
that is not slow costs an addition and two comparisons.
"""

from math import log
from typing import Final

FAST_S: Final = 0.01  # a tenth of the shortest limit; nothing depends on shorter times
WINDOW: Final = 2048  # answers after which the older ones count half
FEW: Final = 8  # answers that say nothing yet

_STEP: Final = log(1.25)
_BUCKETS: Final = 40  # the last one begins at a minute


class Latencies:
    """The times between a request and the head of its response: of one endpoint, or one route."""

    __slots__ = ("_slow", "total")

    def __init__(self) -> None:
        self.total = 0
        self._slow = [0] * _BUCKETS

    def note(self, took_s: float) -> None:
        self.total += 1
        if took_s >= FAST_S or self.total >= WINDOW:
            self._sort(took_s)

    def p99(self) -> float:
        """Return the time, rounded up, that one of a hundred exceeds; of very few, the longest."""
        allowed = (self.total + 99) // 100 if self.total >= FEW else 0
        above = 0
        for index in range(_BUCKETS - 1, -1, -1):
            above += self._slow[index]
            if above > allowed:
                return float(FAST_S * 1.25 ** (index + 1))
        return FAST_S

    def _sort(self, took_s: float) -> None:
        if took_s >= FAST_S:
            self._slow[min(int(log(took_s / FAST_S) / _STEP), _BUCKETS - 1)] += 1
        if self.total >= WINDOW:
            self.total //= 2
            self._slow = [count // 2 for count in self._slow]
