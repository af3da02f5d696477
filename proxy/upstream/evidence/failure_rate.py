"""Whether requests to an endpoint fail often, by how many requests lie between two that fail. Pure."""

from math import inf
from typing import Final

OFTEN: Final = 50.0  # requests from one failure to the next, or fewer: two of a hundred fail
MOST: Final = 100.0  # requests that a gap counts for: a good past is no comfort
MEMORY: Final = 4.0  # failures that are remembered
OVER: Final = 4.0  # gaps without a failure, and the rate is low again; where one of ten requests fails,
# one gap in 60 is as long
FRESH_S: Final = 5.0  # time without a failure after which the rate is low again, even with few requests


class FailureRate:
    """How often requests to one endpoint fail, as one worker sees it.

    `requests` is the number of requests that the endpoint has had in all, `now` is monotonic.
    """

    __slots__ = ("_at", "_gap", "_last")

    def __init__(self) -> None:
        self._gap = MOST
        self._last = 0
        self._at = -inf

    def add(self, requests: int, now: float) -> None:
        self._gap += (min(requests - self._last, MOST) - self._gap) / MEMORY
        self._last = requests
        self._at = now

    def is_high(self, requests: int, now: float) -> bool:
        is_over = requests - self._last > OVER * self._gap or now - self._at >= FRESH_S
        return self._gap <= OFTEN and not is_over
