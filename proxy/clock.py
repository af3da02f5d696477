"""The clock of a worker. One object is handed to everything that asks for the time, so tests can set it."""

from time import monotonic


class Clock:
    """Seconds that only grow, on a scale that all processes of a machine share (CLOCK_MONOTONIC)."""

    __slots__ = ()

    def now(self) -> float:
        return monotonic()
