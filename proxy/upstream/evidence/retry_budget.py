"""How many attempts beyond the first the endpoints of one service in one cluster may get.

Retries of a few requests help them; retries of all requests keep a struggling service down.
"""

from collections.abc import Iterable
from math import exp, inf
from typing import Final

PART: Final = 0.2  # part of the first attempts that may be repeated: the default of Envoy and linkerd
LEAST_PER_S: Final = 10.0  # repetitions that are always allowed: the default of linkerd
WINDOW_S: Final = 10.0  # attempts that are so long ago count e times less
_REFRESH_S: Final = 0.1


class RetryBudget:
    """Costs a request without a retry nothing: `requests` are the attempts that each endpoint has counted."""

    __slots__ = ("_counted", "_since", "_spent", "_unread", "offered")

    def __init__(self) -> None:
        self._since = -inf
        self._counted = 0  # attempts at all endpoints up to `_since`
        self.offered = 0.0  # offered load: first attempts in the window
        self._spent = 0.0  # repetitions in the window
        self._unread = 0  # repetitions since `_since`: the endpoints count them like first attempts

    def has_left(self, requests: Iterable[int], now: float, elsewhere: float = 0.0) -> bool:
        """Whether an attempt may be made; `elsewhere` is the offered load of clusters it may replace."""
        if now - self._since >= _REFRESH_S:
            self.refresh(requests, now)
        return self._spent + 1.0 <= PART * (self.offered + elsewhere) + LEAST_PER_S * WINDOW_S

    def take(self, requests: Iterable[int], now: float, elsewhere: float = 0.0) -> bool:
        """Spend one attempt; return False when none is left: then it must not be made."""
        if not self.has_left(requests, now, elsewhere):
            return False
        self._spent += 1.0
        self._unread += 1
        return True

    def give_back(self) -> None:
        """Give back an answered attempt that had left a dead endpoint: its request adds no load."""
        self._spent = max(self._spent - 1.0, 0.0)

    def undo(self) -> None:
        """An attempt that was taken is not made."""
        self._spent = max(self._spent - 1.0, 0.0)
        self._unread = max(self._unread - 1, 0)

    def refresh(self, requests: Iterable[int], now: float) -> None:
        """Take note of the attempts since the last time."""
        past_s = now - self._since
        if past_s <= 0.0:
            return
        counted = sum(requests)
        fading = exp(-past_s / WINDOW_S)
        # Less than before when endpoints have gone; before the first time nothing is known
        new = max(counted - self._counted - self._unread, 0) if self._since > -inf else 0
        # The attempts are taken to have come evenly: the first of them have faded already
        self.offered = self.offered * fading + new * (1.0 - fading) * WINDOW_S / past_s
        self._spent *= fading
        self._counted = counted
        self._unread = 0
        self._since = now
