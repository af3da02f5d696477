"""The client's side of the requests of one HTTP/1 connection, which come one after the other.

The stream frames responses for the client's version of HTTP, and lets the connection go on only after a
request that was read completely (RFC 9112 §9.3).
"""

import asyncio
import struct
from abc import ABC, abstractmethod
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

from proxy.dataplane import DataPlane
from proxy.downstream.body_rate import rate_error
from proxy.http.body import RequestBody
from proxy.http.chunked import END, encode_chunk
from proxy.http.errors import RequestError
from proxy.http.framing import CHUNKED
from proxy.http.replies import CONTINUE
from proxy.http.response import ResponseHead
from proxy.request.downstream import ClientInfo, Downstream
from proxy.request.exchange import Exchange
from proxy.request.tunnel import Tunnel

_SO_MEMINFO: Final = 55  # linux/socket.h
_SEND_BUFFER: Final = struct.Struct("=12xI4xI")  # of sock_diag.h: SK_MEMINFO_SNDBUF, SK_MEMINFO_WMEM_QUEUED
_SMALL_BODY_BYTES: Final = 16384  # up to here one joined write is cheaper than two
_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: close with RST


class StreamConnection(ABC):
    """The connection, as its stream sees it."""

    __slots__ = ()

    @abstractmethod
    def on_request_done(self, goes_on: bool) -> None:
        """Go on with the next request, or close."""

    @abstractmethod
    def on_tunnel_done(self) -> None:
        """Close once all is written."""

    @abstractmethod
    def on_switched(self, tunnel: Tunnel) -> None:
        """Hand over the bytes that came behind the request to its tunnel."""

    @abstractmethod
    def want_body(self, wanted: bool) -> None:
        """Go on, or stop for now, delivering the request body."""

    @abstractmethod
    def has_waiting_input(self) -> bool:
        """Whether anything was received that is not processed."""


