"""A client connection: cuts requests out of the byte stream, one exchange at a time, in order.

In any doubt where a request ends the connection is answered, closed for writing, drained for a moment and
dropped: the client reads the answer, and nothing that it sent is ever taken for another request.

The connection processes a client's bytes a quantum at a time, see `backlog`, and reads no more of them
meanwhile.
"""

import asyncio
from math import inf
from typing import Final, cast

from proxy.backlog import (
    FEW_BYTES,
    GONE,
    LIGHT,
    LOG_COST_BYTES,
    QUANTUM,
    READS,
    WAITS,
    body_cost,
    chunks_cost,
)
from proxy.careful import Care, CarefulReader
from proxy.dataplane import DataPlane
from proxy.downstream.answers import MISDIRECTED, Answer, give, refused, too_large
from proxy.downstream.closing import CHECK_S, STALL_S, Closing
from proxy.downstream.h1.departure import Departure
from proxy.downstream.h1.inbox import HIGH_WATER_BYTES, Inbox
from proxy.downstream.h1.stream import Http1Stream, StreamConnection
from proxy.downstream.h1.unread import ends_with_head
from proxy.downstream.h2.connection import Http2Connection
from proxy.downstream.peer import Peer
from proxy.downstream.presence import ClientWatch
from proxy.downstream.routing import SettledRoute, find_route, is_misdirected
from proxy.downstream.state import ListenerState
from proxy.http.body import RequestBody
from proxy.http.errors import RequestError
from proxy.http.heads import HeadReader
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.request.exchange import Exchange
from proxy.request.tunnel import Tunnel
from proxy.tls.session import TlsSession
from proxy.upstream.plan import RoutePlan

_HTTP2: Final = b"PRI * HTTP/2.0\r\n\r\n"  # the head that the preface of HTTP/2 begins with
_CR: Final = 13
_MAX_BLANK_LINES: Final = 4  # RFC 9112 §2.2 asks to ignore at least one before a request line


