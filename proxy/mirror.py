"""The copy of a request: sent once, to one endpoint, and whatever comes of it concerns nobody.

It has the head that the endpoint of the original gets, and a mark, by which a gateway that meets it again
does not copy the copy. A mark from a client counts for nothing: the client could hide its requests from the
mirror. It counts from trusted proxies, and where it has the number of this worker, which no client knows. The
numbers of workers that copied the request before stay in it: a mirror that leads back to the gateway gets one
copy from each worker.
"""

import re
from functools import cache
from secrets import token_hex
from typing import Final

from proxy.dataplane import DataPlane
from proxy.http.response import ResponseHead
from proxy.upstream.connections.connection import UpstreamConnection
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.kinds import Kind
from proxy.upstream.mirroring import MAX_IN_FLIGHT, Mirroring
from proxy.upstream.retries.retry import RETRY_STATUSES, Failure

MARK_NAME: Final = b"x-fleetgate-mirror"
_NUMBER: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_MOST_NUMBERS: Final = 64  # of workers; those that copied it first are forgotten
TIMEOUT_S: Final = 60.0  # for the response head, as by default for originals


@cache
def _own() -> bytes:
    """Return the number of this process. It is drawn when it is needed: a process that forks after the
    import would share its number with its children."""
    return token_hex(8).encode()


def is_own_copy(marks: tuple[bytes, ...]) -> bool:
    """Whether a request with these values of its mark is a copy that was made here."""
    return any(_own() in _NUMBER.findall(mark) for mark in marks)


def copy_mark(marks: tuple[bytes, ...]) -> bytes:
    """Return the line that marks a copy of a request with these values of its mark."""
    numbers = [number for mark in marks for number in _NUMBER.findall(mark)][1 - _MOST_NUMBERS :]
    return b"X-Fleetgate-Mirror: %b\r\n" % b", ".join([*numbers, _own()])


def mirror(
    plane: DataPlane, mirroring: Mirroring, request: bytes | None, *, is_head: bool
) -> "MirrorAttempt | None":
    """Send `request`, head and body as they go on the wire; None: its body was not kept.

    Return the copy under way, if there is one.
    """
    if request is None:
        plane.mirrors.record(mirroring.route, "too_large")
    elif mirroring.in_flight >= MAX_IN_FLIGHT:
        plane.mirrors.record(mirroring.route, "busy")
    else:
        choice = mirroring.backends.pick()
        endpoint = choice.first() if choice is not None else None
        if endpoint is None:
            plane.mirrors.record(mirroring.route, "no_endpoint")
        else:
            attempt = MirrorAttempt(plane, mirroring, request, is_head=is_head)
            attempt.start(endpoint)
            return attempt
    return None


class MirrorAttempt(ResponseSink):
    """One copy under way."""

    __slots__ = ("_connection", "_endpoint", "_mirroring", "_plane", "_request", "is_done")

    def __init__(self, plane: DataPlane, mirroring: Mirroring, request: bytes, *, is_head: bool) -> None:
        self._plane = plane
        self._mirroring = mirroring
        self._request = request
        self._endpoint: LiveEndpoint | None = None
        self._connection: UpstreamConnection | None = None
        self.is_head = is_head
        self.is_done = False

    def start(self, endpoint: LiveEndpoint) -> None:
        self._mirroring.in_flight += 1
        self._enter(endpoint)
        endpoint.requests += 1
        connection = endpoint.checkout()
        if connection is None:
            self._plane.connector.obtain(endpoint, self)
        else:
            self._send(connection)

    def cancel(self) -> None:
        """The client of the original has gone before it had all of its answer."""
        if self.is_done:
            return
        if self._connection is not None:
            self._connection.abort()
        self._leave()
        self._finish("cancelled")

    def on_connected(self, connection: UpstreamConnection) -> None:
        if self.is_done:
            connection.endpoint.release(connection)
            return
        self._leave()
        self._enter(connection.endpoint)
        self._send(connection)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        if not self.is_done:
            self._fail(failure)

    def beside(self, tried: list[LiveEndpoint]) -> LiveEndpoint | None:
        return None  # a copy can wait

    def on_hedged(self, waiting: list[LiveEndpoint], tried: list[LiveEndpoint], winner: LiveEndpoint) -> None:
        pass

    def on_connect_lost(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        pass

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.send(self, self._request, self._plane.wheel.now + TIMEOUT_S)

    def _enter(self, endpoint: LiveEndpoint) -> None:
        self._endpoint = endpoint
        endpoint.in_flight += 1

    def _leave(self) -> LiveEndpoint:
        endpoint = self._endpoint
        assert endpoint is not None
        endpoint.in_flight -= 1
        self._endpoint = None
        return endpoint

    # What the endpoint says

    def awaits(self) -> Kind | None:
        return None

    def on_stalled(self) -> bool:
        return False

    def takes_chunks(self) -> bool:
        return True

    def room(self) -> int:
        return 0

    def on_response(self, head: ResponseHead, data: bytes, at: int, size: int) -> None:
        self._judge(head)
        self._succeed()

    def on_response_chunked(self, head: ResponseHead, body: bytes) -> None:
        self._judge(head)
        self._succeed()

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        self._judge(head)

    def on_response_data(self, payload: bytes) -> None:
        pass

    def on_response_piece(self, piece: memoryview) -> bool:
        return True

    def on_response_end(self, last: bytes) -> None:
        self._succeed()

    def on_informational(self, head: ResponseHead) -> None:
        pass

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        if self._connection is not None:
            self._connection.abort()  # no upgrade was asked for
        self._fail(Failure.MALFORMED)

    def on_tunnel_data(self, data: bytes) -> None:
        pass

    def on_upstream_lost(self, failure: Failure) -> None:
        self._fail(failure)

    def on_silence(self, seconds: float) -> None:
        pass

    def on_upstream_writable(self, writable: bool) -> None:
        pass

    def _judge(self, head: ResponseHead) -> None:
        if head.status not in RETRY_STATUSES and self._endpoint is not None:
            self._endpoint.succeeded()

    # The end

    def _succeed(self) -> None:
        self._leave()
        if self._connection is not None:
            self._connection.release()
        self._finish("answered")

    def _fail(self, failure: Failure) -> None:
        endpoint = self._leave()
        ejected_s = endpoint.failed(failure)
        if ejected_s:
            self._plane.connector.probe_after(endpoint, ejected_s)
        self._finish("failed")

    def _finish(self, outcome: str) -> None:
        self._connection = None
        self.is_done = True
        self._mirroring.in_flight -= 1
        self._plane.mirrors.record(self._mirroring.route, outcome)
