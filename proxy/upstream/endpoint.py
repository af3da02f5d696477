"""The live state of one endpoint: its breaker, its idle connections, its share of the work.

Methods that take in an event change the endpoint alone, and return whether its cluster has to take note.
`LiveCluster` has a method of the same name for each of them, which applies the returned value.
"""

from enum import StrEnum
from math import inf
from typing import Final

import msgspec

from proxy.model.channel import Ejection
from proxy.model.snapshot import Endpoint
from proxy.model.statistics import EndpointStats
from proxy.upstream.algorithms.hashing import opaque_id, seed_of
from proxy.upstream.cluster_state import ClusterState
from proxy.upstream.connections.h1.pool import Http1Pool
from proxy.upstream.connections.stream import StreamEndpoint, UpstreamStream
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.failure_rate import FailureRate
from proxy.upstream.evidence.histories import key_of
from proxy.upstream.evidence.observed import Observed
from proxy.upstream.evidence.unanswered import Unanswered

FAILURES_TO_EJECT: Final = 5  # Envoy's consecutive-5xx default
ABORTS_TO_EJECT: Final = 3  # a reset says nothing at all, and the probe half a second later costs no request
OUTRUN_TO_EJECT: Final = 3  # connects in a row that were not answered when later ones, elsewhere, were
FIRST_EJECTION_S: Final = 0.5
LONGEST_EJECTION_S: Final = 30.0
FORGIVEN: Final = 2.0  # times the last ejection without another one: then the next one is short again

LONG_AGO: Final = -inf

_OPENS_AT_ONCE: Final = frozenset(
    (
        Failure.REFUSED,
        Failure.UNREACHABLE,
        Failure.CONNECT_TIMEOUT,
        Failure.TLS_HANDSHAKE,
        Failure.TLS_CERTIFICATE,
        Failure.UNACKNOWLEDGED,
    )
)
_NO_EVIDENCE: Final = frozenset(
    (Failure.OVERFLOW, Failure.HEDGED, Failure.LOCAL, Failure.STALE, Failure.UNSEEN)
)


class State(StrEnum):
    HEALTHY = "healthy"
    EJECTED = "ejected"  # the breaker is open
    STALLED = "stalled"  # the breaker is open because no answer came: one answer closes it
    RETIRED = "retired"  # gone from the snapshot; only finishes its requests


