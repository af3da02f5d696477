"""The life of one request. The only module that knows the order of its phases:

1. pick      `start`: a cluster and an endpoint of the route, or a response of our own
2. attempt   `dispatch`: connection, request, body; elsewhere, while no response has begun
3. head      `on_response` (a whole response at once: nearly all) or `on_response_start`
4. body      `relay`; after a 101 a `tunnel` instead
5. end       `_answered` (from an endpoint), `_end_with` (our own), `_cut`, `cancel`, or the end of a tunnel

Each end accounts once. Nothing is retried once the client has a byte of the response.
"""

from typing import Final

from proxy.dataplane import DataPlane
from proxy.http.framing import CHUNKED
from proxy.http.replies import refusal
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.http.response import ResponseHead
from proxy.request.accounting import account
from proxy.request.attempt import Attempt
from proxy.request.dispatch import (
    AttemptedRequest,
    attempt_failed,
    begin_attempt,
    commit,
    end_attempt,
    leave_stalled,
    on_machine_gone,
    on_silence,
    send_last,
    send_more,
    takes_back_response,
)
from proxy.request.downstream import Downstream
from proxy.request.mirror import mirror
from proxy.request.outgoing import copy_head
from proxy.request.policy import PolicyPass
from proxy.request.record import ATTEMPT, RESPONSE, TUNNEL, RequestRecord
from proxy.request.relay import COMPRESSED_AT_ONCE, Relay
from proxy.request.replay import ReplayBody
from proxy.request.retry import trusted
from proxy.request.tunnel import Tunnel
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.kinds import Kind
from proxy.upstream.evidence.latencies import FAST_S
from proxy.upstream.plan import RoutePlan
from proxy.upstream.retries.rules import ANSWERS, RETRY_STATUSES

CLIENT_CLOSED: Final = 499  # nginx's number for a client that went away; only in log and metrics


