"""The client's side of one request in HTTP/2: the body that comes, the response that goes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from proxy.downstream.body_rate import rate_error
from proxy.downstream.h2.outbox import DataStream, Outbox
from proxy.downstream.h2.receiving import ReceiveWindow
from proxy.http.errors import RequestError
from proxy.http.response import ResponseHead
from proxy.http2.errors import (
    CANCEL,
    FLOW_CONTROL_ERROR,
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    StreamError,
)
from proxy.http2.frames import (
    DATA,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HEADERS,
    MOST_WINDOW,
    frame_head,
    headers_frames,
)
from proxy.http2.response_head import interim_block, response_block, trailer_block, tunnel_block
from proxy.model.limits import Limits
from proxy.request.downstream import ClientInfo, Downstream
from proxy.request.exchange import Exchange
from proxy.request.tunnel import Tunnel
from proxy.timers import TimerWheel

HIGH_WATER_BYTES: Final = 65536
"""Bytes of a response that wait here before the endpoint is read from no more."""
LOW_WATER_BYTES: Final = 16384
_CONTINUE: Final = ResponseHead(100)
_CONTINUE.start = b"HTTP/1.1 100 Continue\r\n"
UNKNOWN_LENGTH: Final = -1


class StreamOwner(ABC):
    """The connection, as its streams see it."""

    __slots__ = ()

    @abstractmethod
    def on_stream_over(self, number: int) -> None:
        """Both sides of a stream have ended."""

    @abstractmethod
    def reset(self, number: int, code: int) -> None:
        """End a stream by RST_STREAM. NO_ERROR: the client has its whole response (RFC 9113 §8.1)."""

    @abstractmethod
    def soon(self, work: Callable[[], None]) -> None:
        """Do work in the next turn of the event loop."""

    @abstractmethod
    def on_consumed(self, size: int) -> None:
        """Bytes of a body are processed: they need no memory, and no part of the connection's window."""


class Sending(DataStream):
    """The data of a response that waits for windows, in the order of its pieces."""

    __slots__ = ("_at", "_ends", "_pieces", "_stream", "size", "trailers", "window")

    def __init__(self, stream: "Http2Stream", window: int) -> None:
        self._stream: Http2Stream | None = stream  # None once the stream is over
        self._pieces: list[bytes] = []
        self._at = 0  # bytes of the first piece that were sent
        self._ends = False
        self.is_waiting = False
        self.size = 0  # bytes that wait
        self.trailers = b""  # a header block
        self.window = window  # bytes that the client takes

    def add(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)

    def end(self) -> None:
        self._ends = True

    def drop(self) -> None:
        """Send no more."""
        self._stream = None
        self._pieces.clear()
        self.size = 0

    def send_some(self, room: int) -> int:
        stream = self._stream
        if stream is None:
            return -1
        if not self.size:
            if self._ends:
                stream.write_end(self.trailers)
            return -1
        if self.window <= 0:
            return -1
        if room <= 0:
            return 0
        piece = self._take(min(room, self.window, FRAME_BYTES))
        size = len(piece)
        self.size -= size
        self.window -= size
        is_last = self._ends and not self.size and not self.trailers
        stream.write_data(piece, ends=is_last)
        return -1 if is_last else size

    def _take(self, most: int) -> bytes:
        """Take up to `most` bytes from the beginning."""
        pieces, at = self._pieces, self._at
        first = pieces[0]
        left = len(first) - at
        if left > most:
            self._at = at + most
            return first[at : at + most]
        if not at and left == most:
            return pieces.pop(0)
        taken = [first[at:] if at else first]
        self._at = 0
        count, size = 1, left
        while count < len(pieces) and size + len(pieces[count]) <= most:
            taken.append(pieces[count])
            size += len(pieces[count])
            count += 1
        del pieces[:count]
        return taken[0] if count == 1 else b"".join(taken)


