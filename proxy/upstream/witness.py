"""What stays behind when a request leaves an endpoint that has stalled: whoever hears it if it lives.

The endpoint has the request, and answers it once it goes on. That nobody waits for that answer any
more does not make it less of a proof: no probe has to be invented that every backend understands.
"""

from proxy.http.response import ResponseHead
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.latencies import Latencies
from proxy.upstream.retry import Failure
from proxy.upstream.silence import CERTAIN_S
from proxy.upstream.sink import ResponseSink


class Witness(ResponseSink):
    """Ends the connection with the first byte of a response; that it came is noted by the connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: UpstreamConnection, *, is_head: bool) -> None:
        self._connection = connection
        self.is_head = is_head

    def awaits(self) -> Latencies | None:
        return None

    def on_stalled(self) -> bool:
        return False

    def takes_chunks(self) -> bool:
        return True

    def room(self) -> int:
        return 0

    def on_response(self, head: ResponseHead, data: bytes, at: int, size: int) -> None:
        self._connection.release()  # as good as any other: it goes back to the pool

    def on_response_chunked(self, head: ResponseHead, body: bytes) -> None:
        self._connection.release()

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        self._connection.abort()

    def on_response_data(self, payload: bytes) -> None:
        pass

    def on_response_piece(self, piece: memoryview) -> bool:
        return True

    def on_response_end(self, last: bytes) -> None:
        pass

    def on_informational(self, head: ResponseHead) -> None:
        pass

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        self._connection.abort()

    def on_tunnel_data(self, data: bytes) -> None:
        pass

    def on_upstream_lost(self, failure: Failure) -> None:
        pass

    def on_silence(self, seconds: float) -> None:
        if seconds >= CERTAIN_S:
            self._connection.abort()  # it will see no answer

    def on_upstream_writable(self, writable: bool) -> None:
        pass
