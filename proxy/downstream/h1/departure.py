"""A client that has closed its side while a request of it is under way.

The client may have gone, or still read (`nc -N`, a half-closed HTTP/1.0 client): TCP says the same of both
until a byte is written. So a byte must be written to the client within a second, again after each byte until
all requests are answered. Bytes that the client has not read yet count in its favour: a client that is gone
would have reset the connection.
"""

from typing import Final

from proxy.downstream.h1.stream import Http1Stream
from proxy.downstream.presence import Presence, look
from proxy.request.exchange import Exchange

GIVE_UP_S: Final = 1.0
_MOST_STEP_S: Final = 0.2  # a loop that was held up for longer has answers to read first


class Departure:
    """Looks at the client once a tick, until the connection begins to close."""

    __slots__ = ("_exchange", "_is_stopped", "_looked", "_quiet_s", "_stream", "_written")

    def __init__(self, stream: Http1Stream, closed_s: float, now: float) -> None:
        """`closed_s` is the time since the client's FIN came; `now` is exact, monotonic."""
        self._stream = stream
        self._is_stopped = False
        self._exchange: Exchange | None = None
        self._written = 0  # bytes of the response
        self._quiet_s = closed_s
        self._looked = now
        exchange = stream.exchange
        if exchange is not None:
            self._goes_on(exchange)

    def stop(self) -> None:
        """Stop looking at the client: the connection begins to close."""
        self._is_stopped = True

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
        stream = self._stream
        exchange = stream.exchange
        is_tunnel = exchange is not None and exchange.tunnel is not None
        if self._is_stopped or is_tunnel or stream.transport.is_closing():
            return None
        presence = look(stream.transport)
        if presence is not None and presence.is_cut:  # there is no more to read, so no read fails
            stream.give_up()
            return None
        self._quiet_s += min(max(now - self._looked, 0.0), _MOST_STEP_S)
        self._looked = now
        if exchange is None or self._goes_on(exchange):
            self._quiet_s = 0.0
        elif self._quiet_s >= GIVE_UP_S:
            if not self._is_owed(presence):
                stream.give_up()
                return None
            self._quiet_s = 0.0
        return now

    def _goes_on(self, exchange: Exchange) -> bool:
        """Whether a byte was written since the last look, or another request is under way."""
        record = exchange.record
        written = record.response_bytes + (1 if record.status else 0)
        if exchange is self._exchange and written == self._written:
            return False
        self._exchange = exchange
        self._written = written
        return True

    def _is_owed(self, presence: Presence | None) -> bool:
        """Whether the client has not read all that was written."""
        if self._stream.transport.get_write_buffer_size():
            return True
        return presence is not None and presence.is_owed
