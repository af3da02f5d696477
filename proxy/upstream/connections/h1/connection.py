"""A connection to an endpoint: one request in flight, responses cut by their own framing.

It goes back to the pool only when the request was written and the response read completely, by
valid framing, with not one byte left over (docs/behaviour.md, "Upstream connections").
"""

import asyncio
from math import inf
from typing import Final, cast

from proxy.backlog import GONE, QUANTUM, READS, WAITS, Backlog, body_cost
from proxy.careful import CALM_BYTES, Care
from proxy.http.body import Body
from proxy.http.chunked import END, ChunkError, encode_chunk, plain_size
from proxy.http.errors import ResponseError
from proxy.http.framing import CHUNKED, UNTIL_CLOSE
from proxy.http.memo import Memo
from proxy.http.response import DEFAULT_IDLE_S, ResponseHead
from proxy.http.response_heads import ResponseHeadReader
from proxy.timers import TimerWheel
from proxy.upstream.connections.h1.body_carrier import BodyCarrier
from proxy.upstream.connections.h1.long_body import LEAST_BYTES, Buffers, LongBodyReader
from proxy.upstream.connections.h1.pool import Http1Pool
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.connections.sockets import acknowledge, proves_undelivered, set_options
from proxy.upstream.connections.stream import StreamEndpoint
from proxy.upstream.connections.unacknowledged import AcknowledgementWatch
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.kinds import Kind

HIGH_WATER_BYTES: Final = 65536
STREAM_IDLE_S: Final = 300.0  # longest time between two pieces of a body: Envoy's stream idle timeout
CHECK_ACTIVE_S: Final = 0.1
CHECK_IDLE_S: Final = 0.5
MAX_INTERIM: Final = 10_000
"""Responses before the final one. RFC 2518 §10.1 asks for one every 20 s: that is two days."""


