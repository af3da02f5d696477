"""Pauses of this worker: times in which it had no core, or worked on one thing, and read from no socket.

An answer that comes in a pause looks late, though the endpoint was in time. As evidence of how long its kind
takes, a pause of 0.1 s would delay proofs by a second, for as long as histories last.
"""

from math import inf


class Pauses:
    """The last pause of a worker that expects to be called every `tick_s` seconds. Times are monotonic."""

    __slots__ = ("_began", "_ended", "_expected", "_late_s", "_tick_s")

    def __init__(self, tick_s: float, late_s: float) -> None:
        """A call that is `late_s` late, or later, was delayed by a pause."""
        self._tick_s = tick_s
        self._late_s = late_s
        self._expected = inf  # when the next call is due
        self._began = -inf
        self._ended = -inf

    def begin(self, now: float) -> None:
        """Expect a call from now on."""
        self._expected = now + self._tick_s

    def ticked(self, now: float) -> bool:
        """Note the call that was due; return whether a pause has come before it."""
        is_late = now - self._expected >= self._late_s
        if is_late:
            self._began, self._ended = self._expected, now
        self._expected = now + self._tick_s
        return is_late

    def end(self) -> None:
        """Expect no more calls."""
        self._expected = inf

    def within_s(self, since: float, now: float) -> float:
        """Return how much of the time from `since` to `now` was a pause: the last one, and one that
        lasts."""
        paused_s = 0.0
        if since < self._ended:
            paused_s = self._ended - max(since, self._began)
        if now - self._expected >= self._late_s:
            # Bytes that came in a pause are read before the call that tells of it
            paused_s += now - max(since, self._expected)
        return paused_s