class Exchange(AttemptedRequest):
    """One request and its response, from the first phase to the last."""

    __slots__ = ("_downstream", "_relay", "tunnel")

    _relay: Relay  # from `on_response_start` on

    def __init__(
        self, plane: DataPlane, downstream: Downstream, plan: RoutePlan, line: RequestLine,
        headers: RequestHeaders,
    ) -> None:  # fmt: skip
        record = RequestRecord(
            plane.clock.now(), downstream.client, plan, line, headers,
            headers.request_id or plane.ids.next(),
        )  # fmt: skip
        replay = None
        if not record.has_whole_body:
            replay = ReplayBody(record, downstream, plane.upstream.replay)
        self.is_head = line.resource.is_head
        self.plane = plane
        self.record = record
        self.replay = replay
        self.attempt = None
        self.tunnel: Tunnel | None = None
        self._downstream = downstream

    # Pick

    def start(self) -> None:
        record, plan = self.record, self.record.plan
        if plan.policies is not None or record.client.compresses:
            policy = record.policy = PolicyPass(record.line, record.headers, record.client, plan.policies)
            verdict = policy.enter(record.started, plan.mirroring)
            if verdict is not None:
                head, body = verdict.answer.message(policy.asked, record.request_id, verdict.fields)
                self._end_with(head, body, verdict.flag, None)
                return
        choice = record.choice = self._pick_for() if plan.needs_request else plan.pick()
        endpoint = choice.first() if choice is not None else None
        if choice is None or endpoint is None:
            self._refuse(503, "UH", "No endpoint is available.", None)
            return
        record.first_cluster = endpoint.cluster
        if endpoint.ejections or endpoint.is_quiet or not record.line.resource.is_idempotent:
            endpoint = trusted(record, choice, endpoint, self.plane.clock.now())
        begin_attempt(self, choice, endpoint)
        if record.policy is not None and record.has_whole_body:
            self._mirror(record.policy)

    def _pick_for(self) -> Choice | None:
        """Pick by a key or a session of the request, or by its client's address."""
        record = self.record
        plan = record.plan
        choice = plan.pick_for(record.client.address, record.line, record.headers)
        if plan.sticky is not None:
            record.headers = plan.sticky.stripped(record.headers)
            if record.policy is not None:
                record.policy.asked.headers = record.headers
        return choice

    # Request body

    def on_body(self, payload: bytes) -> None:
        """Take a piece of the request body, without its framing."""
        if self.replay is not None:
            self.replay.take(payload, is_sent=self.stream is not None)
        send_more(self, payload)

    def on_body_end(self, last: bytes, trailers: bytes) -> None:
        """Take the last piece of the request body, empty or not, and the field lines behind it."""
        record = self.record
        if self.replay is not None:
            self.replay.take(last, is_sent=self.stream is not None)
        record.has_whole_body = True
        send_last(self, last, trailers)
        if record.policy is not None:
            self._mirror(record.policy)

    def on_upstream_writable(self, writable: bool) -> None:
        self._downstream.read_body(writable)

    def _mirror(self, policy: PolicyPass) -> None:
        """The request is complete: send the copy, if there is to be one."""
        mirroring, policy.mirroring = policy.mirroring, None
        if mirroring is not None:
            record = self.record
            policy.cancel_copy = mirror(
                self.plane, mirroring, copy_head(record, policy),
                self.replay.copy() if self.replay is not None else b"",
                in_chunks=record.headers.control.length == CHUNKED, is_head=self.is_head,
            )  # fmt: skip

    # While no response comes

    def awaits(self) -> Kind | None:
        record = self.record
        if not record.has_whole_body or record.error_status:
            return None
        resource = record.line.resource
        return record.plan.kinds.of(resource.method, resource.path)

    def on_stalled(self) -> bool:
        return leave_stalled(self)

    def on_silence(self, seconds: float) -> None:
        on_silence(self, seconds)

    def on_machine_gone(self, endpoint: LiveEndpoint) -> None:
        on_machine_gone(self, endpoint)

    def on_attempts_over(self, failure: Failure, endpoint: LiveEndpoint) -> None:
        self._refuse(*ANSWERS[failure], endpoint)

    # Head

    def takes_chunks(self) -> bool:
        return self._downstream.takes_chunks

    def on_response(
        self, head: ResponseHead, data: bytes, at: int, size: int, *, is_decoded: bool = False
    ) -> None:
        attempt, record = self.attempt, self.record
        if attempt is None or (
            head.status in record.plan.watched
            and takes_back_response(self, attempt, head.status, is_whole=True)
        ):
            return
        self._begin_response(attempt, head)
        record.response_bytes = size
        policy = record.policy
        if policy is not None:
            head, body = policy.compressed_whole(
                policy.response_head(head), data, at, size, self.plane.compression, self.plane.backlog,
                is_decoded=is_decoded,
            )  # fmt: skip
            if body is not None:
                data, at = body, 0
                record.response_bytes = len(body)
        if record.plan.sticky is not None:
            head = self._with_session(attempt, head)
        if is_decoded:
            self._downstream.respond(head, data, at, is_decoded=True)
        else:
            self._downstream.respond(head, data, at)
        self._answered(attempt)

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        attempt, record = self.attempt, self.record
        if attempt is None or (
            head.status in record.plan.watched
            and takes_back_response(self, attempt, head.status, is_whole=False)
        ):
            return
        self._begin_response(attempt, head)
        commit(self)
        policy, compressor = record.policy, None
        if policy is not None:
            head, compressor = policy.compressed_stream(policy.response_head(head), self.plane.compression)
        if record.plan.sticky is not None:
            head = self._with_session(attempt, head)
        self._relay = Relay(self._downstream, record, self.plane.backlog, compressor)
        self._relay.begin(head, data, at)

    def on_informational(self, head: ResponseHead) -> None:
        # The client has its 100 (Continue) from the gateway already
        if head.status != 100 and self._downstream.inform(head):
            commit(self)

    def _begin_response(self, attempt: Attempt, head: ResponseHead) -> None:
        """Note in request and endpoint that this head goes to the client."""
        record, endpoint = self.record, attempt.endpoint
        if head.status not in RETRY_STATUSES:
            if endpoint.succeeded():
                self.plane.upstream.outliers.reached(endpoint)
            if record.history is not None:
                record.history.answered()
        stream = attempt.stream
        if stream is not None and record.has_whole_body and not record.error_status:
            # Note the time of the head, where the history of its kind can learn from it
            now, learning = endpoint.heard, self.plane.upstream.learning
            if now >= learning.due or endpoint.beside_probe > 0 or now - stream.since >= FAST_S:
                learning.answered(record.plan.kinds, record.line.resource, stream, now)
        record.status = head.status
        record.phase = RESPONSE

    def _with_session(self, attempt: Attempt, head: ResponseHead) -> ResponseHead:
        sticky = self.record.plan.sticky
        if sticky is None or self.record.error_status:  # an error page belongs to no session
            return head
        return sticky.marked(head, attempt.choice, attempt.endpoint)

    # Body

    def on_response_data(self, payload: bytes) -> None:
        self._relay.data(payload)

    def on_response_piece(self, piece: memoryview) -> bool:
        return self._relay.piece(piece)

    def on_response_end(self, last: bytes, trailers: bytes) -> None:
        self._relay.end(last, trailers)
        attempt = self.attempt
        if attempt is not None:
            self._answered(attempt)

    def room(self) -> int:
        return self._relay.room()

    def slice_bytes(self) -> int:
        if self.record.phase == RESPONSE:
            return self._relay.slice_bytes()
        return COMPRESSED_AT_ONCE if self.record.client.compresses else 0

    def is_pipelined(self) -> bool:
        return self._downstream.has_sent_more()

    def on_client_writable(self, writable: bool) -> None:
        stream = self.stream
        if stream is not None:
            stream.read_response(writable)

    # Tunnel

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        record, attempt, stream = self.record, self.attempt, self.stream
        if attempt is None or stream is None:
            return
        if not record.asks_for_tunnel:
            stream.abort()
            attempt_failed(self, Failure.MALFORMED)
            return
        record.status = head.status
        record.phase = TUNNEL
        tunnel = self.tunnel = Tunnel(self._downstream.data, stream)
        self._downstream.switch(self._with_session(attempt, head), rest, tunnel)

    def on_tunnel_data(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel.from_endpoint(data)

    # End

    def _answered(self, attempt: Attempt) -> None:
        """End the request: the last byte of an endpoint's response has been written."""
        stream, record = attempt.stream, self.record
        if stream is not None:
            if record.has_whole_body:
                stream.release()
            else:
                stream.abort()  # RFC 9112 §9.3: the rest of the body must not become the next request
        self.attempt = None
        endpoint = attempt.end()
        if self.replay is not None:
            self.replay.forget()
        account(self.plane, record, endpoint, "-" if endpoint.cluster == record.first_cluster else "CF")
        self._downstream.done()

    def _refuse(self, status: int, flag: str, detail: str, endpoint: LiveEndpoint | None) -> None:
        head, body = refusal(status, self.record.request_id, detail)
        self._end_with(head, body, flag, endpoint)

    def _end_with(self, head: ResponseHead, body: bytes, flag: str, endpoint: LiveEndpoint | None) -> None:
        """End the request with a response of our own; `endpoint` is the last that was tried."""
        record = self.record
        if record.policy is not None:
            head = record.policy.own_head(head)
        record.status = head.status
        self._downstream.respond(head, b"" if self.is_head else body, 0)
        self._account(endpoint, flag)
        self._downstream.done()

    def on_upstream_lost(self, failure: Failure) -> None:
        attempt, phase = self.attempt, self.record.phase
        if attempt is None:
            return
        if phase == ATTEMPT:
            attempt_failed(self, failure)
        elif phase == TUNNEL:
            self._account(end_attempt(self, attempt), "-")
            self._downstream.tunnel_done()
        else:
            self._cut(attempt, failure)

    def _cut(self, attempt: Attempt, failure: Failure) -> None:
        """Cut a response in which the endpoint failed: the client must see that the response is not whole."""
        endpoint = end_attempt(self, attempt)
        self.plane.upstream.outliers.failed(endpoint, failure)
        self.plane.upstream.count_attempt(endpoint, failure, "")
        self._account(endpoint, "UC")
        self._downstream.abort()

    def cancel(self, flag: str = "DC", status: int = CLIENT_CLOSED) -> None:
        """Stop at once, upstream too: the client has gone, or its request turned out invalid."""
        record, attempt = self.record, self.attempt
        if record.is_done:
            return
        endpoint = None
        if attempt is not None:
            if attempt.stream is not None:
                attempt.stream.abort()
            endpoint = end_attempt(self, attempt)
        elif record.history is not None:
            record.history.cancel()
        if record.policy is not None:
            record.policy.cancel()
        record.status = record.status or status
        self._account(endpoint, flag)

    def _account(self, endpoint: LiveEndpoint | None, flag: str) -> None:
        record = self.record
        if self.replay is not None:
            self.replay.forget()
        if self.tunnel is not None:
            record.body_bytes += self.tunnel.sent
            record.response_bytes += self.tunnel.received
        account(self.plane, record, endpoint, flag)
