"""A connection to an endpoint: one request in flight, responses cut by their own framing.

It goes back to the pool only when the request was written and the response read completely, by
valid framing, with not one byte left over (docs/behaviour.md, "Upstream connections").
"""

import asyncio
from abc import ABC, abstractmethod
from math import inf
from typing import Final, cast

from proxy.backlog import GONE, QUANTUM, READS, WAITS, Backlog, body_cost
from proxy.careful import CALM_BYTES, CALM_READS, CarefulReader
from proxy.http import limits
from proxy.http.chunked import END, ChunkDecoder, ChunkError, encode_chunk, plain_size
from proxy.http.errors import ResponseError
from proxy.http.memo import Memo
from proxy.http.response import CHUNKED, DEFAULT_IDLE_S, UNTIL_CLOSE, ResponseHead, parse_response_head
from proxy.timers import TimerWheel
from proxy.upstream.connections.carrier import Carrier
from proxy.upstream.connections.long_body import LEAST_BYTES, Buffers, LongBodyReader
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.connections.sockets import acknowledge, bytes_acked, bytes_sent, set_options
from proxy.upstream.connections.unacknowledged import AcknowledgementWatch
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.kinds import Kind

HIGH_WATER_BYTES: Final = 65536
STREAM_IDLE_S: Final = 300.0  # longest time between two pieces of a body: Envoy's stream idle timeout
CHECK_ACTIVE_S: Final = 0.1
CHECK_IDLE_S: Final = 0.5
MAX_INTERIM: Final = 10_000
"""Responses before the final one. RFC 2518 §10.1 asks for one every 20 s: that is two days."""


class ConnectionOwner(ABC):
    """The endpoint of a connection, as the connection sees it: it is below endpoints in the layers."""

    __slots__ = ("heard", "label")

    label: str  # address and port
    heard: float  # when the last byte of a response came, monotonic

    @abstractmethod
    def opened(self, connection: "UpstreamConnection") -> None:
        """The connection is established."""

    @abstractmethod
    def closed(self, connection: "UpstreamConnection") -> None:
        """The connection has ended, for any reason."""

    @abstractmethod
    def release(self, connection: "UpstreamConnection") -> None:
        """Keep a connection that is fit for another request, or close it."""

    @abstractmethod
    def forget_idle(self, connection: "UpstreamConnection") -> None:
        """Give the connection to no request, if it is idle."""

    @abstractmethod
    def gave_up(self, since: float, longest_s: float, now: float) -> None:
        """A request sent at `since` was given up; its kind takes `longest_s` at most, inf if unknown."""


