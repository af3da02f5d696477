"""The way of a request to the endpoint that answers it: attempts, one after the other.

    begin ▸ connect ▸ send ▸ (a response head: `exchange` goes on) | failed ▸ begin … | no attempt is left

`retry` decides about the next attempt after a failed one; this module acts on the decisions.
"""

from abc import abstractmethod
from functools import partial
from typing import Final

from proxy.dataplane import DataPlane
from proxy.http.framing import CHUNKED
from proxy.request.attempt import Attempt
from proxy.request.connecting import Connecting
from proxy.request.deadlines import limit_attempts, response_deadline
from proxy.request.outgoing import request_head
from proxy.request.record import ATTEMPT, RequestRecord
from proxy.request.replay import ReplayBody
from proxy.request.retry import instead_of_retired, instead_of_stalled, may_move, next_endpoint
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.connections.abandoned import AbandonedResponse
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.connections.unacknowledged import CERTAIN_S, GIVE_UP_S
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.retries.rules import RETRY_STATUSES

UPLOAD_IDLE_S: Final = 300.0
LARGE_BYTES: Final = 32768  # size of a body: sending it again takes as long as serving some requests


class AttemptedRequest(ResponseSink):
    """A request with its attempts; the sink of their responses."""

    __slots__ = ("attempt", "plane", "record", "replay")

    plane: DataPlane
    record: RequestRecord
    replay: ReplayBody | None  # the request body; None: there is none
    attempt: Attempt | None  # attempt under way, until its response has ended

    @property
    def stream(self) -> UpstreamStream | None:
        """The stream of the attempt, once there is one."""
        return self.attempt.stream if self.attempt is not None else None

    @abstractmethod
    def on_machine_gone(self, endpoint: LiveEndpoint) -> None:
        """The machine of an endpoint was asked for a sign of life, and gave none."""

    @abstractmethod
    def on_attempts_over(self, failure: Failure, endpoint: LiveEndpoint) -> None:
        """The attempt on `endpoint` has failed, and no other attempt follows."""


# An attempt


def begin_attempt(request: AttemptedRequest, choice: Choice, endpoint: LiveEndpoint) -> None:
    record = request.record
    record.phase = ATTEMPT
    attempt = request.attempt = Attempt(choice, endpoint)
    history = record.history
    if history is not None:
        history.begun += 1
    stream = endpoint.pool.checkout() if history is None or not history.fresh else None
    if stream is None:
        Connecting(
            request.plane, record, attempt, partial(_on_stream, request), partial(attempt_failed, request)
        ).start()
    else:
        _send(request, attempt, stream)


def _on_stream(request: AttemptedRequest, stream: UpstreamStream) -> None:
    attempt, replay = request.attempt, request.replay
    if attempt is None:
        stream.give_back()
    elif replay is None or replay.kept_bytes < LARGE_BYTES:
        _send(request, attempt, stream)
    else:
        send = partial(_send_in_turn, request, attempt, stream)
        request.plane.backlog.do(send, attempt.endpoint, replay.kept_bytes)


def _send_in_turn(request: AttemptedRequest, attempt: Attempt, stream: UpstreamStream) -> None:
    """Send the request when its turn comes; the client, or the connection, may be gone by then."""
    if request.record.is_done:
        stream.give_back()
    elif stream.is_closing():
        attempt_failed(request, Failure.REFUSED)  # nothing was sent
    else:
        _send(request, attempt, stream)


def _send(request: AttemptedRequest, attempt: Attempt, stream: UpstreamStream) -> None:
    record, replay, now = request.record, request.replay, request.plane.wheel.now
    attempt.stream = stream
    if attempt.endpoint.notice_send:
        request.plane.upstream.stalls.on_send(attempt.endpoint)
    head = request_head(record)
    if replay is None or record.error_status:
        deadline = response_deadline(record, now)
        stream.send(request, head, deadline)
        return
    in_chunks, is_complete = record.headers.control.length == CHUNKED, record.has_whole_body
    deadline = response_deadline(record, now) if is_complete else now + UPLOAD_IDLE_S
    body = replay.for_attempt()
    stream.send(request, head, deadline, body, in_chunks=in_chunks, is_complete=is_complete)


def send_more(request: AttemptedRequest, payload: bytes) -> None:
    """Send a piece of the request body."""
    stream = request.stream
    if stream is not None:
        stream.deadline = request.plane.wheel.now + UPLOAD_IDLE_S
        stream.write(payload)


def send_last(request: AttemptedRequest, last: bytes, trailers: bytes) -> None:
    """Send the last piece of the request body, empty or not, and the field lines behind it."""
    stream = request.stream
    if stream is not None:
        stream.end(last, trailers)
        if request.record.phase == ATTEMPT:
            stream.deadline = response_deadline(request.record, request.plane.wheel.now)
            stream.since = request.plane.clock.now()


def commit(request: AttemptedRequest) -> None:
    """Rule out another attempt: the client has heard from this endpoint."""
    request.record.is_replayable = False
    if request.replay is not None:
        request.replay.forget()


def end_attempt(request: AttemptedRequest, attempt: Attempt) -> LiveEndpoint:
    request.attempt = None
    return attempt.end()


# After a failed attempt


def attempt_failed(request: AttemptedRequest, failure: Failure) -> None:
    """The attempt has failed before a response head: try again elsewhere, or end."""
    attempt = request.attempt
    if attempt is None:
        return
    _limit(request, attempt)
    endpoint = end_attempt(request, attempt)
    request.plane.upstream.outliers.failed(endpoint, failure)
    following = _next(request, attempt, failure)
    if following is None:
        request.on_attempts_over(failure, endpoint)
    else:
        _begin_later(request, attempt.choice, following)


