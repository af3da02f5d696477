"""A client connection: cuts requests out of the byte stream, one exchange at a time, in order.

The connection goes on after a response only when the request was read completely (RFC 9112 §9.3);
in any doubt it is answered, closed for writing, drained for a moment and dropped, so that the client
reads the answer and nothing it sent is ever taken for another request.

What one client sends is processed a quantum at a time, see `backlog`; it is not read from meanwhile.
"""

import asyncio
import struct
from socket import SOL_SOCKET
from typing import TYPE_CHECKING, Final, cast

from proxy.backlog import FEW_BYTES, GONE, LIGHT, QUANTUM, READS, WAITS, body_cost, chunks_cost, cost
from proxy.dataplane import DataPlane
from proxy.downstream.closing import CHECK_S, STALL_S
from proxy.downstream.receiving import HIGH_WATER_BYTES, ReceivingClient
from proxy.downstream.spelling import settled
from proxy.http.body import RequestBody
from proxy.http.chunked import END, encode_chunk
from proxy.http.errors import RequestError
from proxy.http.forwarded import FIRST_ATTEMPT, NOBODY, read_hops, read_scheme
from proxy.http.heads import HeadReader
from proxy.http.loops import is_loop
from proxy.http.replies import CONTINUE
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import HttpsRequestLine, RequestLine
from proxy.http.response import CHUNKED, ResponseHead
from proxy.request.downstream import ClientInfo
from proxy.request.exchange import Exchange
from proxy.request.tunnel import Tunnel

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener

_SO_MEMINFO: Final = 55  # linux/socket.h
_SEND_BUFFER: Final = struct.Struct("=12xI4xI")  # of sock_diag.h: SK_MEMINFO_SNDBUF, SK_MEMINFO_WMEM_QUEUED
_AMBIGUOUS: Final = "Servers read this path differently, and what they read takes different routes."
_LOOP: Final = "The request has passed this gateway before, or too many others."
_NO_HTTPS: Final = "The request target is an https URL, and the request did not come over HTTPS."
_CR: Final = 13
_SMALL_BODY_BYTES: Final = 16384  # up to here one joined write is cheaper than two
_MAX_BLANK_LINES: Final = 4  # RFC 9112 §2.2 asks to ignore at least one before a request line


def _written(address: str) -> bytes:
    """Return the address of a socket as every machine reads it.

    An IPv4 address that IPv6 wraps is that itself; a zone is the name of an interface of this machine.
    """
    if ":" in address:
        address = address.partition("%")[0]
        if "." in address:
            address = address.removeprefix("::ffff:")
    return address.encode()


