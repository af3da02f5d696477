"""A client that has closed its side while a request of it is in flight.

It may have gone, or still read (`nc -N`, a half-closed HTTP/1.0 client): TCP says the same of both until
something is written. So there is a second in which something must be written to it, again after each byte
until all is answered. What it has not read yet counts in its favour: a client that is gone would have reset
the connection.
"""

from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.downstream.presence import Presence, look
from proxy.request.exchange import Exchange

if TYPE_CHECKING:
    from proxy.downstream.closing import ClosingClient

GIVE_UP_S: Final = 1.0
_MOST_STEP_S: Final = 0.2  # a loop that was held up for longer has answers to read first


class Departure:
    """Looks at the client once a tick, for as long as it may go."""

    __slots__ = ("_client", "_exchange", "_looked", "_quiet_s", "_written")

    def __init__(self, client: "ClosingClient", closed_s: float) -> None:
        """Its FIN came `closed_s` ago."""
        self._client = client
        self._exchange: Exchange | None = None
        self._written = 0  # of its response
        self._quiet_s = closed_s
        self._looked = monotonic()
        exchange = client.in_flight
        if exchange is not None:
            self._goes_on(exchange)

    def expire(self, now: float) -> float | None:
        """Called by the timer wheel."""
        exchange = self._client.in_flight
        if self._client.is_ending() or (exchange is not None and exchange.tunnel is not None):
            return None
        presence = look(self._client.transport)
        if presence is not None and presence.is_cut:  # nothing else tells it: there is no more to read
            self._client.give_up()
            return None
        self._quiet_s += min(max(now - self._looked, 0.0), _MOST_STEP_S)
        self._looked = now
        if exchange is None or self._goes_on(exchange):
            self._quiet_s = 0.0
        elif self._quiet_s >= GIVE_UP_S:
            if not self._is_owed(presence):
                self._client.give_up()
                return None
            self._quiet_s = 0.0
        return now

    def _goes_on(self, exchange: Exchange) -> bool:
        """Whether something was written since the last look, or another request is in flight."""
        record = exchange.record
        written = record.response_bytes + (1 if record.status else 0)
        if exchange is self._exchange and written == self._written:
            return False
        self._exchange = exchange
        self._written = written
        return True

    def _is_owed(self, presence: Presence | None) -> bool:
        """Whether the client has not read all that was written."""
        if self._client.transport.get_write_buffer_size():
            return True
        return presence is not None and presence.is_owed
