"""How many attempts beyond the first the endpoints of one service in one cluster may get.

Retries of a few requests help them; retries of all requests are what keeps a struggling service down.
"""

from collections.abc import Iterable
from math import exp, inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.upstream.endpoint import LiveEndpoint

PART: Final = 0.2  # of the other requests: Envoy's and linkerd's
LEAST_PER_S: Final = 10.0  # whatever the others are: linkerd's
WINDOW_S: Final = 10.0  # what is longer ago counts e times less
_REFRESH_S: Final = 0.1


class RetryBudget:
    """Counts nothing while no retry asks: what there was besides is read from the endpoints' own counters."""

    __slots__ = ("_counted", "_offered", "_since", "_spent", "_unread")

    def __init__(self) -> None:
        self._since = -inf
        self._counted = 0  # attempts at all the endpoints, at that time
        self._offered = 0.0  # first attempts in the window
        self._spent = 0.0  # others
        self._unread = 0  # of these, those since that time: the endpoints count them like any

    def has_left(self, endpoints: Iterable["LiveEndpoint"], now: float) -> bool:
        if now - self._since >= _REFRESH_S:
            self._refresh(sum([endpoint.requests for endpoint in endpoints]), now)
        return self._spent + 1.0 <= PART * self._offered + LEAST_PER_S * WINDOW_S

    def take(self, endpoints: Iterable["LiveEndpoint"], now: float) -> bool:
        """Spend one attempt; False when none is left, and then it must not be made."""
        if not self.has_left(endpoints, now):
            return False
        self._spent += 1.0
        self._unread += 1
        return True

    def _refresh(self, counted: int, now: float) -> None:
        fading = exp((self._since - now) / WINDOW_S)
        # Less than before when endpoints have gone; before the first time nothing is known
        new = max(counted - self._counted - self._unread, 0) if self._since > -inf else 0
        self._offered = self._offered * fading + new
        self._spent *= fading
        self._counted = counted
        self._unread = 0
        self._since = now
