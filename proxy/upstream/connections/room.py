"""How many connections one service may have in one cluster, and the requests that wait for one of them.

Looked at only where a connection has to be opened; a request that finds an idle one passes by.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from proxy.upstream.connections.hedge import ConnectTimes
from proxy.upstream.retries.budget import RetryBudget
from proxy.upstream.retries.retry import Failure

if TYPE_CHECKING:
    from proxy.upstream.connections.connection import UpstreamConnection
    from proxy.upstream.endpoint import LiveEndpoint

PENDING_S: Final = 1.0  # as long as a connect may take: another cluster is worth more than a longer wait


class Requester(Protocol):
    """A request that needs a connection."""

    @property
    def is_done(self) -> bool:
        """Whether the request has ended: nothing more is obtained for it."""

    def on_connected(self, connection: "UpstreamConnection") -> None: ...

    def on_connect_failed(self, endpoint: "LiveEndpoint", failure: Failure) -> None: ...

    def beside(self, tried: list["LiveEndpoint"]) -> "LiveEndpoint | None":
        """Return where to connect while `tried` do not answer, None to go on waiting for them."""

    def on_hedged(
        self, waiting: list["LiveEndpoint"], tried: list["LiveEndpoint"], winner: "LiveEndpoint"
    ) -> None:
        """Of the endpoints `tried`, `winner` has answered, and those in `waiting` not yet."""

    def on_connect_lost(self, endpoint: "LiveEndpoint", failure: Failure) -> None:
        """One of several connects has failed; another goes on, or has been answered."""


class Tally:
    """Connections to endpoints, of the whole worker."""

    __slots__ = ("open", "opening")

    def __init__(self) -> None:
        self.open = 0
        self.opening = 0


class Pending:
    """A request that waits. Takes itself out when it has waited too long."""

    __slots__ = ("endpoint", "requester", "resume", "room")

    def __init__(
        self, room: "Room", endpoint: "LiveEndpoint", requester: Requester,
        resume: Callable[["Pending"], None],
    ) -> None:  # fmt: skip
        self.room = room
        self.resume = resume  # what to do once there is room
        self.endpoint = endpoint  # that was chosen for it; a connection to another one of the room will do
        self.requester = requester

    def expire(self, now: float) -> float | None:
        """Called by the timer wheel."""
        if self in self.room.waiting:
            self.room.waiting.remove(self)
            if not self.requester.is_done:
                self.requester.on_connect_failed(self.endpoint, Failure.OVERFLOW)
        return None


class Room:
    """The connections of one service in one cluster. The connector keeps them within the limit."""

    __slots__ = ("_tally", "open", "opening", "retries", "times", "waiting")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.open = 0
        self.opening = 0
        self.times = ConnectTimes()
        self.retries = RetryBudget()
        self.waiting: deque[Pending] = deque()

    def begin(self) -> None:
        """A connection is being opened."""
        self.opening += 1
        self._tally.opening += 1

    def end(self) -> None:
        """It is open, or has come to nothing."""
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
        return self.open + self.opening

    def admits(self, most: int) -> bool:
        """Whether one more may wait, of `most`; those whose clients went away are forgotten first."""
        if len(self.waiting) >= most:
            self.waiting = deque([pending for pending in self.waiting if not pending.requester.is_done])
        return len(self.waiting) < most

    def next(self) -> Pending | None:
        """Return who has waited longest and take it out, None when nobody waits."""
        while self.waiting:
            pending = self.waiting.popleft()
            if not pending.requester.is_done:
                return pending
        return None

    def refill(self) -> None:
        """A connection has gone, or did not come about: who waits longest may open another one."""
        pending = self.next()
        if pending is not None:
            pending.resume(pending)

    def serve(self, connection: "UpstreamConnection") -> bool:
        """Give a connection that has become free to who waits for one; False when nobody does."""
        pending = self.next()
        if pending is None:
            return False
        pending.requester.on_connected(connection)
        return True