class UpstreamConnection(BodyCarrier):
    """A connection belongs to one endpoint for its whole life, and is its own stream during a request.

    An asyncio.Protocol by its methods: mypyc's classes inherit only from each other.
    """

    __slots__ = (
        "_backlog", "_before", "_body", "_buffer", "_buffers", "_care", "_head", "_heads", "_interims",
        "_is_held", "_is_streaming", "_is_waiting", "_pool", "_rest", "_sends_chunks", "_tunnel", "_watch",
        "_wheel", "is_listed", "written",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: StreamEndpoint,
        pool: Http1Pool,
        wheel: TimerWheel,
        memo: Memo[ResponseHead],
        buffers: Buffers,
        backlog: Backlog,
    ) -> None:
        # Per connection
        self.endpoint = endpoint
        self._pool = pool
        self.transport = cast(asyncio.Transport, None)
        self._wheel = wheel
        self._watch: AcknowledgementWatch | None = None
        self._heads = ResponseHeadReader(memo)
        self._buffers = buffers
        self._backlog = backlog
        self.is_listed = False  # in the backlog
        self._care = Care(backlog, calm=1)  # hundreds of connections may open at once, for any bodies
        self._is_streaming = False  # a LongBodyReader reads
        self.served = 0
        self.written = 0  # bytes written, for the proof that a request was never delivered
        self.deadline = 0.0
        # Per request
        self.exchange = None
        self.since = 0.0
        self._before = 0
        self._sends_chunks = False  # the rest of the request body goes in chunks
        self._buffer = b""  # an incomplete head, or bytes behind the response
        self._interims = 0
        self._head: ResponseHead | None = None
        self._body: Body | None = None  # from the head on, unless the whole response came with it
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
        self._pool.release(self)

    def release(self) -> None:
        head = self._head
        self.exchange = None
        self.served += 1
        self._head = None
        self._body = None
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
            self._pool.release(self)

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
        self._pool.opened(self)
        self.deadline = self._wheel.now + DEFAULT_IDLE_S
        self._wheel.schedule(self, self._wheel.now + CHECK_IDLE_S)
        self._care.read(self)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # RFC 9112 §9.2: without a request this would answer the next one
            self._pool.forget_idle(self)
            self.transport.abort()
            return
        self.endpoint.heard = self._wheel.clock.now()
        if len(data) > CALM_BYTES:
            self._care.notice(self, len(data))
        backlog = self._backlog
        if self.is_listed or (backlog.left < 0 and backlog.is_over()):
            self._rest += data
            self._wait_for_turn(is_new=not exchange.is_pipelined())
        else:
            self._receive(exchange, data)

    def on_read(self, size: int) -> None:
        is_clear = self._head is None and not (self.is_listed or self._rest or self._buffer)
        self._care.settle(self, size, is_clear=is_clear)

    def read_heads(self) -> None:
        self._is_streaming = False
        self._care.read(self)

    def _receive(self, exchange: ResponseSink, data: bytes) -> None:
        if self._body is not None:
            self._take_body(exchange, self._body, data)
        elif self._tunnel:
            self._backlog.left -= body_cost(len(data))
            exchange.on_tunnel_data(data)
        elif self._head is not None:
            self._buffer = data  # surplus bytes: release() will not reuse the connection
        else:
            if self._buffer:
                data = self._buffer + data
                self._buffer = b""
            self._read_heads(exchange, data)

    def _read_heads(self, exchange: ResponseSink, data: bytes) -> None:
        """Cut the heads that `data` begins with: one, but for interim responses."""
        at, heads = 0, self._heads
        for _ in range(QUANTUM):
            try:
                end = heads.read(data, at)
            except ResponseError:
                self._malformed(exchange)
                return
            if not end:
                self._buffer = data[at:]
                return
            at, head = end, heads.head
            if len(data) - at == head.body_bytes and not exchange.is_head:
                self._head = head
                exchange.on_response(head, data, at, len(data) - at)
                return
            if head.status >= 200 or head.status == 101:
                self._start(exchange, head, data, at)
                return
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
        if rest or (self._body is not None and self._body.has_more):
            self._receive(exchange, rest)
        if self._is_waiting:
            return WAITS
        if self.exchange is not exchange:
            return GONE  # the request has ended
        if self._body is not None and not self._is_streaming:
            self._read_long(exchange, self._body)
        if not self._is_held:
            self.transport.resume_reading()
        return READS

    def eof_received(self) -> bool | None:
        exchange, body = self.exchange, self._body
        if exchange is not None and body is not None and body.left == UNTIL_CLOSE:
            # RFC 9112 §6.3: the end of the connection is the end of the body
            exchange.on_response_end(b"", b"")
            return None
        if exchange is not None:
            self.exchange = None
            exchange.on_upstream_lost(self._lost(was_reset=False))
        else:
            self._pool.forget_idle(self)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.closed(self)
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
            self._pool.forget_idle(self)

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
                self._pool.forget_idle(self)
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
        self._watch = None

    # Cutting the response

    def _malformed(self, exchange: ResponseSink) -> None:
        self.abort()
        exchange.on_upstream_lost(Failure.MALFORMED)

    def _start(self, exchange: ResponseSink, head: ResponseHead, data: bytes, at: int) -> None:
        """Begin to deliver a response, or deliver all of it, if it has come."""
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
        if length == CHUNKED:
            size = plain_size(data, at) if exchange.takes_chunks() else -1
            if size >= 0:
                exchange.on_response(head, data, at, size)
                return
        self.deadline = self._wheel.now + STREAM_IDLE_S
        body = self._body = Body(length)
        most = exchange.slice_bytes()
        if len(data) - at > most > 0:
            self._rest = data[at + most :]
            data = data[: at + most]
        if length == CHUNKED:
            self._start_chunked(exchange, head, body, data[at:])
        else:
            acknowledge(self.transport)
            exchange.on_response_start(head, data, at)
            if length > 0:
                body.left -= len(data) - at
                self._read_long(exchange, body)
        if self._rest and self.exchange is exchange:
            self._wait_for_turn(is_new=False)

    def _start_chunked(self, exchange: ResponseSink, head: ResponseHead, body: Body, data: bytes) -> None:
        try:
            payload = body.feed(data)
        except ChunkError:
            exchange.on_response_start(head, b"", 0)
            if self.exchange is exchange:
                self._malformed(exchange)
            return
        if body.done and not body.trailers:
            self._buffer = body.rest(data)
            exchange.on_response(head, payload, 0, len(payload), is_decoded=True)
        elif body.done:
            self._buffer = body.rest(data)
            exchange.on_response_start(head, payload, 0)
            if self.exchange is exchange:
                exchange.on_response_end(b"", body.trailers)
        else:
            acknowledge(self.transport)
            exchange.on_response_start(head, payload, 0)
            if body.has_more and self.exchange is exchange:
                self._wait_for_turn(is_new=False)

    def _switch(self, exchange: ResponseSink, head: ResponseHead, rest: bytes) -> None:
        if head.websocket:
            self._tunnel = True
            self.deadline = inf
            exchange.on_switched(head, rest)
        else:
            self._malformed(exchange)

    def _take_body(self, exchange: ResponseSink, body: Body, data: bytes) -> None:
        """Relay as much of the body as one turn may take."""
        most = exchange.slice_bytes()
        if len(data) > most > 0:
            self._rest = data[most:]
            data = data[:most]
        self._backlog.left -= body_cost(len(data))
        self._relay(exchange, body, data)
        if (self._rest or body.has_more) and self.exchange is exchange:
            self._wait_for_turn(is_new=False)

    def _relay(self, exchange: ResponseSink, body: Body, data: bytes) -> None:
        self.deadline = self._wheel.now + STREAM_IDLE_S
        try:
            payload = body.feed(data)
        except ChunkError:
            self._malformed(exchange)
            return
        if body.done:
            self._buffer = body.rest(data)
            exchange.on_response_end(payload, body.trailers)
        elif payload:
            exchange.on_response_data(payload)

    # Long bodies

    def _read_long(self, exchange: ResponseSink, body: Body) -> None:
        """Let a LongBodyReader read the body, if enough of it is to come."""
        if body.left >= LEAST_BYTES and not self._rest and self.exchange is exchange:
            self._is_streaming = True
            LongBodyReader(self, exchange, body.left, self._buffers).start()

    def on_long_body(self, size: int) -> None:
        self.endpoint.heard = self._wheel.clock.now()
        self.deadline = self._wheel.now + STREAM_IDLE_S
        self._backlog.left -= body_cost(size)
        if self._is_pressed():
            self._wait_for_turn(is_new=False)

    def take_over(self, left: int, data: bytes) -> None:
        if self._body is not None:
            self._body.left = left
        self.read_heads()
        self.data_received(data)

    def few_if_pressed(self) -> memoryview | None:
        return self._backlog.few if self._is_pressed() else None

    def _is_pressed(self) -> bool:
        return self._backlog.left < 0 and self._backlog.is_over()

    def on_long_body_end(self, exchange: ResponseSink, surplus: bytes) -> None:
        self._body = None
        self._buffer = surplus
        exchange.on_response_end(b"", b"")

    # Leaving

    def _give_up(self) -> None:
        """Note that the endpoint may go on working on a request that was given up."""
        if self.is_waiting():
            now, kind = self._wheel.clock.now(), self.awaits()
            longest_s = kind.longest_s(now) if kind is not None else inf
            self.endpoint.gave_up(self.since, longest_s, now)

    def _lost(self, *, was_reset: bool) -> Failure:
        if self._was_never_delivered(was_reset=was_reset):
            return Failure.UNSEEN if self.served else Failure.REFUSED
        if was_reset:
            return Failure.ABORTED
        return Failure.STALE if self.served else Failure.RESET

    def _was_never_delivered(self, *, was_reset: bool) -> bool:
        """Whether not one byte of the request reached the endpoint: then even a POST can be sent again."""
        if self._head is not None or self._buffer or self._rest:
            return False
        return proves_undelivered(self.transport, self._before, was_reset=was_reset)
