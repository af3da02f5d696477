"""How a client connection comes to an end: cut, closed when idle, or answered and closed so that it is read.

Closing right away would reset the connection when something of the client is still on its way, and the
client would lose the answer (RFC 9112 §9.6). So it is closed for writing, and read from for a while.
"""

import asyncio
import struct
from math import inf
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Final, cast

from proxy.dataplane import DataPlane
from proxy.downstream.departure import Departure
from proxy.downstream.presence import VANISHED_S, look
from proxy.downstream.unread import ends_with_head
from proxy.http.errors import RequestError
from proxy.http.replies import refusal
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.request.downstream import Downstream
from proxy.request.exchange import Exchange
from proxy.telemetry.access_log import NO_ENDPOINT, NO_HEADERS, NO_RESOURCE, NO_ROUTE

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 65536
STALL_S: Final = 300.0  # a client that does not read its response
CHECK_S: Final = 1.0
_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: close with RST


class ClosingClient(Downstream):
    """A client connection without its requests: its transport, the one deadline, and its ends."""

    __slots__ = (
        "_at", "_buffer", "_deadline", "_exchange", "_has_asked", "_is_departing", "_linger_left",
        "_listener", "_opened", "_overload", "_plane", "_saw_eof", "_silent_since", "_wants_body",
        "address_group", "is_admitted", "keep_alive", "transport",
    )  # fmt: skip

    def __init__(self, plane: DataPlane, listener: "Listener") -> None:
        # Per connection
        self._plane = plane
        self._listener = listener
        self._overload = listener.overload
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.address_group = b""  # what the connection is counted by
        self.is_admitted = False
        self._opened = plane.wheel.now
        self._buffer = b""  # received, not yet looked at: pipelined requests, an incomplete head
        self._at = 0  # where that begins in `_buffer`
        self._linger_left = -1  # ≥ 0: closing, so much more is read and thrown away
        self._saw_eof = False
        self._is_departing = False  # it has closed its side, and is watched for that
        self._silent_since = 0.0  # owes an acknowledgement, monotonic; 0: it owes none
        self._has_asked = False
        self._deadline = 0.0
        # Per request
        self._exchange: Exchange | None = None
        self._wants_body = True
        self.takes_chunks = True
        self.keep_alive = True

    # Between requests

    def close_if_idle(self) -> None:
        """The listener closes: a connection without a request in flight does too, others with its answer.

        One without any request yet is not idle: who has just come need not expect it to be closed, and
        has the time for a request head.
        """
        self.keep_alive = False
        if self._has_asked and self._exchange is None and not self._buffer:
            self._end()

    @property
    def quiet_since(self) -> float:
        """Since when nothing has been asked on this connection; inf while something is."""
        if self._exchange is not None or self._buffer or self._linger_left >= 0:
            return inf
        return max(self._opened, self._deadline - self._listener.idle_timeout_s)

    def shed(self, cause: str) -> None:
        """Close an idle connection whose place is needed."""
        self._listener.count_shed(cause)
        self._end()

    # The connection

    def _end(self) -> None:
        self._deadline = self._plane.wheel.now + STALL_S
        self.transport.close()

    def _close(self) -> None:
        """Close so that the client can still read what was written (RFC 9112 §9.6)."""
        if self._linger_left >= 0 or self.transport.is_closing():
            return
        if self._saw_eof:
            self._end()
            return
        self._buffer = b""
        self._at = 0
        self._linger_left = LINGER_BYTES
        self._deadline = self._plane.wheel.now + STALL_S
        self._wants_body = True
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _linger(self, data: bytes) -> None:
        self._linger_left -= len(data)
        if self._linger_left <= 0:
            self.transport.abort()

    def is_ending(self) -> bool:
        """Whether it is asked nothing any more."""
        return self._linger_left >= 0 or self.transport.is_closing()

    def _expire_closing(self, now: float) -> float | None:
        """A client has STALL_S to read what is written, and LINGER_S from then on to go away."""
        if not self.transport.get_write_buffer_size():
            if self.transport.is_closing():
                return None
            self._deadline = min(self._deadline, now + LINGER_S)
        elif not self._is_there(now):
            self._deadline = now
        if now < self._deadline:
            return now + CHECK_S
        self.transport.abort()
        return None

    def abort(self) -> None:
        self._exchange = None
        if (
            not self.takes_chunks
        ):  # HTTP/1.0: it takes any orderly end of the connection for the end of the response
            self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        self.transport.abort()

    # Clients that leave

    @property
    def in_flight(self) -> Exchange | None:
        """The request that waits for its response, or gets it."""
        return self._exchange

    def _is_there(self, now: float) -> bool:
        """Look for a client that has gone in a way that reading from its connection does not tell."""
        presence = look(self.transport)
        if presence is None:
            return True
        self._silent_since = presence.silent_since(self._silent_since, now)
        if presence.is_cut or (self._silent_since and now - self._silent_since >= VANISHED_S):
            return False
        if presence.has_closed:
            self._depart(min(presence.heard_s, CHECK_S))  # since the last look, that is
        return True

    def _depart(self, closed_s: float) -> None:
        """Its FIN came `closed_s` ago: from now on it has to get something every second."""
        if not self._is_departing:
            self._is_departing = True
            self._plane.wheel.schedule(Departure(self, closed_s), self._plane.wheel.now)

    def give_up(self) -> None:
        """It is gone: what it asked for is nobody's any more."""
        exchange = self._exchange
        if exchange is not None:
            exchange.cancel()
        self.abort()

    # Answers without an endpoint

    def _turn_away(self, detail: str) -> None:
        """Refuse the connection, whatever it was going to ask."""
        if self._listener.is_crowded:
            self.transport.abort()
        else:
            self._refuse(503, detail, None)

    def _answer(
        self, status: int, detail: str, flag: str, line: RequestLine, headers: RequestHeaders
    ) -> None:
        """Answer without an exchange; a body that comes with the request ends the connection."""
        if headers.control.length != 0:
            self.keep_alive = False
        head, body = refusal(status, headers.request_id, detail)
        self.respond(head, b"" if line.resource.is_head else body, 0)
        self._record(status, flag, line, headers)
        if not self.keep_alive:
            self._close()
        else:
            self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s

    def _refuse(self, status: int, detail: str, flag: str | None) -> None:
        """Answer a request that cannot be accepted, and close."""
        detail = detail[:1].upper() + detail[1:].rstrip(".") + "."
        self.keep_alive = False
        head, body = refusal(status, b"", detail)
        self.respond(head, body, 0)
        if flag is not None:
            self._record(status, flag, None, None)
        self._close()

    def _refuse_stale(self, data: bytes) -> None:
        """Answer a request that has waited too long, without a look at it; the log has a line for many."""
        plane = self._plane
        close = plane.draining or self._listener.is_closed or self._saw_eof or not ends_with_head(data)
        self.transport.write(self._overload.answer(close=close))
        self._listener.count_stale()
        if close:
            self._close()
        else:
            self._deadline = plane.wheel.now + self._listener.idle_timeout_s

    def _refuse_body(self, exchange: Exchange, error: RequestError, flag: str) -> None:
        started = exchange.record.status != 0
        exchange.cancel(flag, error.status)
        if started:
            self.abort()  # anything we said would be read as part of the response
        else:
            self._exchange = None
            self._refuse(error.status, error.detail, None)

    def _record(
        self, status: int, flag: str, line: RequestLine | None, headers: RequestHeaders | None
    ) -> None:
        plane = self._plane
        plane.local.record(self.client.listener, "", "", status, flag, 0.0, 0, 0)
        if plane.log is not None:
            plane.log.request(
                line.resource.log if line is not None else NO_RESOURCE,
                line.version if line is not None else 1,
                headers.control.log if headers is not None else NO_HEADERS,
                status, flag, 0, 0, 0, headers.request_id if headers is not None else b"",
                self.client.log, NO_ROUTE, NO_ENDPOINT, 0, b"", plane.version,
            )  # fmt: skip