class Http1Stream(Downstream):
    """The stream of a connection; `exchange` is its present request, None between requests."""

    __slots__ = (
        "_connection", "_goes_on", "_plane", "_writes_chunks", "awaited_s", "body", "exchange",
        "expects_continue", "keep_alive", "transport",
    )  # fmt: skip

    def __init__(
        self, plane: DataPlane, transport: asyncio.Transport, connection: StreamConnection, client: ClientInfo
    ) -> None:
        # Per connection
        self._plane = plane
        self.transport = transport
        self._connection: StreamConnection | None = connection  # None once it is lost
        self.client = client
        # Per request
        self.exchange: Exchange | None = None
        self.keep_alive = True  # as far as client and listener want that
        self.takes_chunks = True  # HTTP/1.1
        self.body: RequestBody | None = None  # None: the request is complete
        self.awaited_s = 0.0  # time that the body was waited for
        self.expects_continue = False  # the client waits for 100 (Continue)
        # Per response
        self._goes_on = False  # whether the connection goes on after the response
        self._writes_chunks = False

    def is_busy(self) -> bool:
        """Whether a request is under way.

        Compiled code takes `exchange` for None after a comparison, in spite of calls in between; this method
        reads it anew.
        """
        return self.exchange is not None

    # The request

    def deliver(self, exchange: Exchange, body: RequestBody, payload: bytes) -> None:
        """Pass on a decoded piece of the body."""
        self.expects_continue = False  # RFC 9110 §10.1.1: the client did not wait
        if body.done:
            self.body = None
            exchange.on_body_end(payload, body.trailers)
        elif payload:
            exchange.on_body(payload)

    def has_waiting_body(self) -> bool:
        """Whether bytes of a body, or of a tunnel, were received and not looked at."""
        body, exchange = self.body, self.exchange
        if body is None:
            return self.has_sent_more() and exchange is not None and exchange.tunnel is not None
        return body.has_more or self.has_sent_more()

    def check_rate(self, exchange: Exchange, elapsed_s: float) -> RequestError | None:
        """Return the error for a body that comes too slowly.

        `elapsed_s` is the time since the last check, all of which the body was waited for.
        """
        self.awaited_s += elapsed_s
        return rate_error(exchange.record, self.awaited_s, self._plane.config.limits)

    def accept_body(self) -> None:
        self.read_body(True)
        if self.expects_continue:
            self.expects_continue = False
            self.transport.write(CONTINUE)

    def read_body(self, wanted: bool) -> None:
        if self._connection is not None:
            self._connection.want_body(wanted)

    def has_sent_more(self) -> bool:
        return self._connection is not None and self._connection.has_waiting_input()

    # The response

    def respond(self, head: ResponseHead, data: bytes, at: int, *, is_decoded: bool = False) -> None:
        keep = self._goes_on = self.keep_alive and self.body is None and not self._plane.draining
        if is_decoded and head.length == CHUNKED and self.takes_chunks:
            data, at = encode_chunk(data) + END if data else END, 0
        if keep and head.dated and len(data) - at < _SMALL_BODY_BYTES:  # nearly all
            self.transport.write(head.whole + data[at:])
        else:
            self._write_start(self._text(head, keep), data, at)

    def begin(self, head: ResponseHead, data: bytes, at: int) -> None:
        is_chunked = self._writes_chunks = head.length < 0 and self.takes_chunks
        has_end = is_chunked or head.length >= 0
        keep = self._goes_on = has_end and self.keep_alive and self.body is None and not self._plane.draining
        if is_chunked and len(data) > at:
            data, at = encode_chunk(data[at:]), 0
        self._write_start(self._text(head, keep), data, at)

    def _text(self, head: ResponseHead, keep: bool) -> bytes:
        if keep and head.dated:
            return head.whole
        return head.text(1 if self.takes_chunks else 0, self._plane.wheel.date, keep=keep)

    def _write_start(self, head: bytes, data: bytes, at: int) -> None:
        """Write the head and data[at:]: in one piece, where copying that is cheaper than another write."""
        if len(data) - at < _SMALL_BODY_BYTES:
            self.transport.write(head + data[at:])
        else:
            self.transport.write(head)
            self.piece(memoryview(data)[at:])

    def data(self, payload: bytes) -> None:
        self.transport.write(encode_chunk(payload) if self._writes_chunks else payload)

    def piece(self, piece: memoryview) -> bool:
        self.transport.write(piece)
        return not self.transport.get_write_buffer_size()

    def end(self, last: bytes, trailers: bytes) -> None:
        """Trailers end here: RFC 9110 §6.5.1 lets an intermediary drop them."""
        if self._writes_chunks:
            last = encode_chunk(last) + END if last else END
        if last:
            self.transport.write(last)

    def inform(self, head: ResponseHead) -> bool:
        if self.takes_chunks:  # HTTP/1.0 knows no interim responses
            self.transport.write(head.start + b"\r\n")
        return self.takes_chunks

    def room(self) -> int:
        try:
            info = self.transport.get_extra_info("socket").getsockopt(SOL_SOCKET, _SO_MEMINFO, 36)
        except (OSError, AttributeError):
            return 0  # another platform, or the descriptor is gone already
        size, queued = _SEND_BUFFER.unpack_from(info)
        return max(0, int(size) - int(queued))

    def switch(self, head: ResponseHead, rest: bytes, tunnel: Tunnel) -> None:
        self._writes_chunks = False
        self.transport.write(head.start + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + rest)
        if self._connection is not None:
            self._connection.on_switched(tunnel)

    # The end

    def done(self) -> None:
        self.exchange = None
        self.body = None
        if self._connection is not None:
            self._connection.on_request_done(self._goes_on)

    def tunnel_done(self) -> None:
        self.exchange = None
        if self._connection is not None:
            self._connection.on_tunnel_done()

    def abort(self) -> None:
        self.exchange = None
        if not self.takes_chunks:  # HTTP/1.0 takes any orderly end of the connection for the response's
            self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        self.transport.abort()

    def cancel(self) -> None:
        """End the request that is under way, if any: no client waits for its response."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.cancel()

    def give_up(self) -> None:
        """Cut the connection: the client is gone."""
        self.cancel()
        self.abort()

    def refuse_body(self, exchange: Exchange, error: RequestError, flag: str) -> bool:
        """End a request because of its body; return whether the client can still get an answer."""
        has_begun = exchange.record.status != 0
        exchange.cancel(flag, error.status)
        if has_begun:
            self.abort()  # an answer would be read as part of the response
            return False
        self.exchange = None
        return True

    def detach(self) -> None:
        """Let go of the lost connection, so that no cycle is left to the garbage collector."""
        self._connection = None
        self.cancel()
