"""The life of one request. The only module that knows the order of its phases:

1. pick      `start`: a cluster and an endpoint of the route, or a response of our own
2. attempt   `_begin_attempt`, `_send`; `_attempt_failed` goes elsewhere while no response has begun
3. head      `on_response` (a whole response at once: nearly all) or `on_response_start`
4. body      `on_response_data`, `on_response_piece`; after a 101 a `tunnel` instead
5. end       `_answered` (from an endpoint), `_answer` (our own), `_cut`, `cancel`, or the end of a tunnel

Each end accounts once. Nothing is retried once the client has a byte of the response.
"""

from functools import partial
from time import monotonic
from typing import Final

from proxy.dataplane import DataPlane
from proxy.http.control import CHUNKED
from proxy.http.replies import refusal
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.http.response import ResponseHead
from proxy.policies.gate import Verdict
from proxy.request.accounting import account
from proxy.request.attempt import Attempt
from proxy.request.connecting import Connecting
from proxy.request.deadlines import limit_attempts, response_deadline
from proxy.request.downstream import Downstream
from proxy.request.mirror import mirror
from proxy.request.outgoing import copy_head, request_head
from proxy.request.policy import PolicyPass
from proxy.request.record import ATTEMPT, DONE, RESPONSE, TUNNEL, RequestRecord
from proxy.request.relay import COMPRESSED_AT_ONCE, Relay
from proxy.request.replay import LARGE_BYTES, ReplayBody
from proxy.request.retry import instead_of_retired, instead_of_stalled, may_move, next_endpoint, trusted
from proxy.request.tunnel import Tunnel
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.kinds import Kind
from proxy.upstream.evidence.latencies import FAST_S
from proxy.upstream.health.silence import CERTAIN_S, GIVE_UP_S
from proxy.upstream.health.witness import Witness
from proxy.upstream.plan import RoutePlan
from proxy.upstream.retries.retry import ANSWERS, RETRY_STATUSES, Failure

CLIENT_CLOSED: Final = 499  # nginx's number for a client that went away; only in log and metrics
UPLOAD_IDLE_S: Final = 300.0


