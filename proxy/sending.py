"""One attempt of a request: an endpoint, a connection to it, the request sent. What follows: `attempts`."""

from abc import abstractmethod
from functools import partial
from time import monotonic
from typing import Final

from proxy.http.forwarded import numbered
from proxy.http.replies import CONTINUE
from proxy.policed import PolicedRequest
from proxy.upstream.connections.connection import UpstreamConnection
from proxy.upstream.endpoint import LiveEndpoint, endpoint_of
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.retries.failover import Failover
from proxy.upstream.retries.rules import REPLAY_BYTES

UPLOAD_IDLE_S: Final = 300.0
_LARGE_BYTES: Final = 32768  # of a body that was kept: to send it takes as long as to serve some requests


class Sending(PolicedRequest):
    """The way of a request to an endpoint."""

    __slots__ = ()

    @abstractmethod
    def _attempt_failed(self, failure: Failure) -> None:
        """The attempt ended before a response head: try again elsewhere, or answer."""

    # Connect

    def _attempt(self, endpoint: LiveEndpoint) -> None:
        self.endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.requests += 1
        failover = self.failover
        if failover is not None:
            failover.begun += 1
        connection = endpoint.checkout() if failover is None or not failover.fresh else None
        if connection is None:
            self.plane.connector.obtain(endpoint, self)
        else:
            self._send(connection)

    def on_connected(self, connection: UpstreamConnection) -> None:
        if self.is_done:
            connection.endpoint.release(connection)
            return
        self._move_to(endpoint_of(connection))
        if self.kept_bytes < _LARGE_BYTES:
            self._send(connection)
        else:
            self.plane.backlog.do(
                partial(self._send_in_turn, connection), connection.endpoint, self.kept_bytes
            )

    def _send_in_turn(self, connection: UpstreamConnection) -> None:
        """Meanwhile the client may have gone, or the connection."""
        if self.is_done:
            connection.endpoint.release(connection)
        elif connection.transport.is_closing():
            self._attempt_failed(Failure.REFUSED)  # nothing was sent
        else:
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
        return choice.beside(tried, within=failover.within() if failover is not None else ())

    def on_hedged(self, waiting: list[LiveEndpoint], tried: list[LiveEndpoint], winner: LiveEndpoint) -> None:
        winner.requests += 1
        place = tried.index(winner)
        for endpoint in waiting:
            if tried.index(endpoint) < place:
                self._failover().lost(endpoint, Failure.HEDGED)
                self._count(endpoint, Failure.HEDGED, winner.cluster)
                self.plane.outliers.outrun(endpoint)
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
        endpoint = self.endpoint
        if endpoint is not None and endpoint.notice_send:
            self.plane.stalls.on_send(endpoint)
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

    def on_upstream_writable(self, writable: bool) -> None:
        self.client.read_body(writable)

    def _response_deadline(self) -> float:
        """Return until when the response to an attempt that is sent now must have begun."""
        deadline = self.client.response_deadline() if self.asked is None else self._changed_deadline()
        return min(deadline, self.deadline) if self.deadline else deadline

    def _asks_for_tunnel(self) -> bool:
        return (
            self.headers.control.upgrade and self.line.resource.method == b"GET" and self.client.version == 1
        )

    def _end_attempt(self) -> LiveEndpoint:
        endpoint = self.endpoint
        assert endpoint is not None
        endpoint.in_flight -= 1
        self.endpoint = None
        self.connection = None
        return endpoint

    def _eject_if_due(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self.plane.outliers.failed(endpoint, failure)

    def _failover(self) -> Failover:
        failover = self.failover
        if failover is None:
            failover = self.failover = Failover(self.plan.retry)
        return failover

    def _count(self, endpoint: LiveEndpoint, failure: Failure, to_cluster: str) -> None:
        self.plane.attempts.record(endpoint.service, endpoint.cluster, to_cluster, failure.value)
