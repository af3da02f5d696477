"""The life of one request. The only module that knows the order of its phases:

1. pick      `start`: a cluster and an endpoint of the route, or an answer of our own
2. attempt   `sending`: connection, request, body; `attempts`: elsewhere, while no response has begun
3. head      `on_response` (a whole response at once: nearly all) or `on_response_start`
4. body      `on_response_data`, `on_response_piece`; after a 101 a `tunnel` instead
5. end       `_answered` (from an endpoint), `_answer` (ours), `_cut`, `cancel`, or the end of a tunnel;
             each accounts once, in `record`

Nothing is retried once a byte of the response went to the client.
"""

from typing import Final

from proxy.attempts import Attempts
from proxy.http.chunked import END, encode_chunk
from proxy.http.replies import reply
from proxy.http.response import ResponseHead
from proxy.policies.gate import Verdict
from proxy.tunnel import Tunnel
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.balancing.sticky import StickySessions
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.latencies import FAST_S
from proxy.upstream.retries.rules import RETRY_STATUSES

CLIENT_CLOSED: Final = 499  # nginx's number for a client that went away; only in log and metrics

_COMPRESSED_AT_ONCE: Final = 32768  # bytes: 0.5 to 1 ms
_LOG_COMPRESSED_UNIT: Final = 11  # bytes that cost as much as a message, when they are compressed
_SMALL_BODY_BYTES: Final = 16384  # up to here one joined write is cheaper than two