class Http2Stream(Downstream):
    """A stream from its HEADERS on. The exchange comes once the request has a route."""

    __slots__ = (
        "_has_begun", "_held", "_held_flow", "_is_over", "_is_wanted", "_is_writable", "_outbox", "_owner",
        "_received", "_wheel", "_window", "awaited_s", "deadline", "declared", "exchange",
        "expects_continue", "has_ended", "most_bytes", "number", "progressed", "sending", "trailers",
    )  # fmt: skip

    def __init__(
        self, owner: StreamOwner, outbox: Outbox, wheel: TimerWheel, number: int, window: int,
        client: ClientInfo,
    ) -> None:  # fmt: skip
        """`window`: bytes of the response that the client takes at first."""
        self.client = client
        self.takes_chunks = False
        self.number = number
        self._owner: StreamOwner | None = owner  # None once the stream is over
        self._outbox = outbox
        self._wheel = wheel
        self.exchange: Exchange | None = None
        self._is_over = False
        # The request
        self.has_ended = False  # END_STREAM has come
        self.declared = UNKNOWN_LENGTH  # Content-Length
        self.most_bytes = 0  # limit of the body; 0: none
        self.trailers = b""
        self.expects_continue = False
        self._window: ReceiveWindow | None = None  # for its body, from the first byte on
        self.awaited_s = 0.0
        self.deadline = 0.0  # of the next piece of the body
        self._received = 0
        self._is_wanted = True
        self._held: list[bytes] = []  # pieces that are not wanted yet
        self._held_flow = 0
        # The response
        self.sending = Sending(self, window)
        self.progressed = 0.0  # when a byte of it was sent last, or when one began to wait
        self._has_begun = False
        self._is_writable = True

    def is_busy(self) -> bool:
        """Whether a request is under way; compiled code must read `exchange` anew, see Http1Stream."""
        return self.exchange is not None

    # The request

    def receive(self, payload: bytes, flow: int, *, ends: bool) -> None:
        """Take DATA of `flow` bytes with its padding. Raises StreamError, RequestError (413)."""
        window = self._window
        if window is None:
            window = self._window = ReceiveWindow(self.number, DEFAULT_WINDOW)
        if not window.take(flow):
            raise StreamError(self.number, FLOW_CONTROL_ERROR, "more data than the window has")
        self._received += len(payload)
        if ends:
            self._end_request()
        elif self._received > self.declared >= 0:
            raise StreamError(self.number, PROTOCOL_ERROR, "more data than Content-Length says")
        if self._received > self.most_bytes > 0:
            raise RequestError(413, f"the body is larger than {self.most_bytes} bytes")
        if self.exchange is None:
            self._consume(flow)  # answered already
        elif self._is_wanted and not self._held:
            self._deliver(payload, flow)
        else:
            self._held.append(payload)
            self._held_flow += flow

    def receive_trailers(self, lines: bytes) -> None:
        """Take the field lines behind the body, which end it. Raises StreamError."""
        self.trailers = lines
        self._end_request()
        if self._is_wanted and not self._held:
            self._deliver(b"", 0)
        else:
            self._held.append(b"")

    def _end_request(self) -> None:
        if self._received != self.declared >= 0:
            raise StreamError(self.number, PROTOCOL_ERROR, "Content-Length differs from the data")
        self.has_ended = True

    def _deliver(self, payload: bytes, flow: int) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        self.expects_continue = False  # RFC 9110 §10.1.1: the client did not wait
        tunnel = exchange.tunnel
        if tunnel is not None:
            if payload:
                tunnel.from_client(payload)
            if self.has_ended:
                tunnel.on_client_end()
        elif exchange.record.has_whole_body:
            self._hold(payload, flow)  # of a tunnel that is not open yet
            return
        elif self.has_ended:
            exchange.on_body_end(payload, self.trailers)
        elif payload:
            exchange.on_body(payload)
        self._consume(flow)

    def _hold(self, payload: bytes, flow: int) -> None:
        self._held.append(payload)
        self._held_flow += flow

    def _deliver_wanted(self) -> None:
        if self._is_wanted and self._owner is not None:
            self._deliver_held()

    def _deliver_held(self) -> None:
        if self._held or self.has_ended:
            payload, flow = b"".join(self._held), self._held_flow
            self._held.clear()
            self._held_flow = 0
            self._deliver(payload, flow)

    def _consume(self, flow: int) -> None:
        """Give the client its windows back."""
        owner = self._owner
        if owner is None or not flow:
            return
        owner.on_consumed(flow)
        if self._window is not None and not self.has_ended:
            self._outbox.add_any(self._window.give_back(flow))

    def awaits_body(self) -> bool:
        """Whether the next thing to come is a piece of the body."""
        exchange = self.exchange
        return (
            exchange is not None
            and exchange.tunnel is None
            and not self.has_ended
            and self._is_wanted
            and not exchange.record.has_whole_body
        )

    def body_error(self, now: float, elapsed_s: float, limits: Limits) -> RequestError | None:
        """Return the error for a body that comes too slowly, or not at all, for `elapsed_s` more seconds."""
        exchange = self.exchange
        if exchange is None or not self.awaits_body():
            return None
        if now >= self.deadline:
            return RequestError(408, "the request body did not arrive in time")
        self.awaited_s += elapsed_s
        return rate_error(exchange.record, self.awaited_s, limits)

    def accept_body(self) -> None:
        self.read_body(True)
        if self.expects_continue:
            self.expects_continue = False
            self.inform(_CONTINUE)

    def read_body(self, wanted: bool) -> None:
        if wanted == self._is_wanted or self._is_over:
            return
        self._is_wanted = wanted
        if wanted and self._held and self._owner is not None:
            self._owner.soon(self._deliver_wanted)  # not now: the head may not have been sent

    def has_sent_more(self) -> bool:
        return False

    # The response

    def respond(self, head: ResponseHead, data: bytes, at: int, *, is_decoded: bool = False) -> None:
        size = len(data) - at
        sending, outbox = self.sending, self._outbox
        block = outbox.block(response_block(head, self._wheel.date))
        self._has_begun = True
        if not size:
            outbox.add(headers_frames(self.number, block, ends=True))
            self._over()
        elif size <= sending.window and size <= outbox.window and size <= FRAME_BYTES >= len(block):
            outbox.window -= size
            outbox.add(
                b"%b%b%b%b"
                % (
                    frame_head(len(block), HEADERS, END_HEADERS, self.number),
                    block,
                    frame_head(size, DATA, END_STREAM, self.number),
                    data[at:] if at else data,
                )
            )
            self._over()
        else:
            outbox.add(headers_frames(self.number, block, ends=False))
            sending.end()
            self._send(data[at:])

    def begin(self, head: ResponseHead, data: bytes, at: int) -> None:
        self._has_begun = True
        self._begin(response_block(head, self._wheel.date))
        if len(data) > at:
            self._send(data[at:])

    def data(self, payload: bytes) -> None:
        self._send(payload)

    def piece(self, piece: memoryview) -> bool:
        self._send(bytes(piece))
        return True

    def end(self, last: bytes, trailers: bytes) -> None:
        if trailers:
            self.sending.trailers = trailer_block(trailers)
        self.sending.end()
        self._send(last)

    def inform(self, head: ResponseHead) -> bool:
        self._begin(interim_block(head))
        return True

    def room(self) -> int:
        return 0

    def switch(self, head: ResponseHead, rest: bytes, tunnel: Tunnel) -> None:
        self._has_begun = True
        self._begin(tunnel_block(head, self._wheel.date))
        if rest:
            self._send(rest)
        self._deliver_held()

    def _begin(self, block: bytes) -> None:
        """Write a head behind which something follows."""
        self._outbox.add(headers_frames(self.number, self._outbox.block(block), ends=False))

    def _send(self, payload: bytes) -> None:
        sending = self.sending
        if not sending.size:
            self.progressed = self._wheel.now
        sending.add(payload)
        self._outbox.send_data(sending)
        if sending.size > HIGH_WATER_BYTES and self._is_writable:
            self._is_writable = False
            if self.exchange is not None:
                self.exchange.on_client_writable(False)

    def write_data(self, piece: bytes, *, ends: bool) -> None:
        """Write a frame of data; called by `sending`, which has counted it."""
        size = len(piece)
        self._outbox.count_data(frame_head(size, DATA, END_STREAM if ends else 0, self.number), 0)
        self._outbox.count_data(piece, size)
        self.progressed = self._wheel.now
        if ends:
            self._over()
        elif not self._is_writable and self.sending.size <= LOW_WATER_BYTES:
            self._is_writable = True
            if self.exchange is not None:
                self.exchange.on_client_writable(True)

    def write_end(self, trailers: bytes) -> None:
        """Write the end of a response whose data has been sent."""
        if trailers:
            block = self._outbox.block(trailers)
            self._outbox.count_data(headers_frames(self.number, block, ends=True), 0)
        else:
            self._outbox.count_data(frame_head(0, DATA, END_STREAM, self.number), 0)
        self._over()

    def widen(self, increment: int) -> None:
        """Take a WINDOW_UPDATE. Raises StreamError."""
        sending = self.sending
        if not increment:
            raise StreamError(self.number, PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        sending.window += increment
        if sending.window > MOST_WINDOW:
            raise StreamError(self.number, FLOW_CONTROL_ERROR, "the window of a stream is too large")
        if sending.size:
            self._outbox.send_data(sending)

    def is_stalled(self, now: float, limit_s: float) -> bool:
        """Whether data waits for the client's windows, and none was sent for `limit_s` seconds."""
        return self.sending.size > 0 and now - self.progressed >= limit_s

    # The end

    def _over(self) -> None:
        """The last byte of the response is in the outbox."""
        owner = self._owner
        if owner is None:
            return
        if self.exchange is not None and self.exchange.tunnel is None and not self._is_over:
            self._is_over = True  # `done` follows
        elif self.has_ended:
            self._leave(owner)
        else:
            owner.reset(self.number, NO_ERROR)

    def done(self) -> None:
        self.exchange = None
        if self._is_over:
            self._over()

    def tunnel_done(self) -> None:
        self.exchange = None
        self.sending.end()
        self._outbox.send_data(self.sending)

    def abort(self) -> None:
        self.exchange = None
        if self._owner is not None:
            self._owner.reset(self.number, INTERNAL_ERROR)

    def cancel(self) -> None:
        """End the request that is under way, if any: no client waits for its response."""
        exchange, self.exchange = self.exchange, None
        self.forget()
        if exchange is not None:
            exchange.cancel()

    def give_up(self) -> None:
        """Cancel a request whose client takes no more of the response."""
        owner = self._owner
        self.cancel()
        if owner is not None:
            owner.reset(self.number, CANCEL)

    def close_tunnel(self, exchange: Exchange, flag: str) -> None:
        exchange.cancel(flag)
        self.tunnel_done()

    def refuse_body(self, error: RequestError, flag: str) -> bool:
        """End a request because of its body; return whether the client can still get an answer."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.cancel(flag, error.status)
        if self._has_begun:
            self.abort()
            return False
        return True

    def forget(self) -> None:
        """Drop all that waits, and the connection, so that no cycle is left to the garbage collector."""
        if self._held_flow and self._owner is not None:
            self._owner.on_consumed(self._held_flow)
        self._held.clear()
        self._held_flow = 0
        self._owner = None
        self.sending.drop()

    def _leave(self, owner: StreamOwner) -> None:
        self.forget()
        owner.on_stream_over(self.number)