class LiveEndpoint(StreamEndpoint):
    """One endpoint of one service in one cluster, from its first to its last appearance."""

    __slots__ = (
        "_back_at", "_ejected_s", "_in_a_row", "_observed", "_outrun", "_part", "_seed", "_session_epoch",
        "_session_name", "_since", "_unanswered", "address", "beside_probe", "cluster", "draining",
        "ejections", "failing", "failure_rate", "failures", "fell_silent", "home", "in_flight", "is_pod",
        "is_quiet", "is_watched", "last_failure", "limits", "log", "must_answer", "notice_send", "pool",
        "port", "requests", "service", "stalled_at", "state", "suspected", "weight",
    )  # fmt: skip

    def __init__(self, home: ClusterState, endpoint: Endpoint, since: float = LONG_AGO) -> None:
        # For its whole life
        self.home = home
        self.limits = home.limits
        self.pool = Http1Pool(home.limits)
        self.service = home.service
        self.cluster = home.cluster
        self.address = endpoint.address
        self.port = endpoint.port
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        self.label = f"{host}:{endpoint.port}"
        self.is_pod = home.are_pods  # else an address may stand for many pods, and is never taken for stopped
        self.log = b'"service":%b,"cluster":%b,"endpoint":%b' % tuple(
            msgspec.json.encode(name) for name in (self.service, self.cluster, self.label)
        )
        self._seed = -1
        self._session_name = b""
        self._session_epoch = 0  # epoch of the key that made the session name
        self._since = since  # when the endpoint appeared, monotonic
        self._part = 0.0  # part of one request, saved up during the slow start
        # Changed by the control plane
        self.draining = endpoint.draining
        self.pool.is_open = not endpoint.draining
        self.weight = endpoint.weight
        self.failing = endpoint.failing
        # Changed by traffic
        self.state = State.HEALTHY
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.last_failure = ""
        self._observed: Observed | None = None
        self.beside_probe = 0  # answers that are noted still, because a liveness probe is or was under way
        self.is_quiet = False  # nothing has come for longer than the waiting requests explain
        self.heard = LONG_AGO
        self.fell_silent = LONG_AGO  # when silence was found to be longer than usual; see `suspects`
        self.suspected = LONG_AGO  # when the last sign of a fault came; inf: half-open; see `suspects`
        self.failure_rate = FailureRate()
        self.stalled_at = LONG_AGO
        self.is_watched = False
        self.notice_send = True  # the watch over stalls wants to know of the next request
        self.must_answer = False  # the program accepts without answering: a connection does not re-admit it
        self._in_a_row = 0
        self._outrun = 0
        self._unanswered = Unanswered()
        self._ejected_s = 0.0  # length of the last ejection
        self._back_at = LONG_AGO  # when the last ejection ended
        self.ejections = 0  # since the last answer; half-open while there are any and the endpoint serves

    def __repr__(self) -> str:
        used = f"{self.in_flight} active, {self.pool.idle()} idle"
        return f"<{self.label} in {self.cluster}: {self.state}, {used}>"

    def session_name(self) -> bytes:
        """Return the endpoint's name in cookies: the same in every worker and replica, for its whole life."""
        key = self.home.session_key
        if self._session_epoch != key.epoch:
            self._session_name = key.name(self.service, self.cluster, self.address, str(self.port))
            self._session_epoch = key.epoch
        return self._session_name

    def seed(self) -> int:
        """Return the number by which rendezvous hashing scores the endpoint."""
        if self._seed < 0:
            self._seed = seed_of(opaque_id(self.service, self.cluster, self.address, str(self.port)))
        return self._seed

    def observed(self) -> Observed:
        """Return this worker's observations of the endpoint."""
        if self._observed is None:
            self._observed = Observed(key_of(f"{self.cluster} {self.label}".encode()))
        return self._observed

    def serves(self) -> bool:
        """Whether neither requests nor health checks are evidence against the endpoint."""
        return self.state is State.HEALTHY and not self.failing

    @property
    def is_unreachable(self) -> bool:
        """Whether the endpoint is ejected, and connects get no answer: a request would wait like a probe."""
        return self._unanswered.is_unreachable

    def is_chosen(self) -> bool:
        """Whether balancing gives the endpoint requests: it serves, and its cluster's breaker is not open."""
        return self.serves() and not self.home.breaker.is_open

    def update(self, endpoint: Endpoint) -> None:
        """Take over the endpoint as a new snapshot has it."""
        self.weight = endpoint.weight
        self.failing = endpoint.failing
        if self.draining != endpoint.draining:
            self.draining = endpoint.draining
            self.pool.is_open = not endpoint.draining
            if endpoint.draining:
                self.pool.close_idle()

    def takes_part(self, now: float, slow_start_s: float) -> bool:
        """Whether the endpoint takes a request that falls to it: in its slow start a growing part of them."""
        age_s = now - self._since
        if age_s >= slow_start_s:
            return True
        self._part += age_s / slow_start_s
        if self._part < 1.0:
            return False
        self._part -= 1.0
        return True

    def renew_connections(self) -> None:
        """Use no connection of now for further requests: the TLS of the service has changed."""
        replaced = self.pool
        self.pool = Http1Pool(self.limits)
        self.pool.is_open = replaced.is_open
        replaced.is_open = False
        replaced.close_idle()

    def gave_up(self, since: float, longest_s: float, now: float) -> None:
        self.observed().given_up.add(since, longest_s, now)

    # Events

    def succeeded(self) -> bool:
        """Forget the failures of the endpoint: it answered. Return whether it was unreachable."""
        if not (self._in_a_row or self.ejections or self.home.breaker.suspects):
            return False
        self._in_a_row = 0
        self.ejections = 0
        self.suspected = LONG_AGO
        self.home.breaker.answered()
        return self._unanswered.is_unreachable  # an old connection lives

    def failed(self, failure: Failure) -> bool:
        """Count a failed attempt; return whether it ejects the endpoint."""
        self.failures += 1
        self.last_failure = failure.value
        if failure in _NO_EVIDENCE or self.state is not State.HEALTHY:
            return False
        self.suspected = self.home.clock.now()
        self.failure_rate.add(self.requests, self.suspected)
        self._in_a_row += 1
        enough = ABORTS_TO_EJECT if failure is Failure.ABORTED else FAILURES_TO_EJECT
        if failure not in _OPENS_AT_ONCE and self._in_a_row < enough:
            return False
        self._eject(self.suspected)
        return True

    def outrun(self) -> bool:
        """Count a connect that was not answered when a later one was; return whether it ejects the endpoint.

        The connect is evidence only where connects are known to take less than the longest hedge delay.
        """
        if self.state is not State.HEALTHY or not self.limits.times.are_short:
            return False
        self._outrun += 1
        if self._outrun < OUTRUN_TO_EJECT:
            return False
        self.failures += 1
        self.last_failure = Failure.HEDGED.value
        self._eject(self.home.clock.now())
        return True

    def reached(self, now: float) -> bool:
        """Note that a connect was answered; return whether the endpoint was unreachable."""
        self._outrun = 0
        return self.responded(now)

    def responded(self, now: float) -> bool:
        """Note a sign of life, if only a refusal; return whether the endpoint was unreachable."""
        return self._unanswered.end(now)

    def unanswered(self, started: float) -> bool:
        """Count a connect begun at `started` that got no answer; return whether that makes it unreachable."""
        self._unanswered.add(started, self.heard)
        if self.state is not State.EJECTED or self.is_unreachable or not self._unanswered.is_enough:
            return False
        self._unanswered.is_unreachable = True
        return True

    def be_unreachable(self) -> None:
        """Believe another worker that the ejected endpoint answers no connects."""
        self._unanswered.is_unreachable = True

    def _eject(self, now: float) -> None:
        self._forgive(now)
        self.state = State.EJECTED
        self.pool.close_idle()

    def longer_ejection(self) -> float:
        """Return the next ejection time, in seconds: each one in a row doubles it."""
        seconds = float(min(FIRST_EJECTION_S * 2**self.ejections, LONGEST_EJECTION_S))
        self.ejections = min(self.ejections + 1, 16)
        self._ejected_s = seconds
        return seconds

    def _forgive(self, now: float) -> None:
        """Forget ejections that are long over: without requests an endpoint cannot show that it is well."""
        if now - self._back_at >= FORGIVEN * self._ejected_s:
            self.ejections = 0

    def stall(self, now: float) -> None:
        """Take the endpoint for stalled: it gets no requests while others can serve."""
        self.failures += 1
        self.last_failure = Failure.STALLED.value
        self.state = State.STALLED
        self.stalled_at = now
        self.must_answer = True

    def revive(self) -> None:
        """Take the endpoint for well again: it has answered."""
        self.state = State.HEALTHY
        self.must_answer = False

    def give_up(self) -> None:
        """Eject the endpoint: no answer is expected any more."""
        self._eject(self.stalled_at if self.must_answer else self.home.clock.now())

    def readmit(self) -> bool:
        """Let traffic in again, half-open: the next failure ejects it at once, and no POST finds that out.

        Return False where the endpoint is not ejected.
        """
        if self.state is not State.EJECTED:
            return False
        self.state = State.HEALTHY
        self._back_at = self.home.clock.now()
        self.suspected = inf
        self.must_answer = False
        self._outrun = 0
        self._in_a_row = FAILURES_TO_EJECT - 1
        return True

    def ejection(self) -> Ejection:
        return Ejection(
            self.service,
            self.cluster,
            self.address,
            self.port,
            self.state is State.STALLED,
            self.is_unreachable,
        )

    def retire(self) -> None:
        """Close the idle connections: the endpoint left the snapshot, another pod may get its address."""
        self.state = State.RETIRED
        self.pool.is_open = False
        self.pool.close_idle()

    def stats(self) -> EndpointStats:
        return EndpointStats(
            self.service, self.cluster, self.address, self.port, self._described(), self.in_flight,
            self.pool.idle(), self.requests, self.failures, self.last_failure,
        )  # fmt: skip

    def _described(self) -> str:
        if self.is_unreachable:
            return "unreachable"
        if self.state is not State.HEALTHY:
            return self.state.value
        if self.failing:
            return "unhealthy"
        return "draining" if self.draining else self.state.value


def endpoint_of(stream: UpstreamStream) -> LiveEndpoint:
    """Return the endpoint that a stream leads to."""
    endpoint = stream.endpoint
    assert isinstance(endpoint, LiveEndpoint)  # the only class of stream endpoints
    return endpoint
