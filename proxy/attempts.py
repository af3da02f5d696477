"""What follows where an attempt fails, or comes to nothing: another one, or our own answer.

    sending ▸ (a response head: `exchange` goes on) | failed ▸ sending … | our own answer

Every failure before a response head comes through `_attempt_failed`, which asks the retry table.
"""

from abc import abstractmethod
from functools import partial
from time import monotonic

from proxy.http.forwarded import ATTEMPT_NAME
from proxy.sending import Sending
from proxy.upstream.connections.abandoned import AbandonedResponse
from proxy.upstream.connections.unacknowledged import CERTAIN_S, GIVE_UP_S
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.kinds import Kind
from proxy.upstream.retries.failover import Failover, may_move
from proxy.upstream.retries.rules import ANSWERS, REPLAY_BYTES, RETRY_STATUSES, Suppressed
from proxy.upstream.suspects import is_suspect


class Attempts(Sending):
    """The way of a request to the endpoint that answers it."""

    __slots__ = ()

    @abstractmethod
    def _answer(self, status: int, flag: str, detail: str, endpoint: LiveEndpoint | None = None) -> None:
        """End the request with a response of our own; `endpoint` is the last that was tried."""

    # Retry

    def _attempt_failed(self, failure: Failure) -> None:
        self._limit_attempts()
        endpoint = self._end_attempt()
        self._eject_if_due(endpoint, failure)
        following = self._next_attempt(endpoint, failure)
        if following is None:
            self._answer(*ANSWERS[failure], endpoint)
        else:
            self._attempt_again(following)

    def _attempt_again(self, endpoint: LiveEndpoint) -> None:
        """Begin an attempt that is not the first, after a pause if there is to be one."""
        pause_s = self._failover().pause_s
        if pause_s:
            self.plane.connector.later(pause_s, partial(self._resume, endpoint))
        else:
            self.plane.backlog.do(partial(self._resume, endpoint), endpoint, self.kept_bytes)

    def _resume(self, endpoint: LiveEndpoint) -> None:
        """The pause is over, or its turn has come: meanwhile the client may have gone, or the endpoint."""
        choice = self.choice
        if self.is_done or choice is None:
            return
        following: LiveEndpoint | None = endpoint
        if endpoint.state is State.RETIRED:  # its address may be another pod's by now
            following = self._failover().instead(choice)
        if following is None:
            self._answer(*ANSWERS[Failure.REFUSED], endpoint)
        else:
            self._attempt(following)

    def _trusted(self, endpoint: LiveEndpoint) -> LiveEndpoint:
        """Return the endpoint, or another one in its place where this one may cost the request.

        Of those that may be repeated one at a time finds out whether an endpoint is well again, and none
        leaves the cluster because an endpoint is quiet.
        """
        choice = self.choice
        now = monotonic()
        is_on_trial = bool(endpoint.ejections and endpoint.in_flight)
        if choice is None:
            return endpoint
        if self._is_repeatable() and not is_on_trial:
            return choice.beside_quiet(endpoint) if endpoint.is_quiet else endpoint
        if not is_suspect(endpoint, now):
            return endpoint
        other = choice.instead(endpoint, now)
        failover = self.failover
        if other is None or (failover is not None and (other in failover.tried or failover.within())):
            return endpoint
        return other

    def _next_attempt(self, endpoint: LiveEndpoint, failure: Failure) -> LiveEndpoint | None:
        """Return the endpoint to try next, None when the request ends here; count it either way."""
        choice = self.choice
        assert choice is not None
        failover = self._failover()
        now = monotonic()  # the coarse clock is late, and would let begin what cannot end in time
        following = failover.next(choice, endpoint, failure, repeatable=self._is_repeatable(), now=now)
        if following is not None and self.deadline:
            answered = now + failover.pause_s + following.limits.times.hedge_s
            if answered > self.deadline:
                following = None  # not even a connect would be answered in time
                failover.suppressed = Suppressed.DEADLINE
        if following is not None and self.body is None:
            following = None  # part of the body is gone: it cannot be sent again
            failover.suppressed = Suppressed.BODY if self.body_bytes > REPLAY_BYTES else Suppressed.MEMORY
        if following is None:
            self._suppress(endpoint, failover)
        else:
            following = self._trusted(following)
        self._count(endpoint, failure, following.cluster if following else "")
        return following

    def _suppress(self, endpoint: LiveEndpoint, failover: Failover) -> None:
        """Count why there is no further attempt."""
        if failover.suppressed is Suppressed.METHOD:
            if self._asks_for_tunnel():
                failover.suppressed = Suppressed.UPGRADE
            elif self.headers.values(ATTEMPT_NAME):
                failover.suppressed = Suppressed.GATEWAY
        if failover.suppressed is not None:
            self.plane.suppressed.record(endpoint.service, endpoint.cluster, failover.suppressed.value)

    def _is_repeatable(self) -> bool:
        """Whether it may go to another endpoint when one may have acted on it."""
        if self._asks_for_tunnel() or self.headers.values(ATTEMPT_NAME):
            return False  # what a gateway in front of this one repeats would be multiplied here
        return self.line.resource.is_idempotent or self.plan.retry.non_idempotent

    def _limit_attempts(self) -> None:
        """An attempt has failed: those that follow have what it has left of the time for all of them."""
        if not self.deadline and self.body_complete:
            connection = self.connection
            since = connection.since if connection is not None else self.started
            self.deadline = self._whole_deadline() - (self.plane.wheel.now - since)

    # An endpoint that is silent

    def on_silence(self, seconds: float) -> None:
        endpoint, connection = self.endpoint, self.connection
        if endpoint is None or connection is None:
            return
        if seconds >= (CERTAIN_S if self._may_move() else GIVE_UP_S):
            connection.abort()
            self._attempt_failed(Failure.UNACKNOWLEDGED)
        else:
            self.plane.prober.suspect(endpoint, self)

    def on_machine_gone(self, endpoint: LiveEndpoint) -> None:
        connection = self.connection
        if connection is None or self.endpoint is not endpoint or not connection.is_waiting():
            return  # it has moved on, or its answer came after all
        if self._may_move():
            connection.abort()
            self._attempt_failed(Failure.UNACKNOWLEDGED)
        elif endpoint.state is State.HEALTHY:
            self._eject_if_due(endpoint, Failure.UNACKNOWLEDGED)

    def _may_move(self) -> bool:
        """Whether the request can be sent again, and there is somebody else to send it to."""
        endpoint, choice = self.endpoint, self.choice
        assert endpoint is not None
        assert choice is not None
        failover = self.failover
        seen = failover.seen + 1 if failover is not None else 1
        tried = [*failover.tried, endpoint] if failover is not None else [endpoint]
        if self.body is None or not self.plan.retry.may_retry(
            Failure.UNACKNOWLEDGED, repeatable=self._is_repeatable(), attempts=seen
        ):
            return False
        within = failover.within(endpoint.cluster) if failover is not None else ()
        other = choice.beside(tried, within=within)
        if other is None:
            return False
        return may_move(choice, other, self.plane.wheel.now)

    # Stall

    def awaits(self) -> Kind | None:
        if not self.body_complete or self.fallback_code:
            return None
        resource = self.line.resource
        return self.plan.kinds.of(resource.method, resource.path)

    def on_stalled(self) -> bool:
        connection, endpoint, choice = self.connection, self.endpoint, self.choice
        if connection is None or endpoint is None or choice is None:
            return False
        if not self.body_complete or self.body is None or self.fallback_code:
            return False
        failover, repeatable = self._failover(), self._is_repeatable()
        following = failover.leave(
            choice, endpoint, repeatable=repeatable, since=connection.since, now=self.plane.wheel.now
        )
        if following is None:
            return False
        self._limit_attempts()
        self._count(endpoint, Failure.STALLED, following.cluster)
        connection.exchange = AbandonedResponse(connection, is_head=self.is_head)
        self._end_attempt()
        self._attempt(following)
        return True

    # An answer that is not relayed

    def _take_back(self, status: int, *, complete: bool) -> bool:
        """Do something else than relay this answer of the endpoint; False when it must be relayed."""
        if self.fallback_code:
            return False
        endpoint = self.endpoint
        assert endpoint is not None
        self._limit_attempts()
        if status in RETRY_STATUSES:
            self._eject_if_due(endpoint, Failure.STATUS)
        following = (
            self._next_attempt(endpoint, Failure.STATUS) if status in self.plan.retry.statuses else None
        )
        if following is None and status in self.plan.error_statuses:
            following = self._error_page(status)
        if following is None:
            return False
        self._attempt_after(following, complete=complete)
        return True

    def _error_page(self, status: int) -> LiveEndpoint | None:
        """Return the endpoint that knows what to say instead. While a body is still coming, nobody does."""
        backends = self.plan.error_backends
        choice = backends.pick() if backends is not None and self.body_complete else None
        following = choice.first() if choice is not None else None
        if following is not None:
            self.choice = choice
            self.first_cluster = following.cluster
            self.fallback_code = status
            self.forget_body()
            self.body = []
            self.deadline = 0.0  # another request, with a time of its own
        return following

    def _attempt_after(self, following: LiveEndpoint, *, complete: bool) -> None:
        """Let go of an answer and try again; `complete`: nothing of it is still to come."""
        connection = self.connection
        assert connection is not None
        if complete and self.body_complete:
            connection.release()
        else:
            connection.abort()
        self._end_attempt()
        self._attempt_again(following)
