"""Requests that were given up without an answer: the endpoint may be working on them all the same."""

from math import inf
from typing import Final

from proxy.upstream.evidence.silence import WORKING_S, late_after_s

MOST: Final = 64  # remembered of one endpoint


class GivenUp:
    """The given-up requests of one worker at one endpoint. Times are monotonic seconds."""

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: list[tuple[float, float]] = []  # when each was sent, and when its work is surely over

    def add(self, since: float, longest_s: float, now: float) -> None:
        """Remember a request sent at `since`; its kind takes `longest_s` at most, inf if unknown."""
        over = now + (late_after_s(longest_s) if longest_s != inf else WORKING_S)
        self._requests = [each for each in self._requests if each[1] > now][1 - MOST :]
        self._requests.append((since, over))

    def still(self, now: float) -> list[float]:
        """Return when the requests were sent that the endpoint may still be working on at `now`."""
        return [since for since, over in self._requests if over > now] if self._requests else []

    def resumed(self, paused_s: float) -> None:
        """Put off the ends of the requests: the endpoint had stopped for `paused_s`."""
        self._requests = [(since, over + paused_s) for since, over in self._requests]