class UpstreamConnection(Carrier):
    """A connection belongs to one endpoint for its whole life, and is its own stream during a request.

    An asyncio.Protocol by its methods: mypyc's classes inherit only from each other.
    """

    __slots__ = (
        "_backlog", "_before", "_buffer", "_buffers", "_calm", "_checked", "_decoder", "_head", "_interims",
        "_is_careful", "_is_held", "_is_streaming", "_is_waiting", "_known", "_left", "_memo", "_rest",
        "_sends_chunks", "_tunnel", "_watch", "_wheel", "endpoint", "is_listed", "served", "written",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: ConnectionOwner,
        wheel: TimerWheel,
        memo: Memo[ResponseHead],
        buffers: Buffers,
        backlog: Backlog,
    ) -> None:
        # Per connection
        self.endpoint = endpoint
        self.transport = cast(asyncio.Transport, None)
        self._wheel = wheel
        self._watch: AcknowledgementWatch | None = None
        self._memo = memo
        self._known: ResponseHead | None = None  # of the response before, where it is remembered
        self._buffers = buffers
        self._backlog = backlog
        self.is_listed = False  # in the backlog
        self._is_careful = False  # a CarefulReader reads, but for the rest of a long body
        self._calm = 0  # small reads in a row after which the careful reading ends
        self._is_streaming = False  # a LongBodyReader reads
        self.served = 0  # requests answered
        self.written = 0  # bytes written, for the proof that a request was never delivered
        self.deadline = 0.0
        # Per request
        self.exchange = None
        self.since = 0.0  # the endpoint has had all of the request, monotonic
        self._before = 0
        self._sends_chunks = False  # the rest of the request body goes in chunks
        self._buffer = b""
        self._checked = 0  # bytes of an incomplete head, at the beginning of `_buffer`
        self._interims = 0
        self._head: ResponseHead | None = None
        self._left = 0
        self._decoder: ChunkDecoder | None = None
        self._tunnel = False
        self._is_held = False  # the client does not read: nothing is read here either
        self._is_waiting = False  # for its turn: nothing is read meanwhile
        self._rest = b""  # received bytes that are processed in that turn

    def __repr__(self) -> str:
        state = "busy" if self.exchange else "idle"
        return f"<connection to {self.endpoint.label}, {self.served} served, {state}>"

    # The request

    def send(
        self, exchange: ResponseSink, head: bytes, deadline: float, body: bytes = b"", *,
        in_chunks: bool = False, is_complete: bool = True,
    ) -> None:  # fmt: skip
        data = head
        self._sends_chunks = in_chunks and not is_complete
        if in_chunks:
            data = b"%b%b%b" % (head, encode_chunk(body) if body else b"", END if is_complete else b"")
        elif body:
            data = head + body
        self.exchange = exchange
        self._before = self.written
        self.written += len(data)
        self.deadline = deadline
        self.since = self._wheel.clock.now()
        if self._watch is None:
            self._watch = AcknowledgementWatch(self)
            self._wheel.schedule(self._watch, self._wheel.now)
        self.transport.write(data)

    def write(self, payload: bytes) -> None:
        data = encode_chunk(payload) if self._sends_chunks else payload
        self.written += len(data)
        self.transport.write(data)

    def end(self, last: bytes, trailers: bytes) -> None:
        """Trailers end here: RFC 9110 §6.5.1 lets an intermediary drop them."""
        data = last
        if self._sends_chunks:
            self._sends_chunks = False
            data = encode_chunk(last) + END if last else END
        if data:
            self.written += len(data)
            self.transport.write(data)

    def finish(self) -> None:
        self.deadline = self._wheel.now + STREAM_IDLE_S
        self.transport.write_eof()

    def is_waiting(self) -> bool:
        return self.exchange is not None and self._head is None and not self._tunnel

    def awaits(self) -> Kind | None:
        return self.exchange.awaits() if self.exchange is not None else None

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def read_response(self, wanted: bool) -> None:
        self._is_held = not wanted
        if not wanted:
            self.transport.pause_reading()
        elif self._is_waiting:
            self._backlog.add(self, is_new=False)
        else:
            self.transport.resume_reading()

    def give_back(self) -> None:
        self.endpoint.release(self)

    def release(self) -> None:
        head = self._head
        self.exchange = None
        self.served += 1
        self._head = None
        self._decoder = None
        self._checked = 0
        self._interims = 0
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # the endpoint has not read all of the request: the next one would wait
        elif head is None or not head.idle_s or self._buffer or self._rest or self.transport.is_closing():
            self.transport.close()
        else:
            if self._is_held or self.is_listed:
                self._is_waiting = False
                self.read_response(True)
            self.deadline = self._wheel.now + head.idle_s
            self.endpoint.release(self)

    def close(self) -> None:
        self.exchange = None
        self.transport.close()

    def leave_to(self, sink: ResponseSink) -> None:
        self.exchange = sink

    def abort(self) -> None:
        self._give_up()
        self.exchange = None
        if not self._backlog.drop(self.transport.abort):
            self.transport.pause_reading()

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        set_options(self.transport)
        self.endpoint.opened(self)
        self.deadline = self._wheel.now + DEFAULT_IDLE_S
        self._wheel.schedule(self, self._wheel.now + CHECK_IDLE_S)
        self._is_careful = True  # hundreds of connections may open at once, for bodies of any length
        self._calm = 1
        self.read_heads()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # RFC 9112 §9.2: without a request this would answer the next one
            self._leave_pool()
            self.transport.abort()
            return
        self.endpoint.heard = self._wheel.clock.now()
        if len(data) > CALM_BYTES and not self._is_careful:
            self._read_with_care()
        backlog = self._backlog
        if self.is_listed or (backlog.left < 0 and backlog.is_over()):
            self._rest += data
            self._wait_for_turn(is_new=not exchange.is_pipelined())
        else:
            self._receive(exchange, data)

    def _read_with_care(self) -> None:
        self._is_careful = True
        self._calm = CALM_READS
        self.read_heads()

    def settle(self, size: int) -> None:
        """Read without a buffer again, if reads have been small for a while, and nothing is left over."""
        if size > CALM_BYTES:
            self._calm = CALM_READS
        elif self._head is None and not (self.is_listed or self._rest or self._buffer):
            self._calm -= 1
            if self._calm <= 0:
                self._is_careful = False
                self.read_heads()

    def read_heads(self) -> None:
        """Take the place of the reader of a long body."""
        self._is_streaming = False
        reader = CarefulReader(self, self._backlog) if self._is_careful else self
        self.transport.set_protocol(cast(asyncio.BaseProtocol, reader))

    def _receive(self, exchange: ResponseSink, data: bytes) -> None:
        if self._head is not None:
            self._take_body(exchange, self._head, data)
            return
        if self._tunnel:
            self._backlog.left -= body_cost(len(data))
            exchange.on_tunnel_data(data)
            return
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        self._read_heads(exchange, data)

    def _read_heads(self, exchange: ResponseSink, data: bytes) -> None:
        """Cut the heads that `data` begins with: one, but for interim responses."""
        at = 0
        for _ in range(QUANTUM):
            head = self._known
            end = at + len(head.block) if head is not None else at
            if head is None or data[at:end] != head.block or data[end : end + 2] != b"\r\n":
                end = data.find(b"\r\n\r\n", at) + 2
                if end < 2:
                    self._incomplete(exchange, data[at:])
                    return
                head = self._head_of(exchange, data[at:end])
                if head is None:
                    return
            at = end + 2
            if len(data) - at == head.body_bytes and not exchange.is_head:
                self._head = head
                exchange.on_response(head, data, at, len(data) - at)
                return
            if head.status >= 200 or head.status == 101:
                self._start(exchange, head, data, at)
                return
            self._checked = 0
            self._interims += 1
            if self._interims > MAX_INTERIM:
                self._malformed(exchange)
                return
            exchange.on_informational(head)
            if at == len(data) or self.exchange is not exchange:
                return
        self._rest = data[at:]
        self._wait_for_turn(is_new=False)

    def _wait_for_turn(self, *, is_new: bool) -> None:
        """Process received bytes once other connections have had their turns."""
        self._backlog.left -= QUANTUM
        self._is_waiting = True
        self.transport.pause_reading()
        self._backlog.add(self, is_new=is_new)

    def proceed(self) -> int:
        """Called by the backlog: process a quantum of the response."""
        exchange = self.exchange
        if not self._is_waiting or exchange is None or self._is_held or self.transport.is_closing():
            return GONE
        self._is_waiting = False
        rest, self._rest = self._rest, b""
        if rest or (self._decoder is not None and self._decoder.has_more):
            self._receive(exchange, rest)
        if self._is_waiting:
            return WAITS
        if self.exchange is not exchange:
            return GONE  # the request has ended
        if self._head is not None and self._decoder is None and not self._is_streaming:
            self._stream(exchange)
        if not self._is_held:
            self.transport.resume_reading()
        return READS

    def eof_received(self) -> bool | None:
        exchange, head = self.exchange, self._head
        if exchange is not None and head is not None and self._left == UNTIL_CLOSE:
            exchange.on_response_end(
                b"", b""
            )  # RFC 9112 §6.3: the end of the connection is the end of the body
            return None
        if exchange is not None:
            self.exchange = None
            exchange.on_upstream_lost(self._lost(was_reset=False))
        else:
            self._leave_pool()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.endpoint.closed(self)
        self._watch = None  # the watch refers to this connection
        exchange = self.exchange
        if exchange is not None and self._rest:
            rest, self._rest = self._rest, b""
            self._receive(exchange, rest)  # bytes from before the end
            exchange = self.exchange
        if exchange is not None:
            # TimeoutError: TCP_USER_TIMEOUT has passed without an acknowledgement
            timed_out = isinstance(exc, TimeoutError)
            was_reset = isinstance(exc, ConnectionResetError)
            failure = Failure.TIMEOUT if timed_out else self._lost(was_reset=was_reset)
            self.exchange = None
            exchange.on_upstream_lost(failure)
        else:
            self._leave_pool()

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.on_upstream_writable(False)

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.on_upstream_writable(True)

    def expire(self, now: float) -> float | None:
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size():  # the endpoint has closed its side, and does not read
                self.transport.abort()
            return None
        if self.exchange is None:
            if now >= self.deadline:
                self._leave_pool()
                self.transport.close()
                return None
            return now + CHECK_IDLE_S
        if now >= self.deadline:
            exchange = self.exchange
            self.abort()
            exchange.on_upstream_lost(Failure.TIMEOUT)
            return None
        return now + CHECK_ACTIVE_S

    def on_watch_over(self) -> None:
        """The watch found no request: the next request begins another watch."""
        self._watch = None

    # Cutting the response

    def _head_of(self, exchange: ResponseSink, block: bytes) -> ResponseHead | None:
        head = self._memo.young.get(block) or self._memo.again(block)
        if head is None:
            try:
                head = parse_response_head(block)
            except ResponseError:
                self._malformed(exchange)
                return None
            if self._memo.offer(block, head):
                head.block = block
        self._known = head if head.block else None
        return head

    def _incomplete(self, exchange: ResponseSink, data: bytes) -> None:
        # Refuse bytes that are no HTTP/1 response at once, rather than wait for an end that never comes
        if not data.startswith(b"HTTP/1."[: len(data)]):
            self._malformed(exchange)
            return
        checked, self._checked = self._checked, len(data)
        lines_end = data.rfind(b"\r\n") + 2
        is_small = len(data) <= (limits.MAX_HEAD_BYTES if lines_end > 1 else limits.MAX_LINE_BYTES)
        if checked and is_small and data.find(b"\n", checked) < 0:
            self._buffer = data  # the next check needs another end of a line
            return
        if lines_end > 1:
            try:
                parse_response_head(data[:lines_end])
            except ResponseError:
                self._malformed(exchange)
                return
        elif b"\n" in data or len(data) > limits.MAX_LINE_BYTES:
            self._malformed(exchange)
            return
        if len(data) > limits.MAX_HEAD_BYTES:
            self._malformed(exchange)
            return
        self._buffer = data

    def _malformed(self, exchange: ResponseSink) -> None:
        self.abort()
        exchange.on_upstream_lost(Failure.MALFORMED)

    def _start(self, exchange: ResponseSink, head: ResponseHead, data: bytes, at: int) -> None:
        if head.status == 101:
            self._switch(exchange, head, data[at:])
            return
        self._head = head
        length = 0 if exchange.is_head or head.has_no_body else head.length
        if 0 <= length <= len(data) - at:
            if len(data) - at > length:
                self._buffer = data[at + length :]  # surplus bytes: release() will not reuse the connection
                data = data[: at + length]
            exchange.on_response(head, data, at, length)
            return
        self._left = length
        self.deadline = self._wheel.now + STREAM_IDLE_S
        if length == CHUNKED:
            size = plain_size(data, at) if exchange.takes_chunks() else -1
            if size >= 0:
                exchange.on_response(head, data, at, size)
                return
        most = exchange.slice_bytes()
        if len(data) - at > most > 0:
            self._rest = data[at + most :]
            data = data[: at + most]
        if length == CHUNKED:
            self._start_chunked(exchange, head, data[at:])
        else:
            acknowledge(self.transport)
            exchange.on_response_start(head, data, at)
            if length > 0:
                self._left = length - (len(data) - at)
                self._stream(exchange)
        if self._rest and self.exchange is exchange:
            self._wait_for_turn(is_new=False)

    def _stream(self, exchange: ResponseSink) -> None:
        """Let a LongBodyReader read the body, if enough of it is to come."""
        if self._left >= LEAST_BYTES and not self._rest and self.exchange is exchange:
            self._is_streaming = True
            LongBodyReader(self, exchange, self._left, self._buffers).start()

    def _start_chunked(self, exchange: ResponseSink, head: ResponseHead, data: bytes) -> None:
        decoder = ChunkDecoder()
        try:
            body = decoder.feed(data)
        except ChunkError:
            exchange.on_response_start(head, b"", 0)
            if self.exchange is exchange:
                self._malformed(exchange)
            return
        if decoder.done:
            self._buffer = decoder.rest
            exchange.on_response(head, body, 0, len(body), is_decoded=True)
        else:
            self._decoder = decoder
            acknowledge(self.transport)
            exchange.on_response_start(head, body, 0)
            if decoder.has_more and self.exchange is exchange:
                self._wait_for_turn(is_new=False)

    def _switch(self, exchange: ResponseSink, head: ResponseHead, rest: bytes) -> None:
        if head.websocket:
            self._tunnel = True
            self.deadline = float("inf")
            exchange.on_switched(head, rest)
        else:
            self._malformed(exchange)

    def _take_body(self, exchange: ResponseSink, head: ResponseHead, data: bytes) -> None:
        """Relay as much of the body as one turn may take."""
        most = exchange.slice_bytes()
        if len(data) > most > 0:
            self._rest = data[most:]
            data = data[:most]
        self._backlog.left -= body_cost(len(data))
        self._body(exchange, head, data)
        if self._rest and self.exchange is exchange:
            self._wait_for_turn(is_new=False)

    def _body(self, exchange: ResponseSink, head: ResponseHead, data: bytes) -> None:
        self.deadline = self._wheel.now + STREAM_IDLE_S
        if self._decoder is not None:
            self._chunked_body(exchange, self._decoder, data)
        elif self._left == UNTIL_CLOSE:
            exchange.on_response_data(data)
        elif len(data) < self._left:
            self._left -= len(data)
            exchange.on_response_data(data)
        else:
            self._buffer = data[self._left :]
            data = data[: self._left]
            self._left = 0
            exchange.on_response_end(data, b"")

    def _chunked_body(self, exchange: ResponseSink, decoder: ChunkDecoder, data: bytes) -> None:
        try:
            payload = decoder.feed(data)
        except ChunkError:
            self._malformed(exchange)
            return
        if decoder.done:
            self._buffer = decoder.rest
            exchange.on_response_end(payload, decoder.trailers)
            return
        if payload:
            exchange.on_response_data(payload)
        if decoder.has_more and self.exchange is exchange:
            self._wait_for_turn(is_new=False)

    def on_stream(self, size: int) -> None:
        """The reader of the long body has read `size` bytes more."""
        self.endpoint.heard = self._wheel.clock.now()
        self.deadline = self._wheel.now + STREAM_IDLE_S
        self._backlog.left -= body_cost(size)
        if self._is_pressed():
            self._wait_for_turn(is_new=False)

    def take_over(self, left: int, data: bytes) -> None:
        """Replace the reader of the long body: it has read `data`, the first of `left` bytes to come."""
        self._left = left
        self.read_heads()
        self.data_received(data)

    def few_if_pressed(self) -> memoryview | None:
        """Return a small buffer to read into, if others wait for this turn of the loop to end."""
        return self._backlog.few if self._is_pressed() else None

    def _is_pressed(self) -> bool:
        return self._backlog.left < 0 and self._backlog.is_over()

    def on_stream_end(self, exchange: ResponseSink, surplus: bytes) -> None:
        self._left = 0
        self._buffer = surplus
        exchange.on_response_end(b"", b"")

    # Leaving

    def _give_up(self) -> None:
        """Note that the endpoint may go on working on a request that was given up."""
        if self.is_waiting():
            now, kind = self._wheel.clock.now(), self.awaits()
            longest_s = kind.longest_s(now) if kind is not None else inf
            self.endpoint.gave_up(self.since, longest_s, now)

    def _leave_pool(self) -> None:
        self.endpoint.forget_idle(self)

    def _lost(self, *, was_reset: bool) -> Failure:
        if self._was_never_delivered(was_reset=was_reset):
            return Failure.UNSEEN if self.served else Failure.REFUSED
        if was_reset:
            return Failure.ABORTED
        return Failure.STALE if self.served else Failure.RESET

    def _was_never_delivered(self, *, was_reset: bool) -> bool:
        """Whether TCP proves that not one byte of the request reached the endpoint's machine.

        Then even a POST can be sent again: no program has read it.
        """
        if self._head is not None or self._buffer or self._rest:
            return False
        if was_reset:
            # A missing acknowledgement proves nothing: an RST is not counted as one, and programs read
            # faster than the kernel acknowledges (40 ms on a connection in use)
            return 0 <= bytes_sent(self.transport) <= self._before
        # The endpoint ended the connection before the request came
        return 0 <= bytes_acked(self.transport) <= self._before