class Exchange(Attempts):
    """One request and its response."""

    __slots__ = ()

    # Pick

    def start(self) -> None:
        policies = self.plan.policies
        if policies is not None or self.client.gzip:
            self._ask()
        if policies is not None:
            verdict = self._pass(policies)
            if verdict is not None:
                self._answer_verdict(verdict)
                return
        plan = self.plan
        choice = self.choice = self._pick_for() if plan.needs_request else plan.pick()
        endpoint = choice.first() if choice is not None else None
        if endpoint is None:
            self._answer(503, "UH", "No endpoint is available.")
            return
        self.first_cluster = endpoint.cluster
        if endpoint.ejections or endpoint.is_quiet or not self.line.resource.is_idempotent:
            endpoint = self._trusted(endpoint)
        self._attempt(endpoint)
        if self.mirroring is not None and self.body_complete:
            self._mirror()

    def _pick_for(self) -> Choice | None:
        """Pick by what is asked, and by whom."""
        plan = self.plan
        choice = plan.pick_for(self.client.address, self.line, self.headers)
        if plan.sticky is not None:
            self.headers = plan.sticky.stripped(self.headers)
            if self.asked is not None:
                self.asked.headers = self.headers
        return choice

    # Response head

    def takes_chunks(self) -> bool:
        return self.client.version == 1

    def on_response(self, head: ResponseHead, data: bytes, at: int, size: int) -> None:
        if head.status in self.plan.watched and self._take_back(head.status, complete=True):
            return
        self._begin_response(head, size)
        keep = self._may_keep()
        if self.asked is None:
            self._write_start(self._head_for(head, keep), data, at)
        else:
            self._write_changed(head, data, at, size, keep=keep)
        self._answered(keep)

    def on_response_chunked(self, head: ResponseHead, body: bytes) -> None:
        wire = body
        if self.takes_chunks():
            wire = encode_chunk(body) + END if body else END
        self.on_response(head, wire, 0, len(body))

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        if head.status in self.plan.watched and self._take_back(head.status, complete=False):
            return
        self._begin_response(head, len(data) - at)
        self.forget_body()
        if self.asked is not None:
            head = self._compressed_stream(self._changed_response(head))
            if self.compressor is not None:
                self.plane.backlog.left -= (len(data) - at) >> _LOG_COMPRESSED_UNIT
                data, at = self.compressor.feed(memoryview(data)[at:]), 0
                self.response_bytes = len(data)
        self.chunked = head.length < 0 and self.client.version == 1
        self.keep = (self.chunked or head.length >= 0) and self._may_keep()
        if self.chunked and len(data) > at:
            data, at = encode_chunk(data[at:]), 0
        self._write_start(self._head_for(head, self.keep), data, at)

    def on_informational(self, head: ResponseHead) -> None:
        # RFC 9110 §15.2: relayed, but for the 100 that we answered ourselves and what 1.0 cannot read
        if head.status != 100 and self.client.version == 1:
            self.forget_body()  # the client has heard from this endpoint: there is no other attempt
            self.client.write(head.start + b"\r\n")

    @property
    def has_response_started(self) -> bool:
        return self.status != 0

    def _begin_response(self, head: ResponseHead, size: int) -> None:
        """This head goes to the client; `size` bytes of the body are there."""
        if head.status not in RETRY_STATUSES and self.endpoint is not None:
            if self.endpoint.succeeded():
                self.plane.outliers.reached(self.endpoint)
            failover = self.failover
            if failover is not None:
                failover.answered()
        self._learn()
        self.status = head.status
        self.response_bytes = size

    def _learn(self) -> None:
        """Note how long the head took, where that is worth noting."""
        connection, endpoint = self.connection, self.endpoint
        if connection is not None and endpoint is not None:
            now, learning = endpoint.heard, self.plane.learning
            is_due = now >= learning.due or endpoint.beside_probe > 0 or now - connection.since >= FAST_S
            if is_due and self.body_complete and not self.fallback_code:
                learning.answered(self.plan.kinds, self.line.resource, connection, now)

    def _may_keep(self) -> bool:
        """Whether the client's connection can go on after a response whose end it can tell."""
        return self.client.keep_alive and self.body_complete and not self.plane.draining

    def _head_for(self, head: ResponseHead, keep: bool) -> bytes:
        """Return the head as this client gets it."""
        if self.plan.sticky is not None:
            head = self._marked(head, self.plan.sticky)
        if keep and head.dated:
            return head.whole
        return b"%b%b%b%b\r\n" % (
            head.start,
            b"" if head.dated else b"Date: %b\r\n" % self.plane.wheel.date,
            head.framing(self.client.version),
            b"" if keep else b"Connection: close\r\n",
        )

    def _marked(self, head: ResponseHead, sticky: StickySessions) -> ResponseHead:
        if self.endpoint is None or self.fallback_code:  # an error page belongs to no session
            return head
        return sticky.marked(head, self.choice, self.endpoint)

    def _write_start(self, head: bytes, data: bytes, at: int) -> None:
        """Write the head and data[at:]: in one piece, where copying that is cheaper than another write."""
        client = self.client
        if len(data) - at < _SMALL_BODY_BYTES:
            client.write(head + data[at:])
        else:
            client.write(head)
            client.write_piece(memoryview(data)[at:])

    def _write_changed(self, head: ResponseHead, data: bytes, at: int, size: int, *, keep: bool) -> None:
        """Write a whole response of a route with policies, or on a listener that compresses."""
        head = self._changed_response(head)
        if self.client.gzip:
            variants = self.plane.compression.variants(head)
            head = variants.plain
            if variants.compressed is not None:
                self.plane.backlog.left -= size >> _LOG_COMPRESSED_UNIT
                body = self._compressed_whole(head, data, at, size)
                if body is not None:
                    head = variants.compressed.of_length(len(body))
                    data, at = body, 0
                    self.response_bytes = len(body)
        self._write_start(self._head_for(head, keep), data, at)

    # Response body

    def slice_bytes(self) -> int:
        may_compress = self.client.gzip if self.status == 0 else self.compressor is not None
        return _COMPRESSED_AT_ONCE if may_compress else 0

    def is_pipelined(self) -> bool:
        return self.client.has_sent_more()

    def on_response_data(self, payload: bytes) -> None:
        if self.compressor is not None:
            self.plane.backlog.left -= len(payload) >> _LOG_COMPRESSED_UNIT
            payload = self.compressor.feed(payload)
        self.response_bytes += len(payload)
        self.client.write(encode_chunk(payload) if self.chunked else payload)

    def on_response_piece(self, piece: memoryview) -> bool:
        if self.compressor is not None:
            self.plane.backlog.left -= len(piece) >> _LOG_COMPRESSED_UNIT
            payload = self.compressor.feed(piece)
            self.response_bytes += len(payload)
            self.client.write(encode_chunk(payload))
            return True
        self.response_bytes += len(piece)
        return self.client.write_piece(piece)

    def on_response_end(self, last: bytes) -> None:
        if self.compressor is not None:
            last = self.compressor.finish(last)
        self.response_bytes += len(last)
        if self.chunked:
            last = encode_chunk(last) + END if last else END
        if last:
            self.client.write(last)
        self._answered(self.keep)

    def room(self) -> int:
        return self.client.room() if self.compressor is None else 0

    def on_client_writable(self, writable: bool) -> None:
        if self.connection is not None:
            self.connection.read_response(writable)

    # Tunnel

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        connection = self.connection
        if not self._asks_for_tunnel() or connection is None:
            if connection is not None:
                connection.abort()
            self._attempt_failed(Failure.MALFORMED)
            return
        self.tunnel = Tunnel(self.client, connection)
        self.status = head.status
        if self.plan.sticky is not None:
            head = self._marked(head, self.plan.sticky)
        self.client.write(head.start + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + rest)
        self.client.on_tunnel()

    def on_tunnel_data(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel.from_endpoint(data)

    def _count_tunnel(self, tunnel: Tunnel) -> None:
        self.body_bytes += tunnel.sent
        self.response_bytes += tunnel.received

    # The end

    def _answered(self, keep: bool) -> None:
        """The last byte of an endpoint's response has been written."""
        connection, endpoint = self.connection, self.endpoint
        assert connection is not None
        assert endpoint is not None
        if self.body_complete:
            connection.release()
        else:
            connection.abort()  # RFC 9112 §9.3: the rest of the body must not become the next request
        endpoint.in_flight -= 1
        self.account(endpoint, "-" if endpoint.cluster == self.first_cluster else "CF")
        self.client.on_exchange_done(keep)

    def _answer(self, status: int, flag: str, detail: str, endpoint: LiveEndpoint | None = None) -> None:
        keep = self._may_keep()
        date = self.plane.wheel.date
        wire = reply(status, date, self.request_id, detail, close=not keep, head=self.is_head)
        self._end_with(wire, status, flag, endpoint, keep=keep)

    def _answer_verdict(self, verdict: Verdict) -> None:
        """End the request with what its route says, not an endpoint."""
        asked, answer = self.asked, verdict.answer
        assert asked is not None
        keep = self._may_keep()
        date = self.plane.wheel.date
        wire = answer.wire(asked, self.request_id, date, verdict.fields, close=not keep)
        self._end_with(wire, answer.status, verdict.flag, None, keep=keep)

    def _end_with(
        self, wire: bytes, status: int, flag: str, endpoint: LiveEndpoint | None, *, keep: bool
    ) -> None:
        client = self.client
        client.write(wire if self.asked is None else self._changed_reply(wire, status))
        self.status = status
        self.account(endpoint, flag)
        client.on_exchange_done(keep)

    def on_upstream_lost(self, failure: Failure) -> None:
        if self.tunnel is not None:
            self._count_tunnel(self.tunnel)
            self.account(self._end_attempt(), "-")
            self.client.on_tunnel_done()
        elif self.status:
            self._cut(failure)
        else:
            self._attempt_failed(failure)

    def _cut(self, failure: Failure) -> None:
        """The endpoint failed in the middle of its response: the client must see that it is not whole."""
        endpoint = self._end_attempt()
        self._eject_if_due(endpoint, failure)
        self.plane.attempts.record(endpoint.service, endpoint.cluster, "", failure.value)
        self.account(endpoint, "UC")
        self.client.abort()

    def cancel(self, flag: str = "DC", status: int = CLIENT_CLOSED) -> None:
        """The client is gone or its request turned out invalid: stop at once, upstream too."""
        if self.is_done:
            return
        endpoint, connection = self.endpoint, self.connection
        if connection is not None:
            connection.abort()
        if endpoint is not None:
            self._end_attempt()
        elif self.failover is not None:
            self.failover.cancel()
        if self.tunnel is not None:
            self._count_tunnel(self.tunnel)
        if self.cancel_copy is not None:
            self.cancel_copy()
        self.status = self.status or status
        self.account(endpoint, flag)
