"""How long requests of each kind have taken in the last hour: one bounded table for all workers of a gateway.

A row is eight 64-bit words in memory that the workers share: the key of the kind, the half hour that the
row is about, the longest and the fastest answer of that half hour, the longest of the half hour before, the
fastest of all, and how many answers were noted. Words are written one at a time and never locked: a lost
update costs one answer of many, and its key shows when another kind has taken a row over.
"""

from hashlib import blake2b
from math import inf
from typing import Final

ROWS: Final = 8192
MEMORY_BYTES: Final = ROWS * 64
PERIOD_S: Final = 1800.0  # two of them are remembered: an answer counts for 30 to 60 minutes
FEW: Final = 8  # answers that tell nothing about a kind yet

_PROBES: Final = 16  # rows that a key may be in; where all are taken the kind has no history
_WORDS: Final = 8
_PERIOD: Final = 1
_LONGEST: Final = 2
_BEFORE: Final = 3
_FASTEST: Final = 4
_COUNT: Final = 5


def key_of(name: bytes) -> int:
    """Return the key of a kind: 63 bits, never 0, the same in every process."""
    return (int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 1) or 1


class Histories:
    """The table. Times are monotonic seconds, whose clock all processes of a machine share."""

    __slots__ = ("_keys", "_values")

    def __init__(self, memory: memoryview | None = None) -> None:
        """`memory` is MEMORY_BYTES of zeros that workers share; without it this worker remembers alone."""
        memory = memory if memory is not None else memoryview(bytearray(MEMORY_BYTES))
        self._keys = memory.cast("q")
        self._values = memory.cast("d")

    def place(self, key: int, now: float) -> int:
        """Return where the row of a kind is, or is made; -1 where there is no room for it."""
        free = -1
        for probe in range(_PROBES):
            at = (key + probe) % ROWS * _WORDS
            found: int = self._keys[at]
            if found == key:
                return at
            if free < 0 and (not found or self._is_forgotten(at, now)):
                free = at
        if free >= 0:
            self._keys[free] = 0  # no worker reads the row while its words change hands
            self._values[free + _PERIOD] = now // PERIOD_S
            for word in (_LONGEST, _BEFORE, _FASTEST, _COUNT):
                self._values[free + word] = 0.0
            self._keys[free] = key
        return free

    def note(self, at: int, key: int, took_s: float, now: float) -> bool:
        """Note an answer in the row at `at`; return False where that is another kind's row by now."""
        values = self._values
        if self._keys[at] != key:
            return False
        period = now // PERIOD_S
        then: float = values[at + _PERIOD]
        if then != period:
            values[at + _BEFORE] = values[at + _LONGEST] if period - then == 1.0 else 0.0
            values[at + _LONGEST] = 0.0
            if period - then > 1.0:
                values[at + _COUNT] = 0.0
            values[at + _PERIOD] = period
        if took_s > values[at + _LONGEST]:
            values[at + _LONGEST] = took_s
        fastest: float = values[at + _FASTEST]
        if not fastest or took_s < fastest:
            values[at + _FASTEST] = took_s
        values[at + _COUNT] += 1.0
        return True

    def longest_s(self, at: int, key: int, now: float, *, few: int = FEW) -> float:
        """Return how long the slowest answer of the last hour took; inf where fewer than `few` are known."""
        values = self._values
        if self._keys[at] != key or values[at + _COUNT] < few or self._is_forgotten(at, now):
            return inf
        longest: float = values[at + _LONGEST]
        before: float = values[at + _BEFORE]
        return max(longest, before) if now // PERIOD_S == values[at + _PERIOD] else longest

    def fastest_s(self, at: int, key: int) -> float:
        """Return how long the fastest answer took, 0 where none is known."""
        fastest: float = self._values[at + _FASTEST]
        return fastest if self._keys[at] == key else 0.0

    def _is_forgotten(self, at: int, now: float) -> bool:
        then: float = self._values[at + _PERIOD]
        return now // PERIOD_S - then > 1.0