def _limit(request: AttemptedRequest, attempt: Attempt) -> None:
    sent = attempt.stream.since if attempt.stream is not None else request.record.started
    limit_attempts(request.record, sent, request.plane.wheel.now)


def _next(request: AttemptedRequest, attempt: Attempt, failure: Failure) -> LiveEndpoint | None:
    """Decide about another attempt, and count the failed one with the decision."""
    endpoint = attempt.endpoint
    following = next_endpoint(request.record, attempt, failure, request.plane.clock.now())
    suppressed = request.record.failover().suppressed
    if following is None and suppressed is not None:
        request.plane.upstream.suppressed.record(endpoint.service, endpoint.cluster, suppressed.value)
    request.plane.upstream.count_attempt(
        endpoint, failure, following.cluster if following is not None else ""
    )
    return following


def _begin_later(request: AttemptedRequest, choice: Choice, endpoint: LiveEndpoint) -> None:
    """Begin an attempt that is not the first: after a pause, or in a turn that has time for it."""
    begin = partial(_begin_after_pause, request, choice, endpoint)
    pause_s = request.record.failover().pause_s
    if pause_s:
        request.plane.upstream.connector.later(pause_s, begin)
    else:
        kept_bytes = request.replay.kept_bytes if request.replay is not None else 0
        request.plane.backlog.do(begin, endpoint, kept_bytes)


def _begin_after_pause(request: AttemptedRequest, choice: Choice, endpoint: LiveEndpoint) -> None:
    """Begin the attempt after its pause; the client, or the endpoint, may be gone by then."""
    if request.record.is_done:
        return
    following = instead_of_retired(request.record, choice, endpoint)
    if following is None:
        request.on_attempts_over(Failure.REFUSED, endpoint)
    else:
        begin_attempt(request, choice, following)


# A response that is not relayed


def takes_back_response(request: AttemptedRequest, attempt: Attempt, status: int, *, is_whole: bool) -> bool:
    """Begin another attempt instead of relaying a response; False when it is to be relayed.

    `is_whole`: nothing of the response is still to come.
    """
    record = request.record
    if record.error_status:
        return False
    _limit(request, attempt)
    if status in RETRY_STATUSES:
        request.plane.upstream.outliers.failed(attempt.endpoint, Failure.STATUS)
    choice: Choice | None = attempt.choice
    following = None
    if status in record.plan.retry.statuses:
        following = _next(request, attempt, Failure.STATUS)
    if following is None and status in record.plan.error_statuses:
        choice, following = _error_page(request, status)
    if following is None or choice is None:
        return False
    stream = attempt.stream
    if stream is not None:
        if is_whole and record.has_whole_body:
            stream.release()
        else:
            stream.abort()
    end_attempt(request, attempt)
    _begin_later(request, choice, following)
    return True


def _error_page(request: AttemptedRequest, status: int) -> tuple[Choice | None, LiveEndpoint | None]:
    """Return the endpoint that has the error page, and its choice; none while a body is still coming."""
    record = request.record
    backends = record.plan.error_backends
    choice = backends.pick() if backends is not None and record.has_whole_body else None
    following = choice.first() if choice is not None else None
    if following is not None:
        record.choice = choice
        record.first_cluster = following.cluster
        record.error_status = status
        commit(request)
        record.is_replayable = True  # the request for the page has no body
        record.deadline = 0.0  # the request for the page has a deadline of its own
    return choice, following


# An endpoint that does not answer


def leave_stalled(request: AttemptedRequest) -> bool:
    """Try another endpoint instead of one that has stalled; False to go on waiting for it."""
    attempt, stream = request.attempt, request.stream
    if attempt is None or stream is None:
        return False
    following = instead_of_stalled(request.record, attempt, stream.since, request.plane.wheel.now)
    if following is None:
        return False
    _limit(request, attempt)
    request.plane.upstream.count_attempt(attempt.endpoint, Failure.STALLED, following.cluster)
    stream.leave_to(AbandonedResponse(stream, is_head=request.is_head))
    end_attempt(request, attempt)
    begin_attempt(request, attempt.choice, following)
    return True


def on_silence(request: AttemptedRequest, seconds: float) -> None:
    """Act on the silence of an endpoint's machine, which has acknowledged nothing for `seconds`."""
    attempt, stream = request.attempt, request.stream
    if attempt is None or stream is None:
        return
    if seconds >= (CERTAIN_S if _may_move(request, attempt) else GIVE_UP_S):
        stream.abort()
        attempt_failed(request, Failure.UNACKNOWLEDGED)
    else:
        request.plane.upstream.prober.suspect(attempt.endpoint, request)


def on_machine_gone(request: AttemptedRequest, endpoint: LiveEndpoint) -> None:
    """Leave an endpoint whose machine was asked for a sign of life, and gave none."""
    attempt, stream = request.attempt, request.stream
    if attempt is None or stream is None or attempt.endpoint is not endpoint or not stream.is_waiting():
        return  # the request has moved on, or its response came after all
    if _may_move(request, attempt):
        stream.abort()
        attempt_failed(request, Failure.UNACKNOWLEDGED)
    elif endpoint.state is State.HEALTHY:
        request.plane.upstream.outliers.failed(endpoint, Failure.UNACKNOWLEDGED)


def _may_move(request: AttemptedRequest, attempt: Attempt) -> bool:
    return may_move(request.record, attempt, request.plane.wheel.now)
