"""The attempts of a request: an endpoint, a connection to it, the request sent; and what follows a failure.

    attempt ▸ connected ▸ sent ▸ (a response head: `exchange` goes on) | failed ▸ attempt … | our own answer

Every failure before a response head comes through `_attempt_failed`, which asks the retry table.
"""

from abc import abstractmethod
from time import monotonic
from typing import Final

from proxy.http.forwarded import ATTEMPT_NAME, numbered
from proxy.http.replies import CONTINUE
from proxy.policed import PolicedRequest
from proxy.upstream.autopsy import Autopsy
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.failover import Failover
from proxy.upstream.latencies import Latencies
from proxy.upstream.retry import ANSWERS, REPLAY_BYTES, RETRY_STATUSES, Failure
from proxy.upstream.silence import CERTAIN_S, GIVE_UP_S
from proxy.upstream.witness import Witness

UPLOAD_IDLE_S: Final = 300.0


class Attempts(PolicedRequest):
    """The way of a request to the endpoint that answers it."""

    __slots__ = ()

    @abstractmethod
    def _answer(self, status: int, flag: str, detail: str, endpoint: LiveEndpoint | None = None) -> None:
        """End the request with a response of our own; `endpoint` is the last that was tried."""

    # Connect

    def _attempt(self, endpoint: LiveEndpoint) -> None:
        self.endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.requests += 1
        failover = self.failover
        connection = endpoint.checkout() if failover is None or not failover.fresh else None
        if connection is None:
            self.plane.connector.obtain(endpoint, self)
        else:
            self._send(connection)

    def on_connected(self, connection: UpstreamConnection) -> None:
        if self.is_done:
            connection.endpoint.release(connection)
            return
        self._move_to(connection.endpoint)
        self._send(connection)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        if self.is_done:
            self._eject_if_due(endpoint, failure)
        else:
            self._move_to(endpoint)
            self._attempt_failed(failure)

    def _move_to(self, endpoint: LiveEndpoint) -> None:
        """Not the endpoint that was chosen: where there was no room, or no answer, another one had some."""
        chosen = self.endpoint
        if chosen is not None and chosen is not endpoint:
            chosen.in_flight -= 1
            endpoint.in_flight += 1
            self.endpoint = endpoint

    # Hedged connects

    def beside(self, tried: list[LiveEndpoint]) -> LiveEndpoint | None:
        failover = self.failover
        if failover is not None:
            tried = [*failover.tried, *tried]
        choice = self.choice
        if choice is None or len(tried) >= self.plan.retry.connects:
            return None
        return choice.beside(tried)

    def on_hedged(self, waiting: list[LiveEndpoint], tried: list[LiveEndpoint], winner: LiveEndpoint) -> None:
        winner.requests += 1
        place = tried.index(winner)
        for endpoint in waiting:
            if tried.index(endpoint) < place:
                self._failover().lost(endpoint, Failure.HEDGED)
                self._count(endpoint, Failure.HEDGED, winner.cluster)
            else:
                self._count(endpoint, Failure.HEDGED, "")  # begun in vain

    def on_connect_lost(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self._eject_if_due(endpoint, failure)
        if not self.is_done and self.connection is None:
            self._failover().lost(endpoint, failure)
            self._count(endpoint, failure, "")

    # Send

    def _send(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        if not connection.endpoint.is_watched:
            self.plane.stalls.watch(connection.endpoint)
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n" if self._asks_for_tunnel() else b""
        if self.asked is None:
            head = b"%b%b%b%bX-Request-Id: %b\r\n\r\n" % (
                self.line.forward,
                self.headers.forward,
                upgrade,
                self.client.forwarded,
                self.request_id,
            )
        else:
            head = self._changed_head(upgrade)
        failover = self.failover
        if failover is not None:
            head = numbered(head, failover.attempts + 1)
        if self.body:
            head += b"".join(self.body)
            if self.plane.replay.is_full():
                self.forget_body()
        if self.body_complete:
            deadline = self._response_deadline()
        else:
            deadline = self.plane.wheel.now + UPLOAD_IDLE_S
            self.client.read_body(True)  # before sending: that may stop it again
        connection.send(self, head, deadline)
        if self.expect:
            self.expect = False
            if not self.body_bytes:  # the endpoint is there: let the client send its body
                self.client.write(CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the request body, framed as it goes to the endpoint."""
        self.body_bytes += len(piece)
        connection = self.connection
        if self.body is not None:
            self.body.append(piece)
            self.kept_bytes += len(piece)
            self.plane.replay.take(len(piece))
            if self.body_bytes > REPLAY_BYTES or self.plane.replay.is_full():
                if connection is None:
                    self.client.read_body(False)
                else:
                    self.forget_body()
        if connection is not None:
            connection.deadline = self.plane.wheel.now + UPLOAD_IDLE_S
            connection.write(piece)

    def on_body_end(self) -> None:
        self.body_complete = True
        if self.connection is not None and not self.status:
            self.connection.deadline = self._response_deadline()
            self.connection.since = monotonic()
        if self.mirroring is not None:
            self._mirror()

    # An endpoint that is silent

    def on_silence(self, seconds: float) -> None:
        endpoint, connection = self.endpoint, self.connection
        if endpoint is None or connection is None:
            return
        if seconds >= (CERTAIN_S if self._may_move() else GIVE_UP_S):
            connection.abort()
            self._attempt_failed(Failure.SILENT)
        else:
            self.plane.connector.suspect(endpoint, self)

    def on_machine_gone(self, endpoint: LiveEndpoint) -> None:
        connection = self.connection
        if connection is None or self.endpoint is not endpoint or not connection.is_waiting():
            return  # it has moved on, or its answer came after all
        if self._may_move():
            connection.abort()
            self._attempt_failed(Failure.SILENT)
        elif endpoint.state is State.HEALTHY:
            self._eject_if_due(endpoint, Failure.SILENT)

    def _may_move(self) -> bool:
        """Whether the request can be sent again, and there is somebody else to send it to."""
        endpoint, choice = self.endpoint, self.choice
        assert endpoint is not None
        assert choice is not None
        failover = self.failover
        seen = failover.seen + 1 if failover is not None else 1
        tried = [*failover.tried, endpoint] if failover is not None else [endpoint]
        if self.body is None or not self.plan.retry.may_retry(
            Failure.SILENT, repeatable=self._is_repeatable(), attempts=seen
        ):
            return False
        other = choice.beside(tried)
        return other is not None and other.room.retries.has_left(other.group.all(), self.plane.wheel.now)

    def on_upstream_writable(self, writable: bool) -> None:
        self.client.read_body(writable)

    def _response_deadline(self) -> float:
        """Return until when the response to an attempt that is sent now must have begun."""
        deadline = self.client.response_deadline() if self.asked is None else self._changed_deadline()
        return min(deadline, self.deadline) if self.deadline else deadline

    def _limit_attempts(self) -> None:
        """An attempt has failed: those that follow have what it has left of the time for all of them."""
        if not self.deadline and self.body_complete:
            connection = self.connection
            since = connection.since if connection is not None else self.started
            self.deadline = self._whole_deadline() - (self.plane.wheel.now - since)

    def _asks_for_tunnel(self) -> bool:
        return (
            self.headers.control.upgrade and self.line.resource.method == b"GET" and self.client.version == 1
        )

    # Retry

    def _attempt_failed(self, failure: Failure) -> None:
        self._limit_attempts()
        endpoint = self._end_attempt()
        self._eject_if_due(endpoint, failure)
        if failure is Failure.ABORTED and not self.line.resource.is_idempotent and self.body is not None:
            self.suspect = endpoint
            Autopsy(self.plane.connector, endpoint, self._on_verdict).start()
        else:
            self._go_on(endpoint, failure)

    def _on_verdict(self, failure: Failure) -> None:
        suspect, self.suspect = self.suspect, None
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
        choice = self.choice
        assert choice is not None
        failover = self._failover()
        now = self.plane.wheel.now
        following = failover.next(choice, endpoint, failure, repeatable=self._is_repeatable(), now=now)
        if following is not None and self.deadline and now + following.room.times.hedge_s > self.deadline:
            following = None  # not even a connect would be answered in time
        if self.body is None:
            following = None  # part of the body is gone: it cannot be sent again
        self._count(endpoint, failure, following.cluster if following else "")
        return following

    def _is_repeatable(self) -> bool:
        """Whether it may go to another endpoint when one may have acted on it."""
        if self._asks_for_tunnel() or self.headers.values(ATTEMPT_NAME):
            return False  # what a gateway in front of this one repeats would be multiplied here
        return self.line.resource.is_idempotent or self.plan.retry.non_idempotent

    def _failover(self) -> Failover:
        failover = self.failover
        if failover is None:
            failover = self.failover = Failover(self.plan.retry)
        return failover

    def _count(self, endpoint: LiveEndpoint, failure: Failure, to_cluster: str) -> None:
        self.plane.attempts.record(endpoint.service, endpoint.cluster, to_cluster, failure.value)

    # Stall

    def awaits(self) -> Latencies | None:
        return self.plan.answers if self.body_complete and not self.fallback_code else None

    def on_stalled(self) -> bool:
        connection, endpoint, choice = self.connection, self.endpoint, self.choice
        if connection is None or endpoint is None or choice is None:
            return False
        if not self.body_complete or self.body is None or self.fallback_code:
            return False
        failover, repeatable = self._failover(), self._is_repeatable()
        following = failover.leave(choice, endpoint, repeatable=repeatable, since=connection.since)
        if following is None:
            return False
        self._limit_attempts()
        self._count(endpoint, Failure.STALLED, following.cluster)
        connection.exchange = Witness(connection, is_head=self.is_head)
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
        self._attempt(following)

    def _eject_if_due(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        ejected_s = endpoint.failed(failure)
        if ejected_s:
            self.plane.connector.probe_after(endpoint, ejected_s)

    def _end_attempt(self) -> LiveEndpoint:
        endpoint = self.endpoint
        assert endpoint is not None
        endpoint.in_flight -= 1
        self.endpoint = None
        self.connection = None
        return endpoint
