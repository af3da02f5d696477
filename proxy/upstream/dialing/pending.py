"""A request that waits because its service has as many connections in the cluster as it may have."""

from collections.abc import Callable
from typing import Final, Protocol

from proxy.upstream.connections.limits import ConnectionLimits, PendingRequest
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure

PENDING_S: Final = 1.0  # as long as a connect may take: another cluster is worth more than a longer wait


class Requester(Protocol):
    """A request that needs a connection."""

    @property
    def is_done(self) -> bool:
        """Whether the request has ended: nothing more is obtained for it."""

    def on_connected(self, stream: UpstreamStream) -> None: ...

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None: ...

    @property
    def hedging(self) -> "Hedging | None":
        """How further connects are begun, None for a request that can wait for one."""


class Hedging(Protocol):
    """The rules and the records of hedged connects of one request."""

    def beside(self, tried: list[LiveEndpoint]) -> LiveEndpoint | None:
        """Return where to connect while `tried` do not answer, None to go on waiting for them."""

    def on_hedged(self, waiting: list[LiveEndpoint], tried: list[LiveEndpoint], winner: LiveEndpoint) -> None:
        """Of the endpoints `tried`, `winner` has answered, and those in `waiting` not yet."""

    def on_connect_lost(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        """One of several connects has failed; another goes on, or has been answered."""


class PendingConnect(PendingRequest):
    """A pending request, which leaves the queue of its limits when it has waited for too long."""

    __slots__ = ("_limits", "_resume", "endpoint", "requester")

    def __init__(
        self, limits: ConnectionLimits, endpoint: LiveEndpoint, requester: Requester,
        resume: "Callable[[PendingConnect], None]",
    ) -> None:  # fmt: skip
        """`endpoint` was chosen for the request; a connection to another one of the cluster will do."""
        self._limits = limits
        self._resume = resume
        self.endpoint = endpoint
        self.requester = requester

    def is_over(self) -> bool:
        return self.requester.is_done

    def use(self, stream: UpstreamStream) -> None:
        self.requester.on_connected(stream)

    def open(self) -> None:
        self._resume(self)

    def wait_on(self) -> None:
        """Be the first of those that wait again."""
        self._limits.waiting.appendleft(self)

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
        if self in self._limits.waiting:
            self._limits.waiting.remove(self)
            if not self.requester.is_done:
                self.requester.on_connect_failed(self.endpoint, Failure.OVERFLOW)
        return None
