"""How many requests an endpoint has shown to work on at a time: a lower bound, never a guess.

Three observations show it. A liveness probe is answered while requests that were sent before it are not.
Answers that take W seconds of work each, all within less time than one worker needs for them, were worked
on by several. And a request that later ones have overtaken again and again is being worked on beside
them: a queue would have let it go first. Network and wake-ups make an answer take longer than its work,
so the work of a request is the fastest answer of its kind, less a round trip and OVERHEAD_S.
"""

from math import ceil, inf
from typing import Final

OVERHEAD_S: Final = 0.0005  # most that a program needs to wake up for a request: measured 0.05 to 0.1 ms
LEAST_WORK_S: Final = 0.0005  # shorter work is lost in wake-ups: a single thread would look like several
MOST: Final = 64  # shown at a time; more is never asked for
OVERTAKEN: Final = 3  # times by requests sent BEHIND_S or more after it, and a request is being worked on
BEHIND_S: Final = 0.05
CONFIRMED: Final = 2  # probes that were answered beside as many requests
PROBES: Final = 16  # the fastest of so many shows the time of a probe on an idle endpoint
REHEARSALS: Final = 40  # probes of an endpoint that are sent for this evidence alone, in an hour

_ENOUGH: Final = 8  # shown by answers; more is shown by probes and requests that are overtaken
_SURE: Final = 0.95
_HOUR_S: Final = 3600.0
_REMEMBERED: Final = 32  # answers


class Concurrency:
    """The concurrency of one endpoint, as one worker has seen it. Times are monotonic seconds."""

    __slots__ = (
        "_beside_probes", "_overtaken", "_probe_s", "_probes", "_recent", "_rehearsals", "_rehearsed",
        "shown",
    )  # fmt: skip

    def __init__(self) -> None:
        self.shown = 1
        self._recent: list[tuple[float, float]] = []  # when requests were sent, and their work
        self._overtaken: dict[float, int] = {}  # requests that wait, by when they were sent
        self._beside_probes: list[
            int
        ] = []  # requests that waited while probes were answered, if they were many
        self._probes = 0  # answered so far
        self._probe_s = inf  # the fastest answer to one
        self._rehearsals = 0  # in the hour since `_rehearsed`
        self._rehearsed = -inf

    def answered(self, since: float, now: float, took_s: float, waiting: list[float]) -> None:
        """Take in the answer at `now` to a request sent at `since`, of a kind that takes `took_s` at least.

        `took_s` is without the round trip. `waiting` is when the requests were sent that wait for their
        answers still, all of them or some.
        """
        counts = self._overtaken
        self._overtaken = {
            sent: counts.get(sent, 0) + (sent + BEHIND_S <= since) for sent in waiting if sent < since
        }
        self._see(self._beside(since) + 1)
        work_s = took_s - OVERHEAD_S
        if work_s < LEAST_WORK_S or self.shown >= _ENOUGH:
            return
        self._recent.append((since, work_s))
        if len(self._recent) > _REMEMBERED:
            del self._recent[0]
        total = 0.0
        first = now
        for sent, work in reversed(self._recent):
            first = min(first, sent)
            total += work
            if total * _SURE > now - first > 0.0:
                self._see(ceil(total * _SURE / (now - first)) + self._beside(first))

    def is_unknown(self) -> bool:
        """Whether it is not known yet how long a probe takes."""
        return self._probes < PROBES

    def probed(
        self,
        asked: float,
        now: float,
        took_s: float,
        waiting: list[float],
        *,
        was_idle: bool,
        at_random: bool = True,
    ) -> None:
        """Take in that a probe sent at `asked` was answered at `now`, in `took_s` without the round trip.

        `waiting` has the send times of requests sent before the probe that still wait; `was_idle`: no
        request was in flight. Only probes that were sent `at_random` teach how long a probe takes: where the
        program has one worker, a probe sent right after a request would always wait for that request.
        """
        if was_idle or at_random:
            self._probe_s = min(self._probe_s, took_s)
            self._probes = PROBES if was_idle else self._probes + 1
        if not was_idle and not self.is_unknown():
            self.answered(asked, now, self._probe_s, waiting)
        if len(waiting) < self.shown:
            return
        self._beside_probes.append(len(waiting))
        if len(self._beside_probes) >= CONFIRMED:
            self._see(min(self._beside_probes) + 1)
            self._beside_probes = [each for each in self._beside_probes if each >= self.shown]

    def may_rehearse(self, now: float) -> bool:
        """Whether another probe may be sent for this evidence alone; if so, count the probe as sent."""
        if self.shown >= MOST:
            return False
        if now - self._rehearsed >= _HOUR_S:
            self._rehearsed = now
            self._rehearsals = 0
        self._rehearsals += 1
        return self._rehearsals <= REHEARSALS

    def _beside(self, since: float) -> int:
        """Return how many requests have been worked on from `since` on, and are still."""
        return sum([1 for sent, count in self._overtaken.items() if count >= OVERTAKEN and sent < since])

    def _see(self, at_a_time: int) -> None:
        self.shown = min(max(self.shown, at_a_time), MOST)
