"""The life of one request: pick, send, retry, relay, account. The only module that knows the order.

Phases:  start ▸ attempt (pooled connection, or connect) ▸ response head ▸ body ▸ finished.
A failure in any phase before the response head goes through `_attempt_failed`, which asks the retry
table. Nothing is retried once a byte of the response went to the client.
"""

from time import monotonic
from typing import Final

from proxy.client import Client
from proxy.dataplane import DataPlane
from proxy.http.chunked import END, encode_chunk
from proxy.http.replies import CONTINUE, reply
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.http.response import ResponseHead
from proxy.telemetry.access_log import NO_ENDPOINT, failed_attempts
from proxy.upstream.autopsy import Autopsy
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.failover import Failover
from proxy.upstream.plan import ClusterSplit, RoutePlan
from proxy.upstream.retry import ANSWERS, REPLAY_BYTES, RETRY_STATUSES, Failure
from proxy.upstream.sink import ResponseSink

UPLOAD_IDLE_S: Final = 300.0
CLIENT_CLOSED: Final = 499  # nginx's number for a client that went away; only in log and metrics

_SMALL_BODY_BYTES: Final = 16384  # up to here one joined write is cheaper than two


class Exchange(ResponseSink):
    """One request and its response."""

    __slots__ = (
        "_body", "_chunked", "_client", "_connection", "_endpoint", "_expect", "_failover",
        "_first_cluster", "_headers", "_keep", "_line", "_plan", "_plane", "_request_id",
        "_response_bytes", "_split", "_started", "_status", "_suspect", "_tunnel",
        "body_bytes", "body_complete", "is_done",
    )  # fmt: skip

    def __init__(
        self, plane: DataPlane, client: Client, plan: RoutePlan, line: RequestLine, headers: RequestHeaders
    ) -> None:
        self._started = monotonic()
        self._plane = plane
        self._client = client
        self._plan = plan
        self._line = line
        self._headers = headers
        self._request_id = headers.request_id or plane.request_id()
        self.is_head = line.resource.is_head
        self.is_done = False
        # The request body, as it goes on the wire; None once it is too large to be sent again
        self._body: list[bytes] | None = []
        self.body_bytes = 0
        self.body_complete = headers.control.length == 0
        self._expect = headers.control.expect and client.version == 1
        # Attempts
        self._split: ClusterSplit | None = None
        self._endpoint: LiveEndpoint | None = None
        self._connection: UpstreamConnection | None = None
        self._failover: Failover | None = None
        self._suspect: LiveEndpoint | None = None  # reset our request: is it dead?
        self._first_cluster = ""
        # The response
        self._status = 0
        self._chunked = False
        self._keep = False
        self._response_bytes = 0
        self._tunnel = False

    # Pick

    def start(self) -> None:
        split = self._split = self._plan.pick()
        group = split.pick() if split is not None else None
        endpoint = group.pick() if group is not None else None
        if endpoint is None:
            self._answer(503, "UH", "No endpoint is available.")
            return
        self._first_cluster = endpoint.cluster
        self._attempt(endpoint)

    def _attempt(self, endpoint: LiveEndpoint) -> None:
        self._endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.requests += 1
        failover = self._failover
        connection = endpoint.checkout() if failover is None or not failover.fresh else None
        if connection is None:
            self._plane.connector.obtain(endpoint, self)
        else:
            self._send(connection)

    def on_connected(self, connection: UpstreamConnection) -> None:
        if self.is_done:
            connection.endpoint.release(connection)
            return
        chosen, endpoint = self._endpoint, connection.endpoint
        if (
            chosen is not None and chosen is not endpoint
        ):  # where there was no room, another one's became free
            chosen.in_flight -= 1
            endpoint.in_flight += 1
            self._endpoint = endpoint
        self._send(connection)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        if self.is_done:
            self._eject_if_due(endpoint, failure)
        else:
            self._attempt_failed(failure)

    # Send

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        headers = self._headers
        head = b"%b%b%b%bX-Request-Id: %b\r\n\r\n" % (
            self._line.forward,
            headers.forward,
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n" if self._asks_for_tunnel() else b"",
            self._client.forwarded,
            self._request_id,
        )
        if self._body:
            head += b"".join(self._body)
        if self.body_complete:
            deadline = self._client.response_deadline()
        else:
            deadline = self._plane.wheel.now + UPLOAD_IDLE_S
            self._client.read_body(True)  # before sending: that may stop it again
        connection.send(self, head, deadline)
        if self._expect:
            self._expect = False
            if not self.body_bytes:  # the endpoint is there: let the client send its body
                self._client.write(CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the request body, framed as it goes to the endpoint."""
        self.body_bytes += len(piece)
        connection = self._connection
        if self._body is not None:
            self._body.append(piece)
            if self.body_bytes > REPLAY_BYTES:
                if connection is None:
                    self._client.read_body(False)
                else:
                    self._body = None
        if connection is not None:
            connection.deadline = self._plane.wheel.now + UPLOAD_IDLE_S
            connection.write(piece)

    def on_body_end(self) -> None:
        self.body_complete = True
        if self._connection is not None and not self._status:
            self._connection.deadline = self._client.response_deadline()

    def _asks_for_tunnel(self) -> bool:
        return (
            self._headers.control.upgrade
            and self._line.resource.method == b"GET"
            and self._client.version == 1
        )

    # Retry

    def on_upstream_lost(self, failure: Failure) -> None:
        if self._tunnel:
            self._finish("-", keep=False, endpoint=self._end_attempt())
        elif self._status:
            self._cut(failure)
        else:
            self._attempt_failed(failure)

    def _attempt_failed(self, failure: Failure) -> None:
        endpoint = self._end_attempt()
        self._eject_if_due(endpoint, failure)
        if failure is Failure.ABORTED and not self._line.resource.is_idempotent and self._body is not None:
            self._suspect = endpoint
            Autopsy(self._plane.connector, endpoint, self._on_verdict).start()
        else:
            self._go_on(endpoint, failure)

    def _on_verdict(self, failure: Failure) -> None:
        suspect, self._suspect = self._suspect, None
        if suspect is not None:
            if failure is not Failure.ABORTED:  # that one has been counted
                self._eject_if_due(suspect, failure)
            self._go_on(suspect, failure)

    def _go_on(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        """Try again elsewhere, or answer."""
        following = self._next_attempt(endpoint, failure)
        if following is None:
            self._answer(*ANSWERS[failure], endpoint)
        else:
            self._attempt(following)

    def _next_attempt(self, endpoint: LiveEndpoint, failure: Failure) -> LiveEndpoint | None:
        """Return the endpoint to try next, None when the request ends here; count it either way."""
        split = self._split
        assert split is not None
        failover = self._failover
        if failover is None:
            failover = self._failover = Failover()
        idempotent = self._line.resource.is_idempotent and not self._asks_for_tunnel()
        following = failover.next(split, endpoint, failure, idempotent=idempotent)
        if self._body is None:
            following = None  # part of the body is gone: it cannot be sent again
        to_cluster = following.cluster if following else ""
        self._plane.attempts.record(endpoint.service, endpoint.cluster, to_cluster, failure.value)
        return following

    def _eject_if_due(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        ejected_s = endpoint.failed(failure)
        if ejected_s:
            self._plane.connector.probe_after(endpoint, ejected_s)

    def _end_attempt(self) -> LiveEndpoint:
        endpoint = self._endpoint
        assert endpoint is not None
        endpoint.in_flight -= 1
        self._endpoint = None
        self._connection = None
        return endpoint

    # Relay

    def takes_chunks(self) -> bool:
        return self._client.version == 1

    def on_response(self, head: ResponseHead, data: bytes, at: int, size: int) -> None:
        if head.status in RETRY_STATUSES and self._retry_status(complete=True):
            return
        keep = self._client.keep_alive and self.body_complete and not self._plane.draining
        self._write_start(head.whole if keep and head.dated else self._head_for(head, keep), data, at)
        self._answered(head, size, keep)

    def on_response_chunked(self, head: ResponseHead, body: bytes) -> None:
        wire = body
        if self.takes_chunks():
            wire = encode_chunk(body) + END if body else END
        self.on_response(head, wire, 0, len(body))

    def _write_start(self, head: bytes, data: bytes, at: int) -> None:
        """Write the head and data[at:]: in one piece, where copying that is cheaper than another write."""
        client = self._client
        if len(data) - at < _SMALL_BODY_BYTES:
            client.write(head + data[at:])
        else:
            client.write(head)
            client.write_piece(memoryview(data)[at:])

    def _answered(self, head: ResponseHead, size: int, keep: bool) -> None:
        """A whole response has been written."""
        connection, endpoint = self._connection, self._endpoint
        assert connection is not None
        assert endpoint is not None
        if head.status not in RETRY_STATUSES:
            endpoint.succeeded()
        if self.body_complete:
            connection.release()
        else:
            connection.abort()  # RFC 9112 §9.3: the rest of the body must not become the next request
        endpoint.in_flight -= 1
        self._status = head.status
        self._response_bytes = size
        self._account(endpoint, "-" if endpoint.cluster == self._first_cluster else "CF")
        self._client.on_exchange_done(keep)

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        if head.status in RETRY_STATUSES and self._retry_status(complete=False):
            return
        client = self._client
        if head.status not in RETRY_STATUSES and self._endpoint is not None:
            self._endpoint.succeeded()
        self._status = head.status
        self._chunked = head.length < 0 and client.version == 1
        framed = self._chunked or head.length >= 0
        self._keep = framed and client.keep_alive and self.body_complete and not self._plane.draining
        self._body = None
        self._response_bytes = len(data) - at
        if self._chunked and self._response_bytes:
            data, at = encode_chunk(data[at:]), 0
        self._write_start(self._head_for(head, self._keep), data, at)

    def on_response_data(self, payload: bytes) -> None:
        self._response_bytes += len(payload)
        self._client.write(encode_chunk(payload) if self._chunked else payload)

    def on_response_piece(self, piece: memoryview) -> bool:
        self._response_bytes += len(piece)
        return self._client.write_piece(piece)

    def room(self) -> int:
        return self._client.room()

    def on_response_end(self, last: bytes) -> None:
        connection = self._connection
        assert connection is not None
        self._response_bytes += len(last)
        if self._chunked:
            last = encode_chunk(last) + END if last else END
        if last:
            self._client.write(last)
        if self.body_complete:
            connection.release()
        else:
            connection.abort()
        endpoint = self._end_attempt()
        self._finish("-" if endpoint.cluster == self._first_cluster else "CF", self._keep, endpoint)

    def on_informational(self, head: ResponseHead) -> None:
        # RFC 9110 §15.2: relayed, but for the 100 that we answered ourselves and what 1.0 cannot read
        if head.status != 100 and self._client.version == 1:
            self._body = None  # the client has heard from this endpoint: there is no other attempt
            self._client.write(head.start + b"\r\n")

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        connection = self._connection
        if not self._asks_for_tunnel() or connection is None:
            if connection is not None:
                connection.abort()
            self._attempt_failed(Failure.MALFORMED)
            return
        self._tunnel = True
        self._status = head.status
        self._client.write(head.start + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + rest)
        self._client.on_tunnel()

    def _retry_status(self, *, complete: bool) -> bool:
        """Try elsewhere instead of relaying a 502, 503 or 504; False when it must be relayed."""
        endpoint, connection = self._endpoint, self._connection
        assert endpoint is not None
        assert connection is not None
        self._eject_if_due(endpoint, Failure.STATUS)
        following = self._next_attempt(endpoint, Failure.STATUS)
        if following is None:
            return False
        if complete and self.body_complete:
            connection.release()
        else:
            connection.abort()
        self._end_attempt()
        self._attempt(following)
        return True

    def _head_for(self, head: ResponseHead, keep: bool) -> bytes:
        return b"%b%b%b%b\r\n" % (
            head.start,
            b"" if head.dated else b"Date: %b\r\n" % self._plane.wheel.date,
            head.framing(self._client.version),
            b"" if keep else b"Connection: close\r\n",
        )

    # Tunnel

    @property
    def is_tunnel(self) -> bool:
        return self._tunnel

    @property
    def has_response_started(self) -> bool:
        return self._status != 0

    def on_client_tunnel_data(self, data: bytes) -> None:
        self.body_bytes += len(data)
        if self._connection is not None:
            self._connection.write(data)

    def on_client_tunnel_end(self) -> None:
        """The client has closed its side; what the endpoint still says is relayed."""
        if self._connection is not None:
            self._connection.finish()

    def on_tunnel_data(self, data: bytes) -> None:
        self._response_bytes += len(data)
        self._client.write(data)

    # Back-pressure, both ways

    def on_upstream_writable(self, writable: bool) -> None:
        self._client.read_body(writable)

    def on_client_writable(self, writable: bool) -> None:
        connection = self._connection
        if connection is not None:
            connection.read_response(writable)

    # The end

    def cancel(self, flag: str = "DC", status: int = CLIENT_CLOSED) -> None:
        """The client is gone or its request turned out invalid: stop at once, upstream too."""
        if self.is_done:
            return
        endpoint, connection = self._endpoint, self._connection
        if connection is not None:
            connection.abort()
        if endpoint is not None:
            self._end_attempt()
        self._suspect = None
        self._status = self._status or status
        self._account(endpoint, flag)

    def _answer(self, status: int, flag: str, detail: str, endpoint: LiveEndpoint | None = None) -> None:
        """End the request with a response of our own; `endpoint` is the last that was tried."""
        client = self._client
        keep = client.keep_alive and self.body_complete and not self._plane.draining
        date = self._plane.wheel.date
        client.write(reply(status, date, self._request_id, detail, close=not keep, head=self.is_head))
        self._status = status
        self._finish(flag, keep, endpoint)

    def _cut(self, failure: Failure) -> None:
        """The endpoint failed in the middle of its response: the client must see that it is not whole."""
        endpoint = self._end_attempt()
        self._eject_if_due(endpoint, failure)
        self._plane.attempts.record(endpoint.service, endpoint.cluster, "", failure.value)
        self._account(endpoint, "UC")
        self._client.abort()

    def _finish(self, flag: str, keep: bool, endpoint: LiveEndpoint | None) -> None:
        self._account(endpoint, flag)
        self._client.on_exchange_done(keep)

    def _account(self, endpoint: LiveEndpoint | None, flag: str) -> None:
        self.is_done = True
        self._connection = None
        self._endpoint = None
        duration_s = monotonic() - self._started
        service, cluster = "", ""
        if endpoint is not None:
            service, cluster = endpoint.service, endpoint.cluster
        elif self._split is not None:
            service = self._split.service.id
        self._plan.counters.record(
            self._client.listener_name, service, cluster, self._status, flag, duration_s,
            self.body_bytes, self._response_bytes,
        )  # fmt: skip
        log = self._plane.log
        if log is not None:
            failover = self._failover
            log.request(
                self._line.resource.log, self._client.version, self._headers.control.log, self._status, flag,
                int(duration_s * 1_000_000.0), self.body_bytes, self._response_bytes, self._request_id,
                self._client.log, self._plan.log, endpoint.log if endpoint is not None else NO_ENDPOINT,
                failover.attempts + 1 if failover is not None else 1,
                failed_attempts(failover.trace) if failover is not None else b"", self._plane.version,
            )  # fmt: skip