class ClientConnection(ReceivingClient):
    """An asyncio.Protocol by its methods: mypyc's classes inherit only from each other."""

    __slots__ = (
        "_awaited_s", "_blank_lines", "_body", "_expects_continue", "_goes_on", "_heads", "_is_processing",
        "_is_proxy", "_peer", "_peer_port", "_writes_chunks",
    )  # fmt: skip

    def __init__(self, plane: DataPlane, listener: "Listener") -> None:
        super().__init__(plane, listener)
        # Per connection
        self._heads = HeadReader(plane.heads)
        self._peer = b""
        self._peer_port = 0
        self._is_proxy = False  # a trusted proxy's
        self._blank_lines = 0
        self._is_processing = False
        # Per request
        self._body: RequestBody | None = None
        self._awaited_s = 0.0  # so long has its body been waited for
        self._expects_continue = False  # the client waits for 100 (Continue)
        # Per response
        self._goes_on = False  # the connection goes on after it
        self._writes_chunks = False

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        peer = transport.get_extra_info("peername")
        address = _written(peer[0]) if peer else NOBODY
        self._peer = address
        self._peer_port = peer[1] if peer else 0
        self._is_proxy = self._plane.trusted.trusts(address)
        self.introduce()
        wheel = self._plane.wheel
        # A connection that says nothing is not kept for long
        self._deadline = wheel.now + self._plane.limits.head_timeout_s
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
        backlog = self._backlog
        if self.is_listed or self._paused or (backlog.left < 0 and backlog.is_over()):
            self._keep_more(data)
            if len(data) >= FEW_BYTES:
                self._hold(True)
            if not self._paused:
                self._wait_for_turn(is_new=True)
            return
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        elif self._overload.is_watching and self._overload.is_stale(self.transport, self._opened):
            self._refuse_stale(data)
            return
        self._process(data, 0)

    def eof_received(self) -> bool | None:
        self._saw_eof = True
        exchange = self._exchange
        if exchange is None:
            self._deadline = self._plane.wheel.now + STALL_S  # for what it has not read yet
            if not self._has_waiting() and not (self._paused and self._buffer):
                return None
            self._depart(0.0)
            return True
        if exchange.tunnel is not None:
            exchange.tunnel.on_client_end()
            return True
        if not exchange.record.has_whole_body:
            exchange.cancel()  # RFC 9112 §8: an incomplete request is never passed off as a whole one
            self._exchange = None
            return None
        if not self._buffer:
            self.keep_alive = False
        self._depart(0.0)
        return True  # a half-closed client may still read the responses to what it sent

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.leave(self)
        self._take_buffer()
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
        is_old = exchange is not None and now - exchange.record.started >= CHECK_S
        if (is_old or self._paused) and not self._is_there(now):
            self.give_up()
            return now + CHECK_S
        if exchange is not None and exchange.tunnel is not None and self._is_unused(exchange.tunnel, now):
            exchange.cancel("SI")
            self.tunnel_done()
            return now + CHECK_S
        waits_for_endpoint = exchange is not None and (exchange.record.has_whole_body or not self._wants_body)
        if now < self._deadline or (waits_for_endpoint and not self._paused):
            if exchange is not None and self._body is not None and not waits_for_endpoint:
                self._check_rate(exchange)
            return now + CHECK_S
        if self._paused:
            self.give_up()
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
        is_late = self._awaited_s > limits.request_timeout_s > 0
        if is_late and not exchange.record.plan.allows_more_than(limits.max_body_bytes):
            self._refuse_body(exchange, RequestError(408, "the request takes too long to arrive"), "DT")
            return
        due_s = self._awaited_s - limits.min_body_rate_grace_s
        if exchange.record.body_bytes < due_s * limits.min_body_rate:
            self._refuse_body(exchange, RequestError(408, "the request body arrives too slowly"), "DT")

    # Cutting requests

    def _process(self, data: bytes, at: int) -> None:
        """Start the requests in data[at:], a quantum of them at most, until one waits for its response."""
        heads = self._heads
        size = len(data)
        left = QUANTUM
        self._is_processing = True
        while (
            at < size and left > 0 and self._exchange is None and self._linger_left < 0 and not self._paused
        ):
            if data[at] == _CR and self._is_blank_line(data, at):
                self._blank_lines += 1
                self._checked = 0
                at += 2
                continue
            try:
                end = heads.read(data, self._checked, at)
            except RequestError as error:
                self._refuse(error.status, error.detail, "DPE")
                at = size
                break
            if not end:
                self._wait_for_more(size - at)
                break
            self._checked = 0
            left -= cost(end - at)
            at = self._begin(heads.line, heads.headers, data, end)
            if not self.keep_alive and not self._has_exchange():
                at = size  # answered and closed: what follows is no request any more
        self._is_processing = False
        self._backlog.left -= QUANTUM - left
        if at < size or self._is_held:
            self._keep(data, at)

    def _is_blank_line(self, data: bytes, at: int) -> bool:
        return data.startswith(b"\r\n", at) and self._blank_lines < _MAX_BLANK_LINES

    def _has_exchange(self) -> bool:
        """Read it anew: compiled code takes it for None after a comparison, whatever is called in between."""
        return self._exchange is not None

    def _wait_for_more(self, size: int) -> None:
        if not self._checked:
            self._deadline = self._plane.wheel.now + self._plane.limits.head_timeout_s
        self._checked = size

    def _keep(self, data: bytes, at: int) -> None:
        """Keep data[at:] until the exchange is over, the client reads, more comes, or it is listed for."""
        if self._linger_left >= 0:
            return
        if self._checked or at > HIGH_WATER_BYTES:
            data, at = data[at:], 0
        self._buffer, self._at = (data, at) if at < len(data) else (b"", 0)
        has_waiting = self._has_waiting()
        self._hold(has_waiting or len(data) - at > HIGH_WATER_BYTES)
        if has_waiting:
            self._wait_for_turn(is_new=False)

    def has_sent_more(self) -> bool:
        return bool(self._buffer)

    def has_open_body(self) -> bool:
        return self._body is not None

    def _has_waiting_body(self) -> bool:
        """Whether some of a body, or of a tunnel, was received that has not been looked at."""
        body, exchange = self._body, self._exchange
        if body is None:
            return bool(self._buffer) and exchange is not None and exchange.tunnel is not None
        return body.has_more or bool(self._buffer)

    def proceed(self) -> int:
        """Called by the backlog: process a quantum."""
        if self._linger_left >= 0 or self.transport.is_closing():
            return GONE
        exchange = self._exchange
        left = self._backlog.left
        if exchange is None:
            if not self._buffer or self._paused:
                return GONE
            self._take_up()
        else:
            if not self._wants_body or not self._has_waiting_body():
                return GONE
            self._deliver(exchange, self._take_buffer())
        if self._has_waiting() or self._has_waiting_body():
            return WAITS
        return READS if left - self._backlog.left > LIGHT else GONE

    def _begin(self, line: RequestLine, headers: RequestHeaders, data: bytes, end: int) -> int:
        """Start the request whose head ends there in `data`; return where the next one begins."""
        self._blank_lines = 0
        self._has_asked = True
        self.takes_chunks = line.version == 1
        control = headers.control
        self.keep_alive = line.version == 1 and not control.close
        if self._plane.draining or self._listener.is_closed or (self._saw_eof and end == len(data)):
            self.keep_alive = False
        if self._is_proxy:
            self._believe(headers)
        if (
            line.authority is not None
            and isinstance(line, HttpsRequestLine)
            and self.client.scheme != b"https"
        ):
            self.keep_alive = False
            self._answer(400, _NO_HTTPS, "DPE", line, headers)
            return end
        access = self._listener.access
        if access is not None and not access.permits(self.client.address):
            self._answer(403, "Clients of this address may not come here.", "AD", line, headers)
            return end
        if control.max_forwards == b"0" and line.resource.method == b"OPTIONS":
            self._answer(200, "This is the last hop.", "LR", line, headers)
            return end
        if control.passed and is_loop(control.passed, self._plane.pseudonym):
            self._answer(508, _LOOP, "LD", line, headers)
            return end
        plan = self._plane.table.find(
            self._listener.port, control.host, line.resource.path, headers, line, self.client.address
        )
        if plan is None:
            self._answer(404, "No route matches.", "NR", line, headers)
            return end
        if line.resource.readings is not None:
            settled_line = settled(
                self._plane.table, self._listener.port, line, headers, self.client.address, plan
            )
            if settled_line is None:
                self.keep_alive = False
                self._answer(400, _AMBIGUOUS, "DPE", line, headers)
                return end
            line = settled_line
        if control.length == 0:
            exchange = self._exchange = Exchange(self._plane, self, plan, line, headers)
            exchange.start()
            return end
        most = plan.body_limit(self._plane.limits.max_body_bytes)
        if control.length > most > 0:
            self._answer(413, f"The body is larger than {most} bytes.", "DPE", line, headers)
            return end
        exchange = self._exchange = Exchange(self._plane, self, plan, line, headers)
        body = self._body = RequestBody(control.length, most)
        self._expects_continue = control.expect and line.version == 1
        self._notice_size(len(data))
        self._awaited_s = 0.0
        self._deadline = self._plane.wheel.now + self._plane.limits.body_idle_timeout_s
        if end < len(data):
            self._read_body(exchange, body, data, end)
        if not exchange.record.is_done:
            exchange.start()
        return len(data) - body.rest_bytes

    def _believe(self, headers: RequestHeaders) -> None:
        """Take over what a trusted proxy says of its client."""
        hops = read_hops(self._peer, headers.values(b"x-forwarded-for"), self._plane.trusted)
        scheme = read_scheme(headers.values(b"x-forwarded-proto"), hops.count)
        port = self._peer_port if hops.client == self._peer else 0
        self.client = self._info(hops.client, port, hops.chain, scheme, headers.vouched())

    def introduce(self) -> None:
        """Take the peer for the client, and what the listener says now of its connections."""
        if self._exchange is None or not self._is_proxy:  # else its client is known already
            self.client = self._info(self._peer, self._peer_port, self._peer, b"http", b"")

    def _info(self, address: bytes, port: int, chain: bytes, scheme: bytes, vouched: bytes) -> ClientInfo:
        """Return what policies, endpoints and the log are told of the client."""
        listener = self._listener
        forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (chain, scheme)
        if listener.forwarded.port:
            forwarded += b"X-Forwarded-Port: %d\r\n" % listener.port
        if listener.forwarded.client_port and port:
            forwarded += b"X-Forwarded-Client-Port: %d\r\n" % port
        return ClientInfo(
            address, port, scheme, forwarded + FIRST_ATTEMPT + self._plane.mark + vouched,
            b'"client":"%b","listener":"%b"' % (address, listener.name.encode()),
            is_proxy=self._is_proxy, listener=listener.name, listener_port=listener.port,
            response_timeout_s=listener.response_timeout_s, compresses=listener.gzip,
        )  # fmt: skip

    def _during_exchange(self, exchange: Exchange, data: bytes) -> None:
        if self._body is None and exchange.tunnel is None:
            self._keep_more(data)
            if len(data) >= FEW_BYTES and self._backlog.left < 0 and self._backlog.is_over():
                self._hold(True)
            return
        backlog = self._backlog
        if self.is_listed or (backlog.left < 0 and backlog.is_over()):
            self._keep_more(data)
            self._hold(True)
            self._wait_for_turn(is_new=True)
        else:
            self._deliver(exchange, data)

    def _deliver(self, exchange: Exchange, data: bytes) -> None:
        """Pass on what has come of a body, or in a tunnel."""
        self._notice_size(len(data))
        self._backlog.left -= body_cost(len(data))
        if exchange.tunnel is not None:
            self._hold(False)
            exchange.tunnel.from_client(data)
            return
        body = self._body
        if body is not None:
            self._deadline = self._plane.wheel.now + self._plane.limits.body_idle_timeout_s
            self._read_body(exchange, body, data, 0)
            data = body.rest(data)
        if data and self._exchange is not None:
            self._keep_more(data)

    def _read_body(self, exchange: Exchange, body: RequestBody, data: bytes, at: int) -> None:
        """Hand the body in data[at:] over; one in many chunks is listed for the rest of them."""
        try:
            payload = body.feed(data, at)
        except RequestError as error:
            self._refuse_body(exchange, error, "DPE")
            return
        if body.is_chunked:
            self._backlog.left -= chunks_cost(len(data) - at)
        if body.has_more:
            self._backlog.left -= QUANTUM
            self._hold(True)
            self._wait_for_turn(is_new=False)
        else:
            self._hold(False)
        self._expects_continue = False  # RFC 9110 §10.1.1: the client did not wait
        if body.done:
            self._body = None
            exchange.on_body_end(payload, body.trailers)
        elif payload:
            exchange.on_body(payload)

    # The response

    def respond(self, head: ResponseHead, data: bytes, at: int, *, is_decoded: bool = False) -> None:
        keep = self._goes_on = self.keep_alive and self._body is None and not self._plane.draining
        if is_decoded and head.length == CHUNKED and self.takes_chunks:
            data, at = encode_chunk(data) + END if data else END, 0
        if keep and head.dated and len(data) - at < _SMALL_BODY_BYTES:  # nearly all
            self.transport.write(head.whole + data[at:])
        else:
            self._write_start(self._head_for(head, keep), data, at)

    def begin(self, head: ResponseHead, data: bytes, at: int) -> None:
        is_chunked = self._writes_chunks = head.length < 0 and self.takes_chunks
        keep = self.keep_alive and self._body is None and not self._plane.draining
        self._goes_on = keep and (is_chunked or head.length >= 0)
        if is_chunked and len(data) > at:
            data, at = encode_chunk(data[at:]), 0
        self._write_start(self._head_for(head, self._goes_on), data, at)

    def _head_for(self, head: ResponseHead, keep: bool) -> bytes:
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

    def accept_body(self) -> None:
        self.read_body(True)
        if self._expects_continue:
            self._expects_continue = False
            self.transport.write(CONTINUE)

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
            if self._has_waiting_body():
                self._wait_for_turn(is_new=False)
        self._read_or_pause()

    def switch(self, head: ResponseHead, rest: bytes, tunnel: Tunnel) -> None:
        self._writes_chunks = False
        self.transport.write(head.start + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + rest)
        at, self._at = self._at, 0
        data = self._take_buffer()[at:]
        self._hold(False)
        if data:
            tunnel.from_client(data)
        if self._saw_eof:
            tunnel.on_client_end()

    def _is_unused(self, tunnel: Tunnel, now: float) -> bool:
        limit_s = self._plane.limits.tunnel_idle_timeout_s
        return tunnel.quiet_s(now) >= limit_s > 0.0

    def tunnel_done(self) -> None:
        self._exchange = None
        self._end()

    def done(self) -> None:
        self._exchange = None
        self._body = None
        if not self._goes_on or (self._saw_eof and not self._buffer):
            self._close()
            return
        if not self._wants_body:
            self.read_body(True)
        if not self._paused:
            self._deadline = self._plane.wheel.now + self._listener.idle_timeout_s
            if self._buffer:
                self._go_on()

    def _go_on(self) -> None:
        """Look at what came while no request could be started."""
        if not self._buffer or self._is_processing or self.is_listed:
            return
        backlog = self._backlog
        if backlog.left < 0 and backlog.is_over():
            self._wait_for_turn(is_new=True)
        else:
            self._take_up()

    def _take_up(self) -> None:
        """Process a quantum of what is kept."""
        at, self._at = self._at, 0
        self._process(self._take_buffer(), at)
        if self._saw_eof and not self._has_waiting():
            self._drop_incomplete()

    def _drop_incomplete(self) -> None:
        """The client has closed its side: a request that is not complete by now never will be."""
        exchange = self._exchange
        if exchange is None:
            self._close()
        elif not exchange.record.has_whole_body:
            exchange.cancel()
            self._exchange = None
            self._close()
