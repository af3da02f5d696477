"""How an attempt gets a connection where none is idle: opened, hedged, or waited for."""

from collections.abc import Callable

from proxy.dataplane import DataPlane
from proxy.request.attempt import Attempt
from proxy.request.record import RequestRecord
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.pending import Hedging
from proxy.upstream.endpoint import LiveEndpoint, endpoint_of
from proxy.upstream.evidence.failure import Failure


class Connecting:
    """The connects of one attempt, as the connector sees them: a `Requester` with `Hedging`."""

    __slots__ = ("_attempt", "_on_failed", "_on_stream", "_plane", "_record")

    def __init__(
        self, plane: DataPlane, record: RequestRecord, attempt: Attempt,
        on_stream: Callable[[UpstreamStream], None], on_failed: Callable[[Failure], None],
    ) -> None:  # fmt: skip
        """`on_stream` or `on_failed`, one of them, is called, unless the request ends before."""
        self._plane = plane
        self._record = record
        self._attempt = attempt
        self._on_stream = on_stream
        self._on_failed = on_failed

    def start(self) -> None:
        self._plane.upstream.connector.obtain(self._attempt.endpoint, self)

    @property
    def is_done(self) -> bool:
        return self._record.is_done

    def on_connected(self, stream: UpstreamStream) -> None:
        if self._record.is_done:
            stream.give_back()
            return
        self._attempt.move_to(endpoint_of(stream))
        self._on_stream(stream)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        if self._record.is_done:
            self._plane.upstream.outliers.failed(endpoint, failure)
        else:
            self._attempt.move_to(endpoint)
            self._on_failed(failure)

    # Hedged connects

    @property
    def hedging(self) -> Hedging | None:
        return self

    def beside(self, tried: list[LiveEndpoint]) -> LiveEndpoint | None:
        history = self._record.history
        if history is not None:
            tried = [*history.tried, *tried]
        if len(tried) >= self._record.plan.retry.connects:
            return None
        return self._attempt.choice.beside(tried, within=history.within() if history is not None else ())

    def on_hedged(self, waiting: list[LiveEndpoint], tried: list[LiveEndpoint], winner: LiveEndpoint) -> None:
        winner.requests += 1
        place = tried.index(winner)
        for endpoint in waiting:
            if tried.index(endpoint) < place:
                self._record.failover().lost(endpoint, Failure.HEDGED)
                self._plane.upstream.count_attempt(endpoint, Failure.HEDGED, winner.cluster)
                self._plane.upstream.outliers.outrun(endpoint)
            else:
                self._plane.upstream.count_attempt(endpoint, Failure.HEDGED, "")  # begun in vain

    def on_connect_lost(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self._plane.upstream.outliers.failed(endpoint, failure)
        if not self._record.is_done and self._attempt.stream is None:
            self._record.failover().lost(endpoint, failure)
            self._plane.upstream.count_attempt(endpoint, failure, "")
