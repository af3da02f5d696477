"""A client connection of HTTP/2 (RFC 9113): frames become streams, requests and their bodies.

A fault in a stream ends the stream, a fault in the connection ends all of them; the client reads why. The
connection processes frames a quantum at a time, see `backlog`. While the client does not read, it is not read
from: whatever it sends, our replies stay few.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

from proxy.backlog import FEW_BYTES, GONE, LIGHT, LOG_COST_BYTES, QUANTUM, READS, WAITS, body_cost
from proxy.careful import Care
from proxy.dataplane import DataPlane
from proxy.downstream.answers import MISDIRECTED, STALE, Answer, give, refused, too_large
from proxy.downstream.closing import CHECK_S, STALL_S, Closing
from proxy.downstream.h2.draining import Draining
from proxy.downstream.h2.outbox import Outbox
from proxy.downstream.h2.receiving import ReceiveWindow
from proxy.downstream.h2.restraint import Restraint
from proxy.downstream.h2.stream import Http2Stream, StreamOwner
from proxy.downstream.h2.streams import Streams
from proxy.downstream.peer import Peer
from proxy.downstream.presence import ClientWatch
from proxy.downstream.routing import SettledRoute, find_route, is_misdirected
from proxy.downstream.state import ListenerState
from proxy.http.errors import RequestError
from proxy.http.limits import MAX_HEAD_BYTES
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import HTTP_2, RequestLine
from proxy.http2.errors import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    NAMES,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    Http2Error,
    StreamError,
)
from proxy.http2.frames import (
    DATA,
    DEFAULT_WINDOW,
    ENABLE_CONNECT_PROTOCOL,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_LIST_SIZE,
    MOST_WINDOW,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    WINDOW_UPDATE,
    FrameReader,
    goaway_frame,
    number_of,
    ping_ack,
    read_settings,
    reset_frame,
    settings_frame,
    window_frame,
)
from proxy.http2.hpack import CAPACITY
from proxy.http2.request_head import Http2HeadReader
from proxy.request.exchange import Exchange
from proxy.request.tunnel import Tunnel
from proxy.tls.session import TlsSession

HIGH_WATER_BYTES: Final = 65536
CONNECTION_WINDOW: Final = 1 << 20
"""Bytes of request bodies, over all streams, that may wait in memory for endpoints that do not read."""


class Http2Connection(StreamOwner):
    """An asyncio.Protocol by its methods: mypyc's classes inherit only from each other."""

    __slots__ = (
        "_backlog", "_care", "_closing", "_deadline", "_draining", "_frames", "_has_settings", "_heads",
        "_initial_window", "_is_stale", "_listener", "_loop", "_needs_preface", "_opened", "_outbox",
        "_paused", "_peer", "_plane", "_restraint", "_streams", "_watch", "_window", "_within_since",
        "client", "is_listed", "session", "transport",
    )  # fmt: skip

    def __init__(
        self, plane: DataPlane, listener: ListenerState, peer: Peer, transport: asyncio.Transport,
        opened: float, session: TlsSession | None,
    ) -> None:  # fmt: skip
        """`opened`: when the connection was accepted (monotonic). It is in the listener's books already."""
        now = plane.wheel.now
        limits = plane.config.limits
        self._plane = plane
        self._listener = listener
        self._backlog = plane.backlog
        self._peer = peer
        self.client = peer.as_client()
        self.transport = transport
        self.session = session  # None: in the clear
        self._opened = opened
        self._watch = ClientWatch()
        self._closing: Closing | None = None
        self._deadline = now + limits.head_timeout_s
        self._draining = Draining(now, limits.http2_max_age_s)
        # Reading
        self.is_listed = False  # in the backlog
        self._care = Care(plane.backlog, calm=2)
        self._frames = FrameReader()
        self._heads = Http2HeadReader(plane.http2_tables)
        self._needs_preface = PREFACE  # bytes of it that have not come
        self._has_settings = False
        self._within_since = 0.0  # a frame or header block has been incomplete; 0: none is
        self._is_stale = False  # what was read last has waited too long
        self._paused = False  # the client does not read
        # Streams
        self._streams = Streams()
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(self._loop, transport)
        self._initial_window = DEFAULT_WINDOW
        self._window = ReceiveWindow(0, CONNECTION_WINDOW)
        self._restraint = Restraint(limits)

    def start(self) -> None:
        """Write our SETTINGS, which need not wait for the client's (RFC 9113 §3.4)."""
        plane = self._plane
        plane.wheel.schedule(self, plane.wheel.now + CHECK_S)
        self._outbox.add(
            settings_frame(
                (
                    (MAX_CONCURRENT_STREAMS, plane.config.limits.http2_max_streams),
                    (MAX_HEADER_LIST_SIZE, MAX_HEAD_BYTES),
                    (ENABLE_CONNECT_PROTOCOL, 1),
                )
            )
            + window_frame(0, CONNECTION_WINDOW - DEFAULT_WINDOW)
        )

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport was there before."""

    def data_received(self, data: bytes) -> None:
        if self._closing is not None:
            self._closing.throw_away(data)
            return
        if self._needs_preface:
            data = self._take_preface(data)
            if not data:
                return
        backlog, frames = self._backlog, self._frames
        overload = self._listener.overload
        self._is_stale = overload.is_watching and overload.is_stale(self.transport, self._opened)
        frames.feed(data)
        if self.is_listed or self._paused or (backlog.left < 0 and backlog.is_over()):
            if frames.waiting_bytes >= FEW_BYTES:
                self.transport.pause_reading()
            if not self._paused:
                self._wait_for_turn(is_new=True)
        else:
            self._process()

    def on_read(self, size: int) -> None:
        self._care.settle(self, size, is_clear=not self.is_listed and not self._frames.is_within)

    def eof_received(self) -> bool | None:
        """Nothing more can come, not even a WINDOW_UPDATE: close at once."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.leave(self)
        self._outbox.clear()
        for stream in self._streams.clear():
            stream.cancel()

    def pause_writing(self) -> None:
        self._paused = self._outbox.is_paused = True
        self._deadline = self._plane.wheel.now + STALL_S
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s
        self._outbox.resume()
        if self._closing is None and not self.transport.is_closing():
            if self._frames.has_frame():
                self._wait_for_turn(is_new=False)
            else:
                self.transport.resume_reading()

    # Turns

    def proceed(self) -> int:
        """Called by the backlog: process a quantum."""
        if self._is_stopped():
            return GONE
        left = self._backlog.left
        self._process()
        if self._is_stopped():
            return GONE
        if self._frames.has_frame():
            return WAITS
        self.transport.resume_reading()
        return READS if left - self._backlog.left > LIGHT else GONE

    def _is_stopped(self) -> bool:
        return self._closing is not None or self._paused or self.transport.is_closing()

    def _wait_for_turn(self, *, is_new: bool) -> None:
        self._backlog.add(self, is_new=is_new)
        self._care.begin(self)

    def _process(self) -> None:
        """Process the frames that have come, a quantum of them at most."""
        left = QUANTUM
        frames = self._frames
        try:
            while left > 0 and self._closing is None:
                try:
                    if not frames.next():
                        break
                    left -= 1 + (len(frames.payload) >> LOG_COST_BYTES) if frames.kind != DATA else 1
                    self._take()
                except StreamError as fault:  # another name: compiled, a variable has one type
                    self._refuse_stream(fault)
        except Http2Error as error:
            self._fail(error)
        self._backlog.left -= QUANTUM - left
        if self._closing is not None:
            return
        if left < QUANTUM or not frames.is_within:
            self._within_since = 0.0
        if frames.is_within and not self._within_since:
            self._within_since = self._plane.wheel.now
        if left <= 0 and frames.has_frame() and not self.is_listed:
            self.transport.pause_reading()
            self._wait_for_turn(is_new=False)

    # Frames

    def _take_preface(self, data: bytes) -> bytes:
        """Take the rest of the preface; return the bytes behind it."""
        needed = self._needs_preface
        count = min(len(data), len(needed))
        if data[:count] != needed[:count]:
            self._fail(Http2Error(PROTOCOL_ERROR, "the client did not begin with the preface of HTTP/2"))
            return b""
        self._needs_preface = needed[count:]
        return data[count:]

    def _take(self) -> None:
        """Act on the frame that was read. Raises StreamError, Http2Error."""
        frames = self._frames
        kind = frames.kind
        if not self._has_settings:
            if kind != SETTINGS or frames.is_ack:
                raise Http2Error(PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._has_settings = True
        if kind == HEADERS:
            self._on_headers(frames.stream, frames.payload, ends=frames.ends)
        elif kind == DATA:
            self._on_data(frames.stream, frames.payload, frames.flow, ends=frames.ends)
        elif kind == WINDOW_UPDATE:
            self._on_window_update(frames.stream, number_of(frames.payload))
        elif kind == RST_STREAM:
            self._on_reset(frames.stream)
        else:
            self._restraint.on_frame(self._plane.wheel.now)
            self._on_control(kind, frames)

    def _on_control(self, kind: int, frames: FrameReader) -> None:
        if kind == SETTINGS:
            if not frames.is_ack:
                self._on_settings(frames.payload)
        elif kind == PING:
            if not frames.is_ack:
                self._outbox.add(ping_ack(frames.payload))
        elif kind == PRIORITY:
            if number_of(frames.payload) == frames.stream:
                raise StreamError(frames.stream, PROTOCOL_ERROR, "a stream that depends on itself")
        elif kind == GOAWAY:
            self.drain()

    def _on_settings(self, payload: bytes) -> None:
        window = self._initial_window
        for name, value in read_settings(payload):
            if name == INITIAL_WINDOW_SIZE:
                window = value  # a frame may name it 2,700 times, and only the last counts
            elif name == HEADER_TABLE_SIZE and value < CAPACITY:
                self._outbox.shrink_table()
        if window != self._initial_window:
            self._change_windows(window - self._initial_window)
            self._initial_window = window
        self._outbox.add(SETTINGS_ACK)

    def _change_windows(self, change: int) -> None:
        """RFC 9113 §6.9.2: the windows of open streams change, and may become negative."""
        for stream in list(self._streams.all()):
            sending = stream.sending
            sending.window += change
            if sending.window > MOST_WINDOW:
                raise Http2Error(FLOW_CONTROL_ERROR, "the window of a stream is too large")
            if sending.size:
                self._outbox.send_data(sending)

    def _on_window_update(self, number: int, increment: int) -> None:
        if not number:
            if not increment:
                raise Http2Error(PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self._outbox.widen(increment)
            return
        stream = self._streams.get(number)
        if stream is not None:
            stream.widen(increment)
        else:
            self._streams.check_used(number, "WINDOW_UPDATE")
            self._restraint.on_frame(self._plane.wheel.now)

    def _on_reset(self, number: int) -> None:
        self._streams.check_used(number, "RST_STREAM")
        stream = self._streams.close(number)
        if stream is not None:
            stream.cancel()
            self._restraint.on_lost_stream(self._plane.wheel.now)
            self._go_on_idle()
        else:
            self._restraint.on_frame(self._plane.wheel.now)

    def _on_data(self, number: int, payload: bytes, flow: int, *, ends: bool) -> None:
        if not self._window.take(flow):
            raise Http2Error(FLOW_CONTROL_ERROR, "more data than the window of the connection has")
        if not payload and not ends:
            self._restraint.on_frame(self._plane.wheel.now)
        stream = self._streams.get(number)
        if stream is None:
            self._streams.check_used(number, "DATA")
            self.on_consumed(flow)
            if not self._streams.is_reset(number):  # else a body that was on its way, as far as windows go
                raise StreamError(number, STREAM_CLOSED, "DATA on a closed stream")
            return
        if stream.has_ended:
            self.on_consumed(flow)
            raise StreamError(number, STREAM_CLOSED, "DATA behind the end of a request")
        self._backlog.left -= body_cost(len(payload))
        stream.deadline = self._plane.wheel.now + self._plane.config.limits.body_idle_timeout_s
        self._care.notice(self, len(payload))
        try:
            stream.receive(payload, flow, ends=ends)
        except RequestError as error:
            self._refuse_body(stream, error, "DPE")

    # Requests

    def _on_headers(self, number: int, block: bytes, *, ends: bool) -> None:
        streams, heads = self._streams, self._heads
        stream = streams.get(number)
        is_own_parent = self._frames.is_own_parent
        if stream is not None:
            self._take_trailers(stream, block, ends=ends)
            return
        if not streams.use(number):
            heads.pass_over(block)
            self._restraint.on_frame(self._plane.wheel.now)
            return
        answer: Answer | None = None
        try:
            heads.read(block, number, ends=ends)
        except RequestError as error:
            answer = refused(error.status, "DPE", error.detail)
        if is_own_parent:
            raise StreamError(number, PROTOCOL_ERROR, "a stream that depends on itself")
        if self._draining.is_closed:
            return  # RFC 9113 §6.8: the client sends it again over another connection
        if len(streams) >= self._plane.config.limits.http2_max_streams:
            raise StreamError(number, REFUSED_STREAM, "too many streams at a time")
        stream = Http2Stream(self, self._outbox, self._plane.wheel, number, self._initial_window, self.client)
        stream.has_ended = ends
        streams.open(stream)
        self._listener.http2_streams += 1
        if answer is not None:
            give(self._plane, stream, answer)
        else:
            self._begin(stream, heads.line, heads.headers)

    def _take_trailers(self, stream: Http2Stream, block: bytes, *, ends: bool) -> None:
        if stream.has_ended:
            self._heads.pass_over(block)
            raise StreamError(stream.number, STREAM_CLOSED, "HEADERS behind the end of a request")
        lines = self._heads.read_trailers(block, stream.number)
        if not ends:
            raise StreamError(stream.number, PROTOCOL_ERROR, "HEADERS behind the body that do not end it")
        stream.receive_trailers(lines)

    def _begin(self, stream: Http2Stream, line: RequestLine, headers: RequestHeaders) -> None:
        """Start a request, or answer it."""
        plane, control = self._plane, headers.control
        if self._is_stale:
            self._listener.count_stale()
            give(plane, stream, STALE, line, headers)
            return
        if self.session is not None and is_misdirected(self._listener, self.session, control.host):
            give(plane, stream, MISDIRECTED, line, headers)
            return
        if self._peer.is_proxy:
            stream.client = self._peer.client_of(headers)
        plan = find_route(plane, self._listener, stream.client, line, headers)
        if isinstance(plan, Answer):
            give(plane, stream, plan, line, headers)
            return
        if isinstance(plan, SettledRoute):
            line, plan = plan.line, plan.plan
        if control.length != 0 or not stream.has_ended:
            limits = plane.config.limits
            most = plan.body_limit(limits.max_body_bytes)
            if control.length > most > 0:
                give(plane, stream, too_large(most), line, headers)
                return
            if not control.upgrade:
                stream.declared = control.length
            stream.most_bytes = most if control.length < 0 else 0
            stream.expects_continue = control.expect
            stream.deadline = plane.wheel.now + limits.body_idle_timeout_s
        exchange = stream.exchange = Exchange(plane, stream, plan, line, headers)
        exchange.start()

    def _refuse_body(self, stream: Http2Stream, error: RequestError, flag: str) -> None:
        if stream.refuse_body(error, flag):
            give(self._plane, stream, refused(error.status, "", error.detail))

    # The streams' side

    def on_stream_over(self, number: int) -> None:
        self._streams.close(number)
        self._go_on_idle()

    def reset(self, number: int, code: int) -> None:
        stream = self._streams.close(number)
        self._streams.note_reset(number)
        self._outbox.add(reset_frame(number, code))
        if stream is not None:
            stream.forget()
        self._go_on_idle()

    def soon(self, work: Callable[[], None]) -> None:
        self._loop.call_soon(work)

    def on_consumed(self, size: int) -> None:
        self._outbox.add_any(self._window.give_back(size))

    def _refuse_stream(self, error: StreamError) -> None:
        """End a stream for a fault of the client.

        Raises Http2Error when there were too many, and for a stream that is idle: RFC 9113 §6.4 forbids to
        reset it.
        """
        if error.stream > self._streams.last:
            raise Http2Error(error.code, error.detail)
        stream = self._streams.get(error.stream)
        if stream is not None:
            stream.cancel()
        self._listener.count_http2_error(error.code, is_stream=True)
        self.reset(error.stream, error.code)
        self._restraint.on_lost_stream(self._plane.wheel.now)

    def _go_on_idle(self) -> None:
        """A stream has ended: without others the connection is idle from now on."""
        if not self._streams:
            self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s

    # Deadlines

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
        if self.transport.is_closing() or self._closing is not None:
            return self._closing_state().expire(now)
        self._check(now)
        return now + CHECK_S

    def _check(self, now: float) -> None:
        streams = self._streams
        if self._draining.is_old(now) or self._is_unwanted():
            self.drain()
        self._outbox.add_any(self._draining.close(now, streams.last))
        limit_s = self._plane.config.limits.head_timeout_s
        if (streams or self._paused) and not self._watch.is_there(self.transport, now):
            self._give_up()
        elif self._paused:
            if now >= self._deadline:
                self._give_up()
        elif self._within_since and now - self._within_since >= limit_s:
            self._fail(Http2Error(ENHANCE_YOUR_CALM, "a frame or header block did not arrive in time"))
        elif streams:
            self._check_streams(now)
        elif now >= self._deadline or self._draining.is_closed:
            self._end(NO_ERROR, "")

    def _is_unwanted(self) -> bool:
        """Whether the listener takes no connections like this one any more."""
        tls = self._listener.tls
        if self._plane.draining or self._listener.is_closed or (self.session is None) is not (tls is None):
            return True
        return tls is not None and not tls.http2

    def _check_streams(self, now: float) -> None:
        limits = self._plane.config.limits
        for stream in list(self._streams.all()):
            error = stream.body_error(now, CHECK_S, limits)
            exchange = stream.exchange
            if error is not None:
                self._refuse_body(stream, error, "DT")
            elif stream.is_stalled(now, limits.http2_stall_timeout_s):
                stream.give_up()
            elif exchange is not None and exchange.tunnel is not None:
                self._check_tunnel(stream, exchange, exchange.tunnel, now)

    def _check_tunnel(self, stream: Http2Stream, exchange: Exchange, tunnel: Tunnel, now: float) -> None:
        if tunnel.quiet_s(now) >= self._plane.config.limits.tunnel_idle_timeout_s > 0.0:
            stream.close_tunnel(exchange, "SI")

    # The end

    def _fail(self, error: Http2Error) -> None:
        """End the connection for a fault of the client. The log has a line for it, with the cause."""
        self._listener.count_http2_error(error.code, is_stream=False)
        plane = self._plane
        if plane.log is not None:
            cause = f"{NAMES[error.code]}: {error.detail}"
            plane.log.request(
                client=self.client.log, status=400, flag="DPE", snapshot=plane.version, version=HTTP_2,
                failed=b'"cause":"%b",' % cause.encode(),
            )  # fmt: skip
        self._end(error.code, error.detail)

    def _end(self, code: int, detail: str) -> None:
        """Tell the client, and close once it has read that."""
        if self._closing is not None or self.transport.is_closing():
            return
        self._outbox.add(goaway_frame(self._streams.last, code, detail))
        for stream in self._streams.clear():
            stream.cancel()
        self._outbox.flush()
        self._closing_state().linger()
        self.transport.resume_reading()

    def _give_up(self) -> None:
        """Cut the connection: the client is gone."""
        self.transport.abort()

    def _closing_state(self) -> Closing:
        closing = self._closing
        if closing is None:
            closing = self._closing = Closing(self.transport, self._watch, self._plane.wheel.now)
        return closing

    def drain(self) -> None:
        """Take no more requests than those on their way, and close when all are answered."""
        self._outbox.add_any(self._draining.begin(self._plane.wheel.now))

    # The listener's side

    @property
    def quiet_since(self) -> float:
        if self._streams or self._frames.is_within or self._closing is not None:
            return inf
        return max(self._opened, self._deadline - self._listener.idle_timeout_s)

    def shed(self, cause: str) -> None:
        self._listener.count_shed(cause)
        self._end(NO_ERROR, "")

    def introduce(self) -> None:
        self.client = self._peer.as_client()

    def close_after_response(self) -> None:
        self.drain()

    def close_if_idle(self) -> None:
        """Close, without a request under way; others close when their last response is sent."""
        self.drain()
        if self._has_settings and not self._streams and not self._frames.is_within:
            self._end(NO_ERROR, "")
