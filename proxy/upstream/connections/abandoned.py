"""Sinks of responses that no client waits for: of abandoned requests, and of liveness probes.

A stalled endpoint keeps the requests that were sent elsewhere meanwhile. When it goes on it answers one of
them, which proves that it is well. Where no such request is left, a liveness probe takes its place.
"""

from collections.abc import Callable
from typing import Final

from proxy.http.response import ResponseHead
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.connections.unacknowledged import CERTAIN_S
from proxy.upstream.evidence.failure import Failure


class AbandonedResponse(ResponseSink):
    """The sink of an abandoned request: ends the connection with the first byte of the response.

    The connection has noted by then that a byte came.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: UpstreamStream, *, is_head: bool) -> None:
        self._stream = stream
        self.is_head = is_head

    def on_response(
        self, head: ResponseHead, data: bytes, at: int, size: int, *, is_decoded: bool = False
    ) -> None:
        self._stream.release()  # back to the pool: the connection is as good as any other

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        self._stream.abort()

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        self._stream.abort()

    def on_upstream_lost(self, failure: Failure) -> None:
        """The request left long ago: its end has no consequences."""

    def on_silence(self, seconds: float) -> None:
        if seconds >= CERTAIN_S:
            self._stream.abort()  # no answer can come over it


_ANSWERS: Final = frozenset((Failure.MALFORMED, Failure.RESET))


class LivenessRequest(AbandonedResponse):
    """A liveness probe: `OPTIONS *`, which asks for nothing. Every response answers it, a refusal as well.

    So does the end of a new connection in order: programs that do not know `OPTIONS *` hang up, and a stopped
    program cannot. The kernel answers nothing in its place. The next connect tells that a program has died.
    """

    __slots__ = ("_is_over", "_keep", "_on_over")

    def __init__(self, stream: UpstreamStream, on_over: Callable[[bool], None], *, keep: bool = True) -> None:
        """`on_over` is called once, with whether an answer came; `keep`: the pool may have the connection."""
        super().__init__(stream, is_head=False)
        self._on_over = on_over
        self._keep = keep
        self._is_over = False

    def ask(self, host: str, deadline: float) -> None:
        """Send the request; `on_over` is called by `deadline` (monotonic) at the latest."""
        request = b"OPTIONS * HTTP/1.1\r\nHost: %b\r\nUser-Agent: fleetgate\r\n\r\n" % host.encode()
        self._stream.send(self, request, deadline)

    def on_response(
        self, head: ResponseHead, data: bytes, at: int, size: int, *, is_decoded: bool = False
    ) -> None:
        if self._keep:
            super().on_response(head, data, at, size)
        else:
            self._stream.abort()
        self._end(is_answered=True)

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        super().on_response_start(head, data, at)
        self._end(is_answered=True)

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        super().on_switched(head, rest)
        self._end(is_answered=True)

    def on_upstream_lost(self, failure: Failure) -> None:
        self._end(is_answered=failure in _ANSWERS)

    def on_silence(self, seconds: float) -> None:
        super().on_silence(seconds)
        if seconds >= CERTAIN_S:
            self._end(is_answered=False)

    def _end(self, *, is_answered: bool) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_over(is_answered)
