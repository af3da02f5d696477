"""A connection that has switched to another protocol: bytes both ways, until either side has ended it."""

from collections.abc import Callable

from proxy.upstream.connections.stream import UpstreamStream


class Tunnel:
    """A tunnel between client and endpoint. `sent` bytes went to the endpoint, `received` came from it."""

    __slots__ = ("_moved", "_quiet_since", "_stream", "_write", "received", "sent")

    def __init__(self, write: Callable[[bytes], None], stream: UpstreamStream) -> None:
        """`write` takes bytes for the client."""
        self._write = write
        self._stream = stream
        self.sent = 0
        self.received = 0
        self._moved = -1  # bytes in both directions, at the last look
        self._quiet_since = 0.0

    def from_client(self, data: bytes) -> None:
        self.sent += len(data)
        self._stream.write(data)

    def on_client_end(self) -> None:
        """Close the endpoint's side after the client's; bytes that the endpoint still sends are relayed."""
        self._stream.finish()

    def from_endpoint(self, data: bytes) -> None:
        self.received += len(data)
        self._write(data)

    def quiet_s(self, now: float) -> float:
        """Return for how many seconds no byte has moved, to the precision of the calls of this function."""
        moved = self.sent + self.received
        if moved != self._moved:
            self._moved = moved
            self._quiet_since = now
        return now - self._quiet_since