class ClientConnection(StreamConnection):
    """An asyncio.Protocol by its methods: mypyc's classes inherit only from each other."""

    __slots__ = (
        "_backlog", "_blank_lines", "_care", "_closing", "_deadline", "_departure", "_has_asked", "_has_left",
        "_heads", "_inbox", "_is_processing", "_listener", "_opened", "_overload", "_paused", "_peer",
        "_plane", "_saw_eof", "_stream", "_watch", "is_listed", "session", "transport",
    )  # fmt: skip

    # From `connection_made` on
    transport: asyncio.Transport
    _inbox: Inbox
    _peer: Peer
    _stream: Http1Stream

    def __init__(self, plane: DataPlane, listener: ListenerState) -> None:
        self._plane = plane
        self._listener = listener
        self._overload = listener.overload
        self._backlog = plane.backlog
        self._heads = HeadReader(plane.heads)
        self._watch = ClientWatch()
        self._closing: Closing | None = None  # None: requests are read
        self._departure: Departure | None = None  # once the client has closed its side
        self._opened = plane.wheel.now
        self._deadline = 0.0
        # Reading
        self.is_listed = False  # in the backlog
        self._care = Care(plane.backlog, calm=2)  # a connection for one request ends as it began
        self._blank_lines = 0  # before a request line
        self._is_processing = False
        self._has_asked = False
        self._paused = False  # the client does not read
        self._saw_eof = False
        self._has_left = False  # another connection has the socket
        self.session: TlsSession | None = None  # None: in the clear, or the handshake has not begun

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        name = transport.get_extra_info("peername")  # of four members where the address is IPv6
        address, port = (name[0], name[1]) if name else ("", 0)
        peer = self._peer = Peer(self._plane, self._listener, address, port)
        self._inbox = Inbox(self.transport)
        self._stream = Http1Stream(self._plane, self.transport, self, peer.as_client())
        wheel = self._plane.wheel
        # A connection without a request is not kept for long
        self._deadline = wheel.now + self._plane.config.limits.head_timeout_s
        wheel.schedule(self, wheel.now + CHECK_S)
        refusal = self._listener.enter(self, peer.address, is_proxy=peer.is_proxy)
        if refusal:
            self._turn_away(refusal)

    def data_received(self, data: bytes) -> None:
        exchange = self._stream.exchange
        if exchange is not None:
            self._during_exchange(exchange, data)
            return
        if self._closing is not None:
            self._closing.throw_away(data)
            return
        backlog, inbox = self._backlog, self._inbox
        if self.is_listed or self._paused or (backlog.left < 0 and backlog.is_over()):
            inbox.add(data)
            if len(data) >= FEW_BYTES:
                inbox.hold(True)
            if not self._paused:
                self._wait_for_turn(is_new=True)
            return
        if inbox.data:
            data = inbox.take() + data
        elif self._overload.is_watching and self._overload.is_stale(self.transport, self._opened):
            self._refuse_stale(data)
            return
        self._process(data, 0)

    def eof_received(self) -> bool | None:
        self._saw_eof = True
        exchange = self._stream.exchange
        if exchange is None:
            if not self._has_waiting() and not (self._paused and self._inbox.data):
                return None
            self._deadline = self._plane.wheel.now + STALL_S  # for responses that the client has not read yet
            self._depart(0.0)
            return True
        if exchange.tunnel is not None:
            exchange.tunnel.on_client_end()
            return True
        if not exchange.record.has_whole_body:
            self._stream.cancel()  # RFC 9112 §8: an incomplete request is never passed off as a whole one
            return None
        if not self._inbox.data:
            self._stream.keep_alive = False
        self._depart(0.0)
        return True  # a half-closed client may still read the responses to its requests

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.leave(self)
        self._inbox.take()
        self._stream.detach()

    def pause_writing(self) -> None:
        self._paused = True
        self._deadline = self._plane.wheel.now + STALL_S
        exchange = self._stream.exchange
        if exchange is not None:
            exchange.on_client_writable(False)

    def resume_writing(self) -> None:
        self._paused = False
        exchange = self._stream.exchange
        if exchange is not None:
            exchange.on_client_writable(True)
        elif self._closing is None:
            self._go_on_idle()

    # Deadlines

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
        if self._has_left:
            return None
        if self.transport.is_closing() or self._closing is not None:
            return self._closing_state().expire(now)
        self._check(self._stream.exchange, now)
        return now + CHECK_S

    def _check(self, exchange: Exchange | None, now: float) -> None:
        """Find out whether the client is there, and whether its next bytes are late."""
        is_old = exchange is not None and now - exchange.record.started >= CHECK_S
        if (is_old or self._paused) and not self._is_there(now):
            self._stream.give_up()
        elif exchange is not None and exchange.tunnel is not None and self._is_unused(exchange.tunnel, now):
            exchange.cancel("SI")
            self._stream.tunnel_done()
        elif exchange is not None and not self._paused and self._waits_for_endpoint(exchange):
            pass  # the endpoint has a deadline of its own
        elif now < self._deadline:
            if exchange is not None and not self._waits_for_endpoint(exchange):
                self._check_rate(exchange)
        elif self._paused:
            self._stream.give_up()
        elif exchange is not None:
            self._refuse_body(exchange, RequestError(408, "the request body did not arrive in time"), "DT")
        elif self._inbox.data:
            self._refuse(408, "DT", "The request head did not arrive in time.")
        else:
            self._end()

    def _waits_for_endpoint(self, exchange: Exchange) -> bool:
        """Whether the client has nothing to send."""
        return exchange.record.has_whole_body or not self._inbox.is_wanted

    def _check_rate(self, exchange: Exchange) -> None:
        error = self._stream.check_rate(exchange, CHECK_S)
        if error is not None:
            self._refuse_body(exchange, error, "DT")

    def _is_unused(self, tunnel: Tunnel, now: float) -> bool:
        limit_s = self._plane.config.limits.tunnel_idle_timeout_s
        return tunnel.quiet_s(now) >= limit_s > 0.0

    def on_read(self, size: int) -> None:
        if self._has_left:
            return
        inbox = self._inbox
        is_busy = self.is_listed or inbox.is_held or self._stream.body is not None
        self._care.settle(self, size, is_clear=not (is_busy or inbox.data))

    # Turns

    def proceed(self) -> int:
        """Called by the backlog: process a quantum."""
        if self._closing is not None or self.transport.is_closing():
            return GONE
        stream, inbox = self._stream, self._inbox
        exchange = stream.exchange
        left = self._backlog.left
        if exchange is None:
            if not inbox.data or self._paused:
                return GONE
            self._take_up()
        else:
            if not inbox.is_wanted or not stream.has_waiting_body():
                return GONE
            self._receive(exchange, inbox.take())
        if self._has_waiting() or stream.has_waiting_body():
            return WAITS
        return READS if left - self._backlog.left > LIGHT else GONE

    def _wait_for_turn(self, *, is_new: bool) -> None:
        """Process the inbox when other connections have had their turns, and read with care from then on."""
        self._backlog.add(self, is_new=is_new)
        self._care.begin(self)

    def _has_waiting(self) -> bool:
        """Whether requests have come that could be started right away."""
        inbox = self._inbox
        return bool(inbox.data) and not inbox.checked and not self._paused and self._stream.exchange is None

    def _go_on_idle(self) -> None:
        """Between requests: start those that came while none could be started."""
        self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s
        if not self._inbox.data or self._is_processing or self.is_listed:
            return
        backlog = self._backlog
        if backlog.left < 0 and backlog.is_over():
            self._wait_for_turn(is_new=True)
        else:
            self._take_up()

    def _take_up(self) -> None:
        """Process a quantum of the inbox."""
        at = self._inbox.at
        self._process(self._inbox.take(), at)
        if self._saw_eof and not self._has_waiting():
            self._drop_incomplete()

    def _drop_incomplete(self) -> None:
        """Drop an incomplete request: the client has closed its side, so the rest will never come."""
        exchange = self._stream.exchange
        if exchange is None:
            self._close()
        elif not exchange.record.has_whole_body:
            self._stream.cancel()
            self._close()

    # Requests

    def _process(self, data: bytes, at: int) -> None:
        """Start the requests in data[at:], a quantum of them at most, until one waits for its response."""
        heads, inbox, stream = self._heads, self._inbox, self._stream
        size = len(data)
        left = QUANTUM
        self._is_processing = True
        while (
            at < size and left > 0 and stream.exchange is None and self._closing is None and not self._paused
        ):
            if data[at] == _CR and self._is_blank_line(data, at):
                self._blank_lines += 1
                inbox.checked = 0
                at += 2
                continue
            try:
                end = heads.read(data, inbox.checked, at)
            except RequestError as error:
                if self._begins_http2(data, at):
                    self._leave_to_http2(data)
                else:
                    self._refuse(error.status, "DPE", error.detail)
                at = size
                break
            if not end:
                self._wait_for_more(size - at)
                break
            inbox.checked = 0
            left -= 1 + ((end - at) >> LOG_COST_BYTES)
            at = self._begin(heads.line, heads.headers, data, end)
            if not stream.keep_alive and not stream.is_busy():
                at = size  # answered and closed: the bytes that follow are no request
        self._is_processing = False
        self._backlog.left -= QUANTUM - left
        if at < size or inbox.is_held:
            self._put_back(data, at)

    def _begins_http2(self, data: bytes, at: int) -> bool:
        """Whether the client speaks HTTP/2, by prior knowledge (RFC 9113 §3.3). Over TLS, ALPN says so."""
        return not at and not self._has_asked and self.session is None and data.startswith(_HTTP2)

    def _leave_to_http2(self, data: bytes) -> None:
        connection = self.hand_over()
        reader = CarefulReader(connection, self._backlog)
        self.transport.set_protocol(cast(asyncio.BaseProtocol, reader))
        connection.data_received(data)

    def identify(self, identity: bytes) -> None:
        """Take over the certificate of the client, as the line that names it to endpoints."""
        self._peer.identity = identity
        self._stream.client = self._peer.as_client()

    def hand_over(self) -> Http2Connection:
        """Leave the socket, before any request, to a connection of HTTP/2."""
        connection = Http2Connection(
            self._plane, self._listener, self._peer, self.transport, self._opened, self.session
        )
        self._listener.replace(self, connection)
        self._has_left = True
        self._inbox.take()
        self._stream.detach()
        connection.start()
        return connection

    def _is_blank_line(self, data: bytes, at: int) -> bool:
        return data.startswith(b"\r\n", at) and self._blank_lines < _MAX_BLANK_LINES

    def _wait_for_more(self, size: int) -> None:
        """Wait for the rest of a head, of which `size` bytes have come."""
        if not self._inbox.checked:
            self._deadline = self._plane.wheel.now + self._plane.config.limits.head_timeout_s
        self._inbox.checked = size

    def _put_back(self, data: bytes, at: int) -> None:
        """Keep data[at:] until the request is over, the client reads, more comes, or a turn has come."""
        if self._closing is not None:
            return
        inbox = self._inbox
        inbox.put_back(data, at)
        has_waiting = self._has_waiting()
        inbox.hold(has_waiting or inbox.is_full())
        if has_waiting:
            self._wait_for_turn(is_new=False)

    def _begin(self, line: RequestLine, headers: RequestHeaders, data: bytes, end: int) -> int:
        """Start the request whose head ends at data[end]; return where the next one begins."""
        stream, plane, control = self._stream, self._plane, headers.control
        self._blank_lines = 0
        self._has_asked = True
        stream.takes_chunks = line.version == 1
        stream.keep_alive = line.version == 1 and not control.close
        if plane.draining or self._listener.is_closed or (self._saw_eof and end == len(data)):
            stream.keep_alive = False
        elif (self.session is None) is not (self._listener.tls is None):
            stream.keep_alive = False  # the port has changed between HTTP and HTTPS
        if self.session is not None and is_misdirected(self._listener, self.session, control.host):
            self._answer(MISDIRECTED, line, headers)
            return end
        if self._peer.is_proxy:
            stream.client = self._peer.client_of(headers)
        plan = find_route(plane, self._listener, stream.client, line, headers)
        if isinstance(plan, Answer):
            self._answer(plan, line, headers)
            return end
        if isinstance(plan, SettledRoute):
            line, plan = plan.line, plan.plan
        if control.length != 0:
            return self._begin_with_body(plan, line, headers, data, end)
        exchange = stream.exchange = Exchange(plane, stream, plan, line, headers)
        exchange.start()
        return end

    def _begin_with_body(
        self, plan: RoutePlan, line: RequestLine, headers: RequestHeaders, data: bytes, end: int
    ) -> int:
        stream, limits, control = self._stream, self._plane.config.limits, headers.control
        most = plan.body_limit(limits.max_body_bytes)
        if control.length > most > 0:
            self._answer(too_large(most), line, headers)
            return end
        exchange = stream.exchange = Exchange(self._plane, stream, plan, line, headers)
        body = stream.body = RequestBody(control.length, most)
        stream.expects_continue = control.expect and line.version == 1
        stream.awaited_s = 0.0
        self._care.notice(self, len(data))
        self._deadline = self._plane.wheel.now + limits.body_idle_timeout_s
        if end < len(data):
            self._read_body(exchange, body, data, end)
        if not exchange.record.is_done:
            exchange.start()
        return len(data) - body.rest_bytes

    def _during_exchange(self, exchange: Exchange, data: bytes) -> None:
        """Take bytes that come while a request is under way: more of it, of its tunnel, or other requests."""
        backlog, inbox = self._backlog, self._inbox
        if self._stream.body is None and exchange.tunnel is None:
            inbox.add(data)
            if len(data) >= FEW_BYTES and backlog.left < 0 and backlog.is_over():
                inbox.hold(True)
        elif self.is_listed or (backlog.left < 0 and backlog.is_over()):
            inbox.add(data)
            inbox.hold(True)
            self._wait_for_turn(is_new=True)
        else:
            self._receive(exchange, data)

    def _receive(self, exchange: Exchange, data: bytes) -> None:
        """Process more of a body, or of a tunnel."""
        self._care.notice(self, len(data))
        self._backlog.left -= body_cost(len(data))
        if exchange.tunnel is not None:
            self._inbox.hold(False)
            exchange.tunnel.from_client(data)
            return
        body = self._stream.body
        if body is not None:
            self._deadline = self._plane.wheel.now + self._plane.config.limits.body_idle_timeout_s
            self._read_body(exchange, body, data, 0)
            data = body.rest(data)
        if data and self._stream.is_busy():
            self._inbox.add(data)

    def _read_body(self, exchange: Exchange, body: RequestBody, data: bytes, at: int) -> None:
        """Deliver the body in data[at:]. Where it has many chunks, the rest of them waits for a turn."""
        try:
            payload = body.feed(data, at)
        except RequestError as error:
            self._refuse_body(exchange, error, "DPE")
            return
        if body.is_chunked:
            self._backlog.left -= chunks_cost(len(data) - at)
        if body.has_more:
            self._backlog.left -= QUANTUM
            self._inbox.hold(True)
            self._wait_for_turn(is_new=False)
        else:
            self._inbox.hold(False)
        self._stream.deliver(exchange, body, payload)

    # The stream's side

    def on_request_done(self, goes_on: bool) -> None:
        if not goes_on or (self._saw_eof and not self._inbox.data):
            self._close()
            return
        inbox = self._inbox
        if not inbox.is_wanted:
            self.want_body(True)
        if self._paused:
            return
        if inbox.data:
            self._go_on_idle()
        else:
            self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s

    def on_tunnel_done(self) -> None:
        self._end()

    def on_switched(self, tunnel: Tunnel) -> None:
        at = self._inbox.at
        data = self._inbox.take()[at:]
        self._inbox.hold(False)
        if data:
            tunnel.from_client(data)
        if self._saw_eof:
            tunnel.on_client_end()

    def want_body(self, wanted: bool) -> None:
        if wanted == self._inbox.is_wanted or self.transport.is_closing():
            return
        if wanted:
            self._deadline = self._plane.wheel.now + self._plane.config.limits.body_idle_timeout_s
            if self._stream.has_waiting_body():
                self._wait_for_turn(is_new=False)
        self._inbox.want(wanted)

    def has_waiting_input(self) -> bool:
        return bool(self._inbox.data)

    # Answers without an exchange

    def _answer(self, answer: Answer, line: RequestLine, headers: RequestHeaders) -> None:
        """Answer a request. A body that comes with the request ends the connection."""
        stream = self._stream
        if answer.closes or headers.control.length != 0:
            stream.keep_alive = False
        give(self._plane, stream, answer, line, headers)
        if stream.keep_alive:
            self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s
        else:
            self._close()

    def _refuse(self, status: int, flag: str, detail: str) -> None:
        """Answer a request that cannot be accepted, and close; `flag` is "" where it is accounted already."""
        self._stream.keep_alive = False
        give(self._plane, self._stream, refused(status, flag, detail))
        self._close()

    def _refuse_body(self, exchange: Exchange, error: RequestError, flag: str) -> None:
        if self._stream.refuse_body(exchange, error, flag):
            self._refuse(error.status, "", error.detail)

    def refuse_handshake(self) -> None:
        """Close: the TLS transport has answered."""
        self._close()

    def _turn_away(self, detail: str) -> None:
        """Refuse the connection, before any request."""
        if self._listener.is_crowded:
            self.transport.abort()
        else:
            self._refuse(503, "", detail)

    def _refuse_stale(self, data: bytes) -> None:
        """Answer a request that has waited too long, without a look at it; the log has a line for many."""
        listener, draining = self._listener, self._plane.draining
        close = draining or listener.is_closed or self._saw_eof or not ends_with_head(data)
        self.transport.write(self._overload.answer(close=close))
        listener.count_stale()
        if close:
            self._close()
        else:
            self._deadline = self._plane.wheel.now + listener.idle_timeout_s

    # Clients that leave

    def _is_there(self, now: float) -> bool:
        is_there = self._watch.is_there(self.transport, now)
        if is_there and self._watch.closed_s >= 0.0:
            self._depart(min(self._watch.closed_s, CHECK_S))  # since the last look, that is
        return is_there

    def _depart(self, closed_s: float) -> None:
        """Watch a client whose FIN came `closed_s` ago: from now on it must get a byte every second."""
        if self._departure is None:
            self._departure = Departure(self._stream, closed_s, self._plane.clock.now())
            self._plane.wheel.schedule(self._departure, self._plane.wheel.now)

    # The end

    def _closing_state(self) -> Closing:
        closing = self._closing
        if closing is None:
            closing = self._closing = Closing(self.transport, self._watch, self._plane.wheel.now)
            if self._departure is not None:
                self._departure.stop()
        return closing

    def _end(self) -> None:
        """Close once all is written."""
        self._closing_state().end()

    def _close(self) -> None:
        """Close so that the client can still read its response (RFC 9112 §9.6)."""
        if self._closing is not None or self.transport.is_closing():
            return
        if self._saw_eof:
            self._end()
            return
        closing = self._closing_state()
        self._inbox.discard()
        closing.linger()

    # The listener's side

    @property
    def quiet_since(self) -> float:
        if self._stream.is_busy() or self._inbox.data or self._closing is not None:
            return inf
        return max(self._opened, self._deadline - self._listener.idle_timeout_s)

    def shed(self, cause: str) -> None:
        self._listener.count_shed(cause)
        self._end()

    def introduce(self) -> None:
        if not self._peer.is_proxy or not self._stream.is_busy():  # else the client is known already
            self._stream.client = self._peer.as_client()

    def close_after_response(self) -> None:
        self._stream.keep_alive = False

    def close_if_idle(self) -> None:
        """Close, without a request under way; others close with their response.

        A connection that has had no request yet is not idle: a client that has just come need not expect a
        close, and has the time for a request head.
        """
        self._stream.keep_alive = False
        if self._has_asked and not self._stream.is_busy() and not self._inbox.data:
            self._end()
