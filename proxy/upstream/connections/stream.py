"""The stream of an attempt: the way of one request to an endpoint, and of its response back.

An HTTP/1 connection is its own stream, for one request at a time.
"""

from abc import ABC, abstractmethod

from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.evidence.kinds import Kind


class StreamEndpoint(ABC):
    """The endpoint of a stream, as the stream sees it: endpoints are above it in the layers."""

    __slots__ = ("heard", "label")

    label: str  # address and port
    heard: float  # when the last byte of a response came, monotonic

    @abstractmethod
    def gave_up(self, since: float, longest_s: float, now: float) -> None:
        """A request sent at `since` was given up; its kind takes `longest_s` at most, inf if unknown."""


class UpstreamStream(ABC):
    """A stream takes and delivers bodies without framing: the stream has the framing of its protocol."""

    __slots__ = ("deadline", "endpoint", "exchange", "served", "since")

    endpoint: StreamEndpoint
    served: int  # requests that were answered over its connection before
    exchange: ResponseSink | None  # sink of the response; None: no request is in flight
    since: float  # when the endpoint got the last byte of the request, monotonic
    deadline: float  # when the response must have begun, or the next piece of either body have moved

    @abstractmethod
    def send(
        self, exchange: ResponseSink, head: bytes, deadline: float, body: bytes = b"", *,
        in_chunks: bool = False, is_complete: bool = True,
    ) -> None:  # fmt: skip
        """Start a request. `head` is complete, as HTTP/1 text; `body` is the part of the body that has come.

        `in_chunks`: the head says that the body comes in chunks. `is_complete`: nothing follows.
        """

    @abstractmethod
    def write(self, payload: bytes) -> None:
        """Send more bytes of the request body, or of a tunnel."""

    @abstractmethod
    def end(self, last: bytes, trailers: bytes) -> None:
        """Send the last piece of the request body, empty or not, and the field lines behind it."""

    @abstractmethod
    def finish(self) -> None:
        """Close this side of a tunnel; the endpoint has a while to close its own."""

    @abstractmethod
    def is_waiting(self) -> bool:
        """Whether nothing has come of the response to the request in flight."""

    @abstractmethod
    def awaits(self) -> Kind | None:
        """Return the kind of the request in flight, None when its waiting says nothing."""

    @abstractmethod
    def is_closing(self) -> bool:
        """Whether no request can be sent any more."""

    @abstractmethod
    def read_response(self, wanted: bool) -> None:
        """Go on, or stop for now, delivering the response."""

    @abstractmethod
    def give_back(self) -> None:
        """Return to the pool a stream that was obtained for a request that has ended meanwhile."""

    @abstractmethod
    def release(self) -> None:
        """The request was sent, and its response read, completely: back to the pool, if that is possible."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection, which has no request and may serve none."""

    @abstractmethod
    def abort(self) -> None:
        """End the request, even in the middle of its bytes; its exchange hears no more."""

    @abstractmethod
    def leave_to(self, sink: ResponseSink) -> None:
        """Leave the request in flight to a sink: its exchange has gone elsewhere."""
