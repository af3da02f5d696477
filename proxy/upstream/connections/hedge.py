"""A connect that gets no answer is hedged: another one starts beside it, and the first to answer serves.

Nothing has been sent before a connection is there, so any method may be hedged. It is RFC 8305 (happy
eyeballs) across endpoints and clusters, with a delay that is learned.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.upstream.retries.retry import Failure

if TYPE_CHECKING:
    from proxy.upstream.connections.connection import UpstreamConnection
    from proxy.upstream.connections.connector import Connector
    from proxy.upstream.connections.room import Requester
    from proxy.upstream.endpoint import LiveEndpoint

LEAST_DELAY_S: Final = 0.01
FIRST_DELAY_S: Final = 0.1  # while nothing is known of a cluster
MOST_DELAY_S: Final = 0.25  # RFC 8305 §8: the delay it recommends where nothing is learned

MOST_CONNECTS: Final = 3  # of one request at a time: two clusters may be gone at once

_LATE_S: Final = 0.002
"""A timer as late as this says that the loop was busy: an answer may be there and not have been read."""


class ConnectTimes:
    """How long connects to one service in one cluster take, and so how long to wait for one alone."""

    __slots__ = ("_deviation_s", "_mean_s", "hedge_s", "least_s")

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._deviation_s = 0.0
        self.least_s = 0.0  # what the fastest connect took: a round trip; 0 where none is known
        self.hedge_s = FIRST_DELAY_S

    @property
    def are_short(self) -> bool:
        """Whether a connect that takes longer than `hedge_s` is out of the ordinary."""
        return self._mean_s > 0.0 and self.hedge_s < MOST_DELAY_S

    def learn(self, seconds: float) -> None:
        """Take in how long a connect took, as TCP does with round trips (RFC 6298 §2)."""
        self.least_s = min(seconds, self.least_s or seconds)
        if self._mean_s:
            self._deviation_s += (abs(seconds - self._mean_s) - self._deviation_s) / 4.0
            self._mean_s += (seconds - self._mean_s) / 8.0
        else:
            self._mean_s = seconds
            self._deviation_s = seconds / 2.0
        # Half as much again as the mean: where times hardly differ a bit more is no sign of anything
        delay = 1.5 * self._mean_s + 4.0 * self._deviation_s
        self.hedge_s = min(max(delay, LEAST_DELAY_S), MOST_DELAY_S)


class Delay:
    """Waits for an answer: `work` is called when the loop has had time to see one that came before.

    So two timers in a row have to be on time: one may come just before the loop was held up.
    """

    __slots__ = ("_connector", "_due", "_timer", "_was_on_time", "_work")

    def __init__(self, connector: "Connector") -> None:
        self._connector = connector
        self._work: Callable[[], None] | None = None
        self._due = 0.0
        self._was_on_time = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, work: Callable[[], None]) -> None:
        self._work = work
        self._was_on_time = False
        self._wait(seconds)

    def stop(self) -> None:
        self._work = None  # whoever waits here is free, and not for the collector to find
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._due = monotonic() + seconds
        self._timer = self._connector.later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        is_on_time = monotonic() - self._due <= _LATE_S
        if not (is_on_time and self._was_on_time):
            self._was_on_time = is_on_time
            self._wait(_LATE_S)
            return
        work, self._work = self._work, None
        if work is not None:
            work()


class HedgedConnect:
    """The connects of one request, until one is answered or none is left."""

    __slots__ = ("_connecting", "_connector", "_delay", "_is_won", "_requester", "_tried")

    def __init__(self, connector: "Connector", requester: "Requester") -> None:
        self._connector = connector
        self._requester = requester
        self._tried: list[LiveEndpoint] = []
        self._connecting: list[LiveEndpoint] = []
        self._is_won = False
        self._delay = Delay(connector)

    def start(self, endpoint: "LiveEndpoint") -> None:
        self._tried.append(endpoint)
        self._connecting.append(endpoint)
        self._connector.connect(endpoint, self)
        if len(self._tried) < MOST_CONNECTS:
            self._delay.start(endpoint.room.times.hedge_s, self._hedge)

    def on_connected(self, connection: "UpstreamConnection") -> None:
        endpoint = connection.endpoint
        self._connecting.remove(endpoint)
        if self._is_won:
            endpoint.release(connection)
        else:
            self._win(connection)

    def on_connect_failed(self, endpoint: "LiveEndpoint", failure: Failure) -> None:
        self._connecting.remove(endpoint)
        if self._is_won:
            self._requester.on_connect_lost(endpoint, failure)
        elif self._connecting:
            self._requester.on_connect_lost(endpoint, failure)
            self._delay.stop()
            self._hedge()
        else:
            self._delay.stop()
            self._requester.on_connect_failed(endpoint, failure)

    def _hedge(self) -> None:
        """Begin another connect, where one may go and there is room for it."""
        requester = self._requester
        if requester.is_done or len(self._tried) >= MOST_CONNECTS:
            return
        endpoint = requester.beside(self._tried)
        if endpoint is None:
            return
        idle = endpoint.checkout()
        if idle is not None:
            self._tried.append(endpoint)
            self._win(idle)
        elif self._connector.has_room(endpoint):
            self.start(endpoint)

    def _win(self, connection: "UpstreamConnection") -> None:
        self._is_won = True
        self._delay.stop()
        if len(self._tried) > 1 and not self._requester.is_done:
            self._requester.on_hedged(self._connecting, self._tried, connection.endpoint)
        self._requester.on_connected(connection)
