"""A client connection: cuts requests out of the byte stream, one exchange at a time, in order.

The connection goes on after a response only when the request was read completely (RFC 9112 §9.3);
in any doubt it is answered, closed for writing, drained for a moment and dropped, so that the client
reads the answer and nothing it sent is ever taken for another request.
"""

import asyncio
import struct
from math import inf
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Final, cast

from proxy.client import Client
from proxy.dataplane import DataPlane
from proxy.exchange import Exchange
from proxy.http.body import RequestBody
from proxy.http.errors import RequestError
from proxy.http.forwarded import client_and_chain
from proxy.http.heads import HeadReader
from proxy.http.replies import reply
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.telemetry.access_log import NO_ENDPOINT, NO_HEADERS, NO_RESOURCE, NO_ROUTE

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 65536
STALL_S: Final = 300.0  # a client that does not read its response
HIGH_WATER_BYTES: Final = 65536
CHECK_S: Final = 1.0
_SO_MEMINFO: Final = 55  # linux/socket.h
_SEND_BUFFER: Final = struct.Struct("=12xI4xI")  # of sock_diag.h: SK_MEMINFO_SNDBUF, SK_MEMINFO_WMEM_QUEUED
_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: close with RST
_MAX_BLANK_LINES: Final = 4  # RFC 9112 §2.2 asks to ignore at least one before a request line


