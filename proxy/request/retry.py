"""The decision after a failed attempt: another endpoint, or none, with the cause.

Pure, but for the retry budget that an attempt is taken from. `exchange` acts on the decisions.
"""

from proxy.http.forwarded import ATTEMPT_NAME
from proxy.request.attempt import Attempt
from proxy.request.record import RequestRecord
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.retries.failover import Failover
from proxy.upstream.retries.failover import may_move as may_move_to
from proxy.upstream.retries.rules import REPLAY_BYTES, Suppressed
from proxy.upstream.suspects import is_suspect


def is_repeatable(record: RequestRecord) -> bool:
    """Whether the request may go to another endpoint when one may have acted on it."""
    if record.asks_for_tunnel or record.headers.values(ATTEMPT_NAME):
        return False  # repetitions of a gateway in front of this one would be multiplied here
    return record.line.resource.is_idempotent or record.plan.retry.non_idempotent


def next_endpoint(
    record: RequestRecord, attempt: Attempt, failure: Failure, now: float
) -> LiveEndpoint | None:
    """Return the endpoint for another attempt after a failed attempt, None for no other attempt.

    The request's history gets the failed attempt, and the pause before the next attempt, or the cause why no
    attempt follows. `now` is exact (monotonic): by the coarse clock attempts would begin that cannot end in
    time.
    """
    history = record.failover()
    endpoint = attempt.endpoint
    following = history.next(attempt.choice, endpoint, failure, repeatable=is_repeatable(record), now=now)
    if following is not None and record.deadline:
        answered = now + history.pause_s + following.limits.times.hedge_s
        if answered > record.deadline:
            following = None  # not even a connect would be answered in time
            history.suppressed = Suppressed.DEADLINE
    if following is not None and not record.is_replayable:
        following = None  # part of the body is gone: it cannot be sent again
        history.suppressed = Suppressed.BODY if record.body_bytes > REPLAY_BYTES else Suppressed.MEMORY
    if following is None:
        _refine(record, history)
        return None
    return trusted(record, attempt.choice, following, now)


def _refine(record: RequestRecord, history: Failover) -> None:
    """Say more exactly why the method may not be repeated."""
    if history.suppressed is Suppressed.METHOD:
        if record.asks_for_tunnel:
            history.suppressed = Suppressed.UPGRADE
        elif record.headers.values(ATTEMPT_NAME):
            history.suppressed = Suppressed.GATEWAY


def trusted(record: RequestRecord, choice: Choice, endpoint: LiveEndpoint, now: float) -> LiveEndpoint:
    """Return the endpoint, or another endpoint in its place where the first may cost the request.

    One repeatable request at a time tests whether an ejected endpoint is healthy again, and no repeatable
    request leaves the cluster because an endpoint is quiet.
    """
    is_on_trial = bool(endpoint.ejections and endpoint.in_flight)
    if is_repeatable(record) and not is_on_trial:
        return choice.beside_quiet(endpoint) if endpoint.is_quiet else endpoint
    if not is_suspect(endpoint, now):
        return endpoint
    other = choice.instead(endpoint, now)
    history = record.history
    if other is None or (history is not None and (other in history.tried or history.within())):
        return endpoint
    return other


def instead_of_retired(record: RequestRecord, choice: Choice, endpoint: LiveEndpoint) -> LiveEndpoint | None:
    """Return the endpoint of an attempt that waited for its turn, or another one if it has left meanwhile.

    The address of an endpoint that has left its service may be another pod's by now.
    """
    return record.failover().instead(choice) if endpoint.state is State.RETIRED else endpoint


def may_move(record: RequestRecord, attempt: Attempt, now: float) -> bool:
    """Whether the request can be sent again, and there is another endpoint to send it to."""
    endpoint, history = attempt.endpoint, record.history
    seen = history.seen + 1 if history is not None else 1
    tried = [*history.tried, endpoint] if history is not None else [endpoint]
    if not record.is_replayable or not record.plan.retry.may_retry(
        Failure.UNACKNOWLEDGED, repeatable=is_repeatable(record), attempts=seen
    ):
        return False
    within = history.within(endpoint.cluster) if history is not None else ()
    other = attempt.choice.beside(tried, within=within)
    return other is not None and may_move_to(attempt.choice, other, now)


def instead_of_stalled(
    record: RequestRecord, attempt: Attempt, sent: float, now: float
) -> LiveEndpoint | None:
    """Return where to send a request again that waits, since `sent`, at an endpoint that has stalled.

    None: the request goes on waiting there.
    """
    if not record.has_whole_body or not record.is_replayable or record.error_status:
        return None
    return record.failover().leave(
        attempt.choice, attempt.endpoint, repeatable=is_repeatable(record), since=sent, now=now
    )
