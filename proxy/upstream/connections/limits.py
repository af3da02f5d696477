"""Connection limits (circuit breaking): connections of one service in one cluster, and pending requests.

Envoy calls the limits max_connections and max_pending_requests, HAProxy maxconn and queue. The
limits apply only where a connection has to be opened; a request that finds an idle one passes by.
"""

from abc import ABC, abstractmethod
from collections import deque

from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.evidence.connect_times import ConnectTimes


class Tally:
    """Connections to endpoints, of the whole worker."""

    __slots__ = ("open", "opening")

    def __init__(self) -> None:
        self.open = 0
        self.opening = 0


class PendingRequest(ABC):
    """A request that waits for a connection."""

    __slots__ = ()

    @abstractmethod
    def is_over(self) -> bool:
        """Whether the request needs no connection any more."""

    @abstractmethod
    def use(self, stream: UpstreamStream) -> None:
        """Go on with a stream that has become free."""

    @abstractmethod
    def open(self) -> None:
        """Open a connection: the limit leaves room for one."""


class ConnectionLimits:
    """Connections and pending requests of one service in one cluster, which the connector limits."""

    __slots__ = ("_tally", "open", "opening", "times", "waiting")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.open = 0
        self.opening = 0
        self.times = ConnectTimes()
        self.waiting: deque[PendingRequest] = deque()

    def begin(self) -> None:
        """A connection is being opened."""
        self.opening += 1
        self._tally.opening += 1

    def end(self) -> None:
        """The connection is open, or could not be opened."""
        self.opening -= 1
        self._tally.opening -= 1

    def opened(self) -> None:
        self.open += 1
        self._tally.open += 1

    def closed(self) -> None:
        self.open -= 1
        self._tally.open -= 1
        if self.waiting:
            self.refill()

    @property
    def taken(self) -> int:
        """The number of connections that are open or being opened."""
        return self.open + self.opening

    def admits(self, most: int) -> bool:
        """Whether fewer than `most` requests are pending; requests without a client are forgotten first."""
        if len(self.waiting) >= most:
            self.waiting = deque([pending for pending in self.waiting if not pending.is_over()])
        return len(self.waiting) < most

    def next(self) -> PendingRequest | None:
        """Take out and return the request that has waited longest, None when none waits."""
        while self.waiting:
            pending = self.waiting.popleft()
            if not pending.is_over():
                return pending
        return None

    def refill(self) -> None:
        """A connection is gone, or could not be opened: the oldest pending request may open another one."""
        pending = self.next()
        if pending is not None:
            pending.open()

    def serve(self, stream: UpstreamStream) -> bool:
        """Give a free stream to the oldest pending request; return False when none is pending."""
        pending = self.next()
        if pending is None:
            return False
        pending.use(stream)
        return True