class Exchange(ResponseSink):
    """One request and its response."""

    __slots__ = ("_attempt", "_downstream", "_plane", "_relay", "_replay", "record", "tunnel")

    _relay: Relay  # from `on_response_start` on

    def __init__(
        self, plane: DataPlane, downstream: Downstream, plan: RoutePlan, line: RequestLine,
        headers: RequestHeaders,
    ) -> None:  # fmt: skip
        self.record = RequestRecord(
            downstream.client, plan, line, headers, headers.request_id or plane.request_id()
        )
        self.is_head = line.resource.is_head
        self.tunnel: Tunnel | None = None
        self._plane = plane
        self._downstream = downstream
        self._attempt: Attempt | None = None  # None: nothing is under way at an endpoint
        self._replay: ReplayBody | None = None  # None: nothing has come of a body, or it was forgotten

    # Pick

    def start(self) -> None:
        record, plan = self.record, self.record.plan
        if plan.policies is not None or record.client.compresses:
            policy = record.policy = PolicyPass(record.line, record.headers, record.client, plan.policies)
            verdict = policy.enter(record.started, plan.mirroring)
            if verdict is not None:
                self._answer_verdict(policy, verdict)
                return
        choice = record.choice = self._pick_for() if plan.needs_request else plan.pick()
        endpoint = choice.first() if choice is not None else None
        if choice is None or endpoint is None:
            self._answer(503, "UH", "No endpoint is available.", None)
            return
        record.first_cluster = endpoint.cluster
        if endpoint.ejections or endpoint.is_quiet or not record.line.resource.is_idempotent:
            endpoint = trusted(record, choice, endpoint, monotonic())
        self._begin_attempt(choice, endpoint)
        if record.policy is not None and record.has_whole_body:
            self._mirror(record.policy)

    def _pick_for(self) -> Choice | None:
        """Pick by the request, and by its client."""
        record = self.record
        plan = record.plan
        choice = plan.pick_for(record.client.address, record.line, record.headers)
        if plan.sticky is not None:
            record.headers = plan.sticky.stripped(record.headers)
            if record.policy is not None:
                record.policy.asked.headers = record.headers
        return choice

    # Attempt

    def _begin_attempt(self, choice: Choice, endpoint: LiveEndpoint) -> None:
        record = self.record
        record.phase = ATTEMPT
        attempt = self._attempt = Attempt(choice, endpoint)
        history = record.history
        if history is not None:
            history.begun += 1
        stream = endpoint.checkout() if history is None or not history.fresh else None
        if stream is None:
            Connecting(self._plane, record, attempt, self._on_stream, self._attempt_failed).start()
        else:
            self._send(attempt, stream)

    def _on_stream(self, stream: UpstreamStream) -> None:
        attempt, replay = self._attempt, self._replay
        if attempt is None:
            stream.give_back()
        elif replay is None or replay.kept_bytes < LARGE_BYTES:
            self._send(attempt, stream)
        else:
            send = partial(self._send_in_turn, attempt, stream)
            self._plane.backlog.do(send, stream.endpoint, replay.kept_bytes)

    def _send_in_turn(self, attempt: Attempt, stream: UpstreamStream) -> None:
        """Meanwhile the client may have gone, or the connection."""
        if self.record.is_done:
            stream.give_back()
        elif stream.is_closing():
            self._attempt_failed(Failure.REFUSED)  # nothing was sent
        else:
            self._send(attempt, stream)

    def _send(self, attempt: Attempt, stream: UpstreamStream) -> None:
        record, replay = self.record, self._replay
        attempt.stream = stream
        if stream.endpoint.notice_send:
            self._plane.stalls.on_send(stream.endpoint)
        head, body = request_head(record), b""
        if replay is not None:
            body = replay.joined()
            if replay.is_memory_full:
                self._forget_body()
        now = self._plane.wheel.now
        if record.has_whole_body:
            deadline = response_deadline(record, now)
        else:
            deadline = now + UPLOAD_IDLE_S
            self._downstream.accept_body()  # before sending: that may stop it again
        stream.send(
            self, head, body, deadline,
            in_chunks=record.headers.control.length == CHUNKED and not record.error_status,
            is_complete=record.has_whole_body,
        )  # fmt: skip

    # Request body

    def on_body(self, payload: bytes) -> None:
        """Take a piece of the request body, without its framing."""
        self._take_body(payload)
        stream = self._stream()
        if stream is not None:
            stream.deadline = self._plane.wheel.now + UPLOAD_IDLE_S
            stream.write(payload)

    def on_body_end(self, last: bytes, trailers: bytes) -> None:
        """Take the last piece of the request body, empty or not, and the field lines behind it."""
        record = self.record
        self._take_body(last)
        record.has_whole_body = True
        stream = self._stream()
        if stream is not None:
            stream.end(last, trailers)
            if record.phase == ATTEMPT:
                stream.deadline = response_deadline(record, self._plane.wheel.now)
                stream.since = monotonic()
        if record.policy is not None:
            self._mirror(record.policy)

    def _take_body(self, payload: bytes) -> None:
        record = self.record
        record.body_bytes += len(payload)
        if not record.is_replayable or not payload:
            return
        replay = self._replay
        if replay is None:
            replay = self._replay = ReplayBody(self._plane.replay)
        replay.add(payload)
        if replay.is_too_large:
            if self._stream() is None:
                self._downstream.read_body(False)
            else:
                self._forget_body()

    def _forget_body(self) -> None:
        """From here on the request cannot be sent again."""
        self.record.is_replayable = False
        if self._replay is not None:
            self._replay.forget()
            self._replay = None

    def on_upstream_writable(self, writable: bool) -> None:
        self._downstream.read_body(writable)

    def _stream(self) -> UpstreamStream | None:
        return self._attempt.stream if self._attempt is not None else None

    def _mirror(self, policy: PolicyPass) -> None:
        """The request is complete: send the copy, if there is to be one."""
        mirroring, policy.mirroring = policy.mirroring, None
        if mirroring is not None:
            record, replay = self.record, self._replay
            body = None
            if record.is_replayable:
                body = replay.joined() if replay is not None else b""
            policy.cancel_copy = mirror(
                self._plane, mirroring, copy_head(record, policy), body,
                in_chunks=record.headers.control.length == CHUNKED, is_head=self.is_head,
            )  # fmt: skip

    # After a failed attempt

    def _attempt_failed(self, failure: Failure) -> None:
        attempt = self._attempt
        if attempt is None:
            return
        self._limit_attempts(attempt)
        endpoint = self._end_attempt(attempt)
        self._plane.note_failure(endpoint, failure)
        following = self._next_endpoint(attempt, failure)
        if following is None:
            self._answer(*ANSWERS[failure], endpoint)
        else:
            self._attempt_again(attempt.choice, following)

    def _limit_attempts(self, attempt: Attempt) -> None:
        sent = attempt.stream.since if attempt.stream is not None else self.record.started
        limit_attempts(self.record, sent, self._plane.wheel.now)

    def _next_endpoint(self, attempt: Attempt, failure: Failure) -> LiveEndpoint | None:
        """Decide what follows, and count the failed attempt with the decision."""
        endpoint = attempt.endpoint
        following = next_endpoint(self.record, attempt, failure, monotonic())
        suppressed = self.record.failover().suppressed
        if following is None and suppressed is not None:
            self._plane.suppressed.record(endpoint.service, endpoint.cluster, suppressed.value)
        self._count(endpoint, failure, following.cluster if following is not None else "")
        return following

    def _attempt_again(self, choice: Choice, endpoint: LiveEndpoint) -> None:
        """Begin an attempt that is not the first: after a pause, or in a turn that has time for it."""
        begin = partial(self._begin_after_pause, choice, endpoint)
        pause_s = self.record.failover().pause_s
        if pause_s:
            self._plane.connector.later(pause_s, begin)
        else:
            kept_bytes = self._replay.kept_bytes if self._replay is not None else 0
            self._plane.backlog.do(begin, endpoint, kept_bytes)

    def _begin_after_pause(self, choice: Choice, endpoint: LiveEndpoint) -> None:
        """Meanwhile the client may have gone, or the endpoint."""
        if self.record.is_done:
            return
        following = instead_of_retired(self.record, choice, endpoint)
        if following is None:
            self._answer(*ANSWERS[Failure.REFUSED], endpoint)
        else:
            self._begin_attempt(choice, following)

    def _end_attempt(self, attempt: Attempt) -> LiveEndpoint:
        self._attempt = None
        return attempt.end()

    def _count(self, endpoint: LiveEndpoint, failure: Failure, to_cluster: str) -> None:
        self._plane.attempts.record(endpoint.service, endpoint.cluster, to_cluster, failure.value)

    # An endpoint that does not answer

    def awaits(self) -> Kind | None:
        record = self.record
        if not record.has_whole_body or record.error_status:
            return None
        resource = record.line.resource
        return record.plan.kinds.of(resource.method, resource.path)

    def on_stalled(self) -> bool:
        attempt, stream = self._attempt, self._stream()
        if attempt is None or stream is None:
            return False
        following = instead_of_stalled(self.record, attempt, stream.since, self._plane.wheel.now)
        if following is None:
            return False
        self._limit_attempts(attempt)
        self._count(attempt.endpoint, Failure.STALLED, following.cluster)
        stream.leave_to(Witness(stream, is_head=self.is_head))
        self._end_attempt(attempt)
        self._begin_attempt(attempt.choice, following)
        return True

    def on_silence(self, seconds: float) -> None:
        attempt, stream = self._attempt, self._stream()
        if attempt is None or stream is None:
            return
        if seconds >= (CERTAIN_S if self._may_move(attempt) else GIVE_UP_S):
            stream.abort()
            self._attempt_failed(Failure.SILENT)
        else:
            self._plane.connector.suspect(attempt.endpoint, self)

    def on_machine_gone(self, endpoint: LiveEndpoint) -> None:
        attempt, stream = self._attempt, self._stream()
        if attempt is None or stream is None or attempt.endpoint is not endpoint or not stream.is_waiting():
            return  # the request has moved on, or its response came after all
        if self._may_move(attempt):
            stream.abort()
            self._attempt_failed(Failure.SILENT)
        elif endpoint.state is State.HEALTHY:
            self._plane.note_failure(endpoint, Failure.SILENT)

    def _may_move(self, attempt: Attempt) -> bool:
        return may_move(self.record, attempt, self._plane.wheel.now)

    # Head

    def takes_chunks(self) -> bool:
        return self._downstream.takes_chunks

    def on_response(self, head: ResponseHead, data: bytes, at: int, size: int) -> None:
        self._respond(head, data, at, size, is_decoded=False)

    def on_response_chunked(self, head: ResponseHead, body: bytes) -> None:
        self._respond(head, body, 0, len(body), is_decoded=True)

    def _respond(self, head: ResponseHead, data: bytes, at: int, size: int, *, is_decoded: bool) -> None:
        """Relay a whole response."""
        attempt, record = self._attempt, self.record
        if attempt is None or (
            head.status in record.plan.watched and self._take_back(attempt, head.status, is_whole=True)
        ):
            return
        self._begin_response(attempt, head)
        record.response_bytes = size
        policy = record.policy
        if policy is not None:
            head, body = policy.compressed_whole(
                policy.response_head(head), data[at:], size, self._plane.compression, self._plane.backlog,
                is_decoded=is_decoded,
            )  # fmt: skip
            if body is not None:
                data, at = body, 0
                record.response_bytes = len(body)
        if record.plan.sticky is not None:
            head = self._with_session(attempt, head)
        self._downstream.respond(head, data, at, is_decoded=is_decoded)
        self._answered(attempt)

    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        attempt, record = self._attempt, self.record
        if attempt is None or (
            head.status in record.plan.watched and self._take_back(attempt, head.status, is_whole=False)
        ):
            return
        self._begin_response(attempt, head)
        self._forget_body()
        policy, compressor = record.policy, None
        if policy is not None:
            head, compressor = policy.compressed_stream(policy.response_head(head), self._plane.compression)
        if record.plan.sticky is not None:
            head = self._with_session(attempt, head)
        self._relay = Relay(self._downstream, record, self._plane.backlog, compressor)
        self._relay.begin(head, data, at)

    def on_informational(self, head: ResponseHead) -> None:
        # The client has its 100 (Continue) from the gateway already
        if head.status != 100 and self._downstream.inform(head):
            self._forget_body()  # the client has heard from this endpoint: there is no other attempt

    def _begin_response(self, attempt: Attempt, head: ResponseHead) -> None:
        """This head goes to the client."""
        record, endpoint = self.record, attempt.endpoint
        if head.status not in RETRY_STATUSES:
            endpoint.succeeded()
            if record.history is not None:
                record.history.answered()
        stream = attempt.stream
        if stream is not None and record.has_whole_body and not record.error_status:
            # How long the head took is noted where that is worth noting
            now, learning = endpoint.heard, self._plane.learning
            if now >= learning.due or endpoint.beside_probe > 0 or now - stream.since >= FAST_S:
                learning.answered(record.plan.kinds, record.line.resource, stream, now)
        record.status = head.status
        record.phase = RESPONSE

    def _with_session(self, attempt: Attempt, head: ResponseHead) -> ResponseHead:
        sticky = self.record.plan.sticky
        if sticky is None or self.record.error_status:  # an error page belongs to no session
            return head
        return sticky.marked(head, attempt.choice, attempt.endpoint)

    # A response that is not relayed

    def _take_back(self, attempt: Attempt, status: int, *, is_whole: bool) -> bool:
        """Do something else than relay this response of the endpoint; False when it must be relayed."""
        record = self.record
        if record.error_status:
            return False
        self._limit_attempts(attempt)
        if status in RETRY_STATUSES:
            self._plane.note_failure(attempt.endpoint, Failure.STATUS)
        choice: Choice | None = attempt.choice
        following = None
        if status in record.plan.retry.statuses:
            following = self._next_endpoint(attempt, Failure.STATUS)
        if following is None and status in record.plan.error_statuses:
            choice, following = self._error_page(status)
        if following is None or choice is None:
            return False
        stream = attempt.stream
        if stream is not None:
            if is_whole and record.has_whole_body:
                stream.release()
            else:
                stream.abort()
        self._end_attempt(attempt)
        self._attempt_again(choice, following)
        return True

    def _error_page(self, status: int) -> tuple[Choice | None, LiveEndpoint | None]:
        """Return the endpoint that has the error page, and its choice; none while a body is still coming."""
        record = self.record
        backends = record.plan.error_backends
        choice = backends.pick() if backends is not None and record.has_whole_body else None
        following = choice.first() if choice is not None else None
        if following is not None:
            record.choice = choice
            record.first_cluster = following.cluster
            record.error_status = status
            self._forget_body()
            record.is_replayable = True  # a request without a body
            record.deadline = 0.0  # and with a time of its own
        return choice, following

    # Body

    def on_response_data(self, payload: bytes) -> None:
        self._relay.data(payload)

    def on_response_piece(self, piece: memoryview) -> bool:
        return self._relay.piece(piece)

    def on_response_end(self, last: bytes, trailers: bytes) -> None:
        self._relay.end(last, trailers)
        if self._attempt is not None:
            self._answered(self._attempt)

    def room(self) -> int:
        return self._relay.room()

    def slice_bytes(self) -> int:
        if self.record.phase == RESPONSE:
            return self._relay.slice_bytes()
        return COMPRESSED_AT_ONCE if self.record.client.compresses else 0

    def is_pipelined(self) -> bool:
        return self._downstream.has_sent_more()

    def on_client_writable(self, writable: bool) -> None:
        stream = self._stream()
        if stream is not None:
            stream.read_response(writable)

    # Tunnel

    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        attempt, record = self._attempt, self.record
        stream = self._stream()
        if attempt is None or stream is None:
            return
        if not record.asks_for_tunnel:
            stream.abort()
            self._attempt_failed(Failure.MALFORMED)
            return
        record.status = head.status
        record.phase = TUNNEL
        tunnel = self.tunnel = Tunnel(self._downstream, stream)
        self._downstream.switch(self._with_session(attempt, head), rest, tunnel)

    def on_tunnel_data(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel.from_endpoint(data)

    # End

    def _answered(self, attempt: Attempt) -> None:
        """The last byte of an endpoint's response has been written."""
        stream, record = attempt.stream, self.record
        if stream is not None:
            if record.has_whole_body:
                stream.release()
            else:
                stream.abort()  # RFC 9112 §9.3: the rest of the body must not become the next request
        endpoint = attempt.end()
        self._account(endpoint, "-" if endpoint.cluster == record.first_cluster else "CF")
        self._downstream.done()

    def _answer(self, status: int, flag: str, detail: str, endpoint: LiveEndpoint | None) -> None:
        """End the request with a refusal of our own; `endpoint` is the last that was tried."""
        head, body = refusal(status, self.record.request_id, detail)
        self._end_with(head, body, flag, endpoint)

    def _answer_verdict(self, policy: PolicyPass, verdict: Verdict) -> None:
        """End the request with a response that its route gives itself."""
        head, body = verdict.answer.message(policy.asked, self.record.request_id, verdict.fields)
        self._end_with(head, body, verdict.flag, None)

    def _end_with(self, head: ResponseHead, body: bytes, flag: str, endpoint: LiveEndpoint | None) -> None:
        record = self.record
        if record.policy is not None:
            head = record.policy.own_head(head)
        record.status = head.status
        self._downstream.respond(head, b"" if self.is_head else body, 0)
        self._account(endpoint, flag)
        self._downstream.done()

    def on_upstream_lost(self, failure: Failure) -> None:
        attempt, record = self._attempt, self.record
        if attempt is None:
            return
        if record.phase == ATTEMPT:
            self._attempt_failed(failure)
        elif record.phase == TUNNEL:
            self._account(attempt.end(), "-")
            self._downstream.tunnel_done()
        else:
            self._cut(attempt, failure)

    def _cut(self, attempt: Attempt, failure: Failure) -> None:
        """The endpoint failed in the middle of its response: the client must see that it is not whole."""
        endpoint = attempt.end()
        self._plane.note_failure(endpoint, failure)
        self._count(endpoint, failure, "")
        self._account(endpoint, "UC")
        self._downstream.abort()

    def cancel(self, flag: str = "DC", status: int = CLIENT_CLOSED) -> None:
        """Stop at once, upstream too: the client has gone, or its request turned out invalid."""
        record, attempt = self.record, self._attempt
        if record.is_done:
            return
        endpoint = None
        if attempt is not None:
            if attempt.stream is not None:
                attempt.stream.abort()
            endpoint = attempt.end()
        elif record.history is not None:
            record.history.cancel()
        if record.policy is not None:
            record.policy.cancel()
        record.status = record.status or status
        self._account(endpoint, flag)

    def _account(self, endpoint: LiveEndpoint | None, flag: str) -> None:
        record = self.record
        record.phase = DONE
        self._attempt = None
        if record.policy is not None:
            record.policy.leave()
        if self._replay is not None:
            self._forget_body()
        if self.tunnel is not None:
            record.body_bytes += self.tunnel.sent
            record.response_bytes += self.tunnel.received
        account(self._plane, record, endpoint, flag)
