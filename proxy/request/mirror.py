"""The copy of a request: sent once, to one endpoint, without consequences for the original.

The copy has the head that the endpoint of the original gets, and a mark (see `marks`).
"""

from collections.abc import Callable
from typing import Final

from proxy.dataplane import DataPlane
from proxy.http.response import ResponseHead
from proxy.request.attempt import Attempt
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.pending import Hedging
from proxy.upstream.endpoint import LiveEndpoint, endpoint_of
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.mirroring import MAX_IN_FLIGHT, Mirroring
from proxy.upstream.retries.rules import RETRY_STATUSES

TIMEOUT_S: Final = 60.0  # limit for the response head, as by default for originals


def mirror(
    plane: DataPlane, mirroring: Mirroring, head: bytes, body: bytes | None, *, in_chunks: bool, is_head: bool
) -> Callable[[], None] | None:
    """Send a copy with this head and body, None for a body that was not kept.

    Return a function that cancels the copy, None where no copy is under way.
    """
    if body is None:
        plane.counters.mirrors.record(mirroring.route, "too_large")
    elif mirroring.in_flight >= MAX_IN_FLIGHT:
        plane.counters.mirrors.record(mirroring.route, "busy")
    else:
        choice = mirroring.backends.pick()
        endpoint = choice.first() if choice is not None else None
        if choice is None or endpoint is None:
            plane.counters.mirrors.record(mirroring.route, "no_endpoint")
        else:
            attempt = Attempt(choice, endpoint)
            copy = MirrorAttempt(plane, mirroring, attempt, head, body, in_chunks=in_chunks, is_head=is_head)
            copy.start()
            return copy.cancel
    return None


class MirrorAttempt(ResponseSink):
    """The attempt of one copy under way."""

    __slots__ = ("_attempt", "_body", "_head", "_in_chunks", "_mirroring", "_plane", "is_done")

    def __init__(
        self, plane: DataPlane, mirroring: Mirroring, attempt: Attempt, head: bytes, body: bytes,
        *, in_chunks: bool, is_head: bool,
    ) -> None:  # fmt: skip
        self._plane = plane
        self._mirroring = mirroring
        self._attempt = attempt
        self._head = head
        self._body = body
        self._in_chunks = in_chunks
        self.is_head = is_head
        self.is_done = False
        mirroring.in_flight += 1

    def start(self) -> None:
        endpoint = self._attempt.endpoint
        stream = endpoint.pool.checkout()
        if stream is None:
            self._plane.upstream.connector.obtain(endpoint, self)
        else:
            self._send(stream)

    def cancel(self) -> None:
        """Drop the copy: the client of the original has gone before it had all of its response."""
        if self.is_done:
            return
        if self._attempt.stream is not None:
            self._attempt.stream.abort()
        self._finish("cancelled")

    # Connects

    def on_connected(self, stream: UpstreamStream) -> None:
        if self.is_done:
            stream.give_back()
            return
        self._attempt.move_to(endpoint_of(stream))
        self._send(stream)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        if not self.is_done:
            self._fail(failure)

    @property
    def hedging(self) -> Hedging | None:
        return None  # a copy can wait

    def _send(self, stream: UpstreamStream) -> None:
        self._attempt.stream = stream
        deadline = self._plane.wheel.now + TIMEOUT_S
        stream.send(self, self._head, deadline, self._body, in_chunks=self._in_chunks)

    # The response

    def on_response(
        self, head: ResponseHead, data: bytes, at: int, size: int, *, is_decoded: bool = False
    ) -> None:
        self._judge(head)
        self._succeed()

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        self._judge(head)

    def on_response_end(self, last: bytes, trailers: bytes) -> None:
        self._succeed()

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        if self._attempt.stream is not None:
            self._attempt.stream.abort()  # no upgrade was asked for
        self._fail(Failure.MALFORMED)

    def on_upstream_lost(self, failure: Failure) -> None:
        self._fail(failure)

    def _judge(self, head: ResponseHead) -> None:
        if head.status not in RETRY_STATUSES:
            endpoint = self._attempt.endpoint
            if endpoint.succeeded():
                self._plane.upstream.outliers.reached(endpoint)

    # The end

    def _succeed(self) -> None:
        if self._attempt.stream is not None:
            self._attempt.stream.release()
        self._finish("answered")

    def _fail(self, failure: Failure) -> None:
        self._plane.upstream.outliers.failed(self._attempt.endpoint, failure)
        self._finish("failed")

    def _finish(self, outcome: str) -> None:
        self._attempt.end()
        self.is_done = True
        self._mirroring.in_flight -= 1
        self._plane.counters.mirrors.record(self._mirroring.route, outcome)