class ClientConnection(Client):
    """An asyncio.Protocol by its methods: mypyc's classes inherit only from each other."""

    __slots__ = (
        "_awaited_s", "_blank_lines", "_body", "_buffer", "_deadline", "_exchange", "_heads",
        "_is_processing", "_linger_left", "_listener", "_opened", "_paused", "_peer", "_plane", "_saw_eof",
        "_speaks_for",
        "_wants_body", "address_group", "is_admitted", "transport",
    )  # fmt: skip

    def __init__(self, plane: DataPlane, listener: "Listener") -> None:
        # Per connection
        self._plane = plane
        self._listener = listener
        self._heads = HeadReader(plane.heads)
        self.listener_name = listener.name
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._peer = b""
        self._speaks_for = False  # a trusted proxy, for its clients
        self.address_group = b""  # what the connection is counted by
        self.is_admitted = False
        self._opened = plane.wheel.now
        self.log = b""
        self.forwarded = b""
        self._buffer = b""  # received, not yet looked at: pipelined requests, an incomplete head
        self._blank_lines = 0
        self._linger_left = -1  # ≥ 0: closing, so much more is read and thrown away
        self._saw_eof = False
        self._paused = False
        self._is_processing = False
        self._deadline = 0.0
        # Per request
        self._exchange: Exchange | None = None
        self._body: RequestBody | None = None
        self._awaited_s = 0.0  # so long has its body been waited for
        self._wants_body = True
        self.version = 1
        self.keep_alive = True

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        peer = transport.get_extra_info("peername")
        address: bytes = peer[0].removeprefix("::ffff:").encode() if peer else b""
        self._peer = address
        self._speaks_for = self._plane.trusted.trusts(address)
        self._introduce(address, address, b"http")
        wheel = self._plane.wheel
        self._deadline = (
            wheel.now + self._plane.limits.head_timeout_s
        )  # a connection that says nothing is not kept for long
        wheel.schedule(self, wheel.now + CHECK_S)
        refusal = self._listener.enter(self, address)
        if refusal:
            self._turn_away(refusal)

    def data_received(self, data: bytes) -> None:
        if self._exchange is not None:
            self._during_exchange(self._exchange, data)
            return
        if self._linger_left >= 0:
            self._linger(data)
            return
        if self._buffer:
            data = self._buffer + data
        self._process(data)

    def eof_received(self) -> bool | None:
        self._saw_eof = True
        exchange = self._exchange
        if exchange is None:
            self._deadline = self._plane.wheel.now + STALL_S  # for what it has not read yet
            return None
        if exchange.tunnel is not None:
            exchange.tunnel.on_client_end()
            return True
        if not exchange.body_complete:
            exchange.cancel()  # RFC 9112 §8: an incomplete request is never passed off as a whole one
            self._exchange = None
            return None
        if not self._buffer:
            self.keep_alive = False
        return True  # a half-closed client still reads the responses to what it sent

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.leave(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.cancel()

    def pause_writing(self) -> None:
        self._paused = True
        self._deadline = self._plane.wheel.now + STALL_S
        if self._exchange is not None:
            self._exchange.on_client_writable(False)

    def resume_writing(self) -> None:
        self._paused = False
        if self._exchange is not None:
            self._exchange.on_client_writable(True)
        elif self._linger_left < 0:
            self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s
            self._go_on()

    def expire(self, now: float) -> float | None:
        if self._linger_left >= 0 or self.transport.is_closing():
            return self._expire_closing(now)
        exchange = self._exchange
        waits_for_endpoint = exchange is not None and (exchange.body_complete or not self._wants_body)
        if now < self._deadline or (waits_for_endpoint and not self._paused):
            if exchange is not None and self._body is not None and not waits_for_endpoint:
                self._check_rate(exchange)
            return now + CHECK_S
        if self._paused:
            self._exchange = None
            if exchange is not None:
                exchange.cancel()
            self.transport.abort()
        elif exchange is not None:
            self._refuse_body(exchange, RequestError(408, "the request body did not arrive in time"), "DT")
        elif self._buffer:
            self._refuse(408, "The request head did not arrive in time.", "DT")
        else:
            self._end()
        return now + CHECK_S

    def _check_rate(self, exchange: Exchange) -> None:
        """A body that is waited for must not only come, but come fast enough: slow POST attacks."""
        limits = self._plane.limits
        self._awaited_s += CHECK_S
        due_s = self._awaited_s - limits.min_body_rate_grace_s
        if exchange.body_bytes < due_s * limits.min_body_rate:
            self._refuse_body(exchange, RequestError(408, "the request body arrives too slowly"), "DT")

    def _expire_closing(self, now: float) -> float | None:
        """A client has STALL_S to read what is written, and LINGER_S from then on to go away."""
        if not self.transport.get_write_buffer_size():
            if self.transport.is_closing():
                return None
            self._deadline = min(self._deadline, now + LINGER_S)
        if now < self._deadline:
            return now + CHECK_S
        self.transport.abort()
        return None

    # Cutting requests

    def _process(self, data: bytes) -> None:
        """Start the requests in `data` until one has to wait for its response."""
        heads = self._heads
        self._is_processing = True
        while data and self._exchange is None and self._linger_left < 0 and not self._paused:
            if data.startswith(b"\r\n") and self._blank_lines < _MAX_BLANK_LINES:
                self._blank_lines += 1
                self._buffer = b""
                data = data[2:]
                continue
            try:
                size = heads.read(data, len(self._buffer))
            except RequestError as error:
                self._refuse(error.status, error.detail, "DPE")
                break
            if not size:
                self._wait_for_more(data)
                break
            data = self._begin(heads.line, heads.headers, data[size:])
        else:
            self._buffer = data if self._linger_left < 0 else b""
            if len(data) > HIGH_WATER_BYTES:
                self.transport.pause_reading()
        self._is_processing = False

    def _wait_for_more(self, data: bytes) -> None:
        if not self._buffer:
            self._deadline = self._plane.wheel.now + self._plane.limits.head_timeout_s
        self._buffer = data

    def _begin(self, line: RequestLine, headers: RequestHeaders, rest: bytes) -> bytes:
        """Start a request; return what of `rest` lies behind it, if that can be known already."""
        self._blank_lines = 0
        self._buffer = b""
        self.version = line.version
        control = headers.control
        self.keep_alive = line.version == 1 and not control.close
        if self._plane.draining or self._listener.is_closed or (self._saw_eof and not rest):
            self.keep_alive = False
        if self._speaks_for:
            self._believe(headers)
        if control.max_forwards == b"0" and line.resource.method == b"OPTIONS":
            return self._answer(200, "This is the last hop.", "LR", line, headers, rest)
        plan = self._plane.table.find(self._listener.port, control.host, line.resource.path, headers)
        if plan is None:
            return self._answer(404, "No route matches.", "NR", line, headers, rest)
        exchange = self._exchange = Exchange(self._plane, self, plan, line, headers)
        if control.length == 0:
            exchange.start()
            return rest
        body = self._body = RequestBody(control.length)
        self._awaited_s = 0.0
        self._deadline = self._plane.wheel.now + self._plane.limits.body_idle_timeout_s
        if rest:
            rest = self._read_body(exchange, body, rest)
        if not exchange.is_done:
            exchange.start()
        return rest

    def _believe(self, headers: RequestHeaders) -> None:
        """Take over what a trusted proxy says of its client."""
        received = headers.values(b"x-forwarded-for")
        client, chain = client_and_chain(self._peer, received, self._plane.trusted)
        schemes = headers.values(b"x-forwarded-proto")
        is_https = len(schemes) == 1 and schemes[0].lower() == b"https"
        self._introduce(client, chain, b"https" if is_https else b"http")

    def _introduce(self, client: bytes, chain: bytes, scheme: bytes) -> None:
        """Say who the client is, to endpoints and in the log."""
        self.forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (chain, scheme)
        self.log = b'"client":"%b","listener":"%b"' % (client, self.listener_name.encode())

    def _during_exchange(self, exchange: Exchange, data: bytes) -> None:
        if exchange.tunnel is not None:
            exchange.tunnel.from_client(data)
            return
        body = self._body
        if body is not None:
            self._deadline = self._plane.wheel.now + self._plane.limits.body_idle_timeout_s
            data = self._read_body(exchange, body, data)
        if data and self._exchange is not None:
            self._buffer += data
            if len(self._buffer) > HIGH_WATER_BYTES:
                self.transport.pause_reading()

    def _read_body(self, exchange: Exchange, body: RequestBody, data: bytes) -> bytes:
        """Hand the body in `data` over; return what lies behind it."""
        try:
            wire = body.feed(data)
        except RequestError as error:
            self._refuse_body(exchange, error, "DPE")
            return b""
        if wire:
            exchange.on_body(wire)
        if not body.done:
            return b""
        self._body = None
        exchange.on_body_end()
        return body.rest

    # The exchange's side

    def response_deadline(self) -> float:
        return self._plane.wheel.now + self._listener.response_timeout_s

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def write_piece(self, piece: memoryview) -> bool:
        self.transport.write(piece)
        return not self.transport.get_write_buffer_size()

    def room(self) -> int:
        try:
            info = self.transport.get_extra_info("socket").getsockopt(SOL_SOCKET, _SO_MEMINFO, 36)
        except (OSError, AttributeError):
            return 0  # another platform, or the descriptor is gone already
        size, queued = _SEND_BUFFER.unpack_from(info)
        return max(0, int(size) - int(queued))

    def read_body(self, wanted: bool) -> None:
        if wanted == self._wants_body or self.transport.is_closing():
            return
        self._wants_body = wanted
        if wanted:
            self._deadline = self._plane.wheel.now + self._plane.limits.body_idle_timeout_s
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def abort(self) -> None:
        self._exchange = None
        if self.version == 0:  # it takes any orderly end of the connection for the end of the response
            self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        self.transport.abort()

    def on_tunnel(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        tunnel = exchange.tunnel
        assert tunnel is not None
        data, self._buffer = self._buffer, b""
        self.transport.resume_reading()
        if data:
            tunnel.from_client(data)
        if self._saw_eof:
            tunnel.on_client_end()

    def on_tunnel_done(self) -> None:
        self._exchange = None
        self._end()

    def on_exchange_done(self, keep: bool) -> None:
        self._exchange = None
        self._body = None
        if not keep or (self._saw_eof and not self._buffer):
            self._close()
            return
        if not self._wants_body:
            self.read_body(True)
        if not self._paused:
            self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s
            self._go_on()

    def _go_on(self) -> None:
        """Look at what came while no request could be started."""
        data = self._buffer
        if data and not self._is_processing:
            self._buffer = b""
            if len(data) > HIGH_WATER_BYTES:
                self.transport.resume_reading()
            self._process(data)
            if self._saw_eof:
                self._drop_incomplete()

    def _drop_incomplete(self) -> None:
        """The client has closed its side: a request that is not complete by now never will be."""
        exchange = self._exchange
        if exchange is None:
            self._close()
        elif not exchange.body_complete:
            exchange.cancel()
            self._exchange = None
            self._close()

    # Closing

    def close_if_idle(self) -> None:
        """The listener closes: a connection without a request in flight does too, others with its answer."""
        self.keep_alive = False
        if self._exchange is None and not self._buffer:
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

    def _turn_away(self, detail: str) -> None:
        """Refuse the connection, whatever it was going to ask."""
        if self._listener.is_crowded:
            self.transport.abort()
        else:
            self._refuse(503, detail, None)

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

    def _answer(
        self, status: int, detail: str, flag: str, line: RequestLine, headers: RequestHeaders, rest: bytes
    ) -> bytes:
        """Answer without an exchange; a body that comes with the request ends the connection."""
        if headers.control.length != 0:
            self.keep_alive = False
        date = self._plane.wheel.date
        close = not self.keep_alive
        self.write(reply(status, date, headers.request_id, detail, close=close, head=line.resource.is_head))
        self._record(status, flag, line, headers)
        if not self.keep_alive:
            self._close()
            return b""
        self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s
        return rest

    def _refuse(self, status: int, detail: str, flag: str | None) -> None:
        """Answer a request that cannot be accepted, and close."""
        detail = detail[:1].upper() + detail[1:].rstrip(".") + "."
        self.write(reply(status, self._plane.wheel.date, b"", detail, close=True))
        if flag is not None:
            self._record(status, flag, None, None)
        self._close()

    def _refuse_body(self, exchange: Exchange, error: RequestError, flag: str) -> None:
        started = exchange.has_response_started
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
        plane.local.record(self.listener_name, "", "", status, flag, 0.0, 0, 0)
        if plane.log is not None:
            plane.log.request(
                line.resource.log if line is not None else NO_RESOURCE, self.version,
                headers.control.log if headers is not None else NO_HEADERS,
                status, flag, 0, 0, 0, headers.request_id if headers is not None else b"", self.log, NO_ROUTE,
                NO_ENDPOINT, 0, b"", plane.version,
            )  # fmt: skip
