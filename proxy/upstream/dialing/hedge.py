"""A connect that gets no answer is hedged: another one starts beside it, and the first to answer serves.

Nothing has been sent before a connection is there, so any method may be hedged. A hedge is RFC 8305 (happy
eyeballs) across endpoints and clusters, with a delay that is learned.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Protocol

from proxy.clock import Clock
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.delay import Delay
from proxy.upstream.dialing.pending import Requester
from proxy.upstream.endpoint import LiveEndpoint, endpoint_of
from proxy.upstream.evidence.failure import Failure

MOST_CONNECTS: Final = 3  # connects of one request at a time: two clusters may be gone at once


class Waiter(Protocol):
    """The request, probe or suspicion for which a connection is opened."""

    def on_connected(self, stream: UpstreamStream) -> None: ...

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None: ...


class Opener(ABC):
    """Opens connections, as hedged connects see it: the connector."""

    __slots__ = ("clock",)

    clock: Clock

    @abstractmethod
    def connect(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        """Open a connection for `waiter`, which is told of the outcome later on."""

    @abstractmethod
    def has_capacity(self, endpoint: LiveEndpoint) -> bool:
        """Whether one more connection may be opened to the endpoint."""

    @abstractmethod
    def later(self, delay_s: float, work: Callable[[], None]) -> asyncio.TimerHandle: ...


class HedgedConnect:
    """The connects of one request, until one is answered or none is left."""

    __slots__ = ("_connecting", "_delay", "_hedging", "_is_won", "_opener", "_requester", "_tried")

    def __init__(self, opener: Opener, requester: Requester) -> None:
        self._opener = opener
        self._requester = requester
        self._hedging = requester.hedging
        self._tried: list[LiveEndpoint] = []
        self._connecting: list[LiveEndpoint] = []
        self._is_won = False
        self._delay = Delay(opener.later, opener.clock)

    def start(self, endpoint: LiveEndpoint) -> None:
        self._tried.append(endpoint)
        self._connecting.append(endpoint)
        self._opener.connect(endpoint, self)
        if len(self._tried) < MOST_CONNECTS and self._hedging is not None:
            self._delay.start(endpoint.limits.times.hedge_s, self._hedge)

    def on_connected(self, stream: UpstreamStream) -> None:
        self._connecting.remove(endpoint_of(stream))
        if self._is_won:
            stream.give_back()
        else:
            self._win(stream)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self._connecting.remove(endpoint)
        is_last = not self._is_won and not self._connecting
        if not self._is_won:
            self._delay.stop()
        if is_last:
            self._requester.on_connect_failed(endpoint, failure)
        elif self._hedging is not None:
            self._hedging.on_connect_lost(endpoint, failure)
            if not self._is_won:
                self._hedge()

    def _hedge(self) -> None:
        """Begin another connect, where one may go and there is room for it."""
        hedging = self._hedging
        if hedging is None or self._requester.is_done or len(self._tried) >= MOST_CONNECTS:
            return
        endpoint = hedging.beside(self._tried)
        if endpoint is None:
            return
        idle = endpoint.pool.checkout()
        if idle is not None:
            self._tried.append(endpoint)
            self._win(idle)
        elif self._opener.has_capacity(endpoint):
            self.start(endpoint)

    def _win(self, stream: UpstreamStream) -> None:
        self._is_won = True
        self._delay.stop()
        if len(self._tried) > 1 and self._hedging is not None and not self._requester.is_done:
            self._hedging.on_hedged(self._connecting, self._tried, endpoint_of(stream))
        self._requester.on_connected(stream)
