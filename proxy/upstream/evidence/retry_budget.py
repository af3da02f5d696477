"""How many attempts beyond the first the endpoints of one service in one cluster may get.

Retries of a few requests help them; retries of all requests are what keeps a struggling service down.
"""

from collections.abc import Iterable
from math import exp, inf
from typing import Final

PART: Final = 0.2  # of the other requests: Envoy's and linkerd's
LEAST_PER_S: Final = 10.0  # whatever the others are: linkerd's
WINDOW_S: Final = 10.0  # what is longer ago counts e times less
_REFRESH_S: Final = 0.1


class RetryBudget:
    """Costs requests that need no retry nothing: how many there are is read from the endpoints' counters."""

    __slots__ = ("_counted", "_since", "_spent", "_unread", "offered")

    def __init__(self) -> None:
        self._since = -inf
        self._counted = 0  # attempts at all the endpoints, at that time
        self.offered = 0.0  # first attempts in the window
        self._spent = 0.0  # others
        self._unread = 0  # of these, those since that time: the endpoints count them like any

    def has_left(self, requests: Iterable[int], now: float, elsewhere: float = 0.0) -> bool:
        """Whether an attempt may be made; `elsewhere`: what others were offered that this one may replace."""
        if now - self._since >= _REFRESH_S:
            self.refresh(requests, now)
        return self._spent + 1.0 <= PART * (self.offered + elsewhere) + LEAST_PER_S * WINDOW_S

    def take(self, requests: Iterable[int], now: float, elsewhere: float = 0.0) -> bool:
        """Spend one attempt; False when none is left, and then it must not be made."""
        if not self.has_left(requests, now, elsewhere):
            return False
        self._spent += 1.0
        self._unread += 1
        return True

    def give_back(self) -> None:
        """An attempt was answered that an endpoint owed which is dead: it has moved, and adds to no load."""
        self._spent = max(self._spent - 1.0, 0.0)

    def undo(self) -> None:
        """An attempt that was spent is not made."""
        self._spent = max(self._spent - 1.0, 0.0)
        self._unread = max(self._unread - 1, 0)

    def refresh(self, requests: Iterable[int], now: float) -> None:
        """Take note of what the endpoints were asked since the last time."""
        past_s = now - self._since
        if past_s <= 0.0:
            return
        counted = sum(requests)
        fading = exp(-past_s / WINDOW_S)
        # Less than before when endpoints have gone; before the first time nothing is known
        new = max(counted - self._counted - self._unread, 0) if self._since > -inf else 0
        # They came evenly, for all we know: the first of them have faded already
        self.offered = self.offered * fading + new * (1.0 - fading) * WINDOW_S / past_s
        self._spent *= fading
        self._counted = counted
        self._unread = 0
        self._since = now
