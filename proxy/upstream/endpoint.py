"""The live state of one endpoint: its breaker, its idle connections, its share of the work."""

from enum import StrEnum
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

import msgspec

from proxy.model.channel import Ejection, EndpointStats
from proxy.model.snapshot import Endpoint
from proxy.upstream.balancing.hashing import opaque_id, seed_of
from proxy.upstream.evidence.histories import key_of
from proxy.upstream.evidence.observed import Observed
from proxy.upstream.health.faults import Faults
from proxy.upstream.health.unanswered import Unanswered
from proxy.upstream.retries.retry import Failure

if TYPE_CHECKING:
    from proxy.upstream.connections.connection import UpstreamConnection
    from proxy.upstream.group import ClusterGroup

MAX_IDLE: Final = 512  # connections kept per endpoint and worker
FAILURES_TO_EJECT: Final = 5  # Envoy's consecutive-5xx default
ABORTS_TO_EJECT: Final = 3  # who resets says nothing at all, and the probe half a second later costs nobody
OUTRUN_TO_EJECT: Final = 3  # connects in a row that were not answered when later ones, elsewhere, were
FIRST_EJECTION_S: Final = 0.5
LONGEST_EJECTION_S: Final = 30.0
FORGIVEN: Final = 2.0  # times its last ejection without another one, and the next is short again

LONG_AGO: Final = -inf

_OPENS_AT_ONCE: Final = frozenset(
    (Failure.REFUSED, Failure.UNREACHABLE, Failure.CONNECT_TIMEOUT, Failure.SILENT)
)
_NO_EVIDENCE: Final = frozenset(
    (Failure.OVERFLOW, Failure.HEDGED, Failure.LOCAL, Failure.STALE, Failure.UNSEEN)
)


class State(StrEnum):
    HEALTHY = "healthy"
    EJECTED = "ejected"  # the breaker is open
    STALLED = "stalled"  # so it is, and what opened it is that no answer came: one re-admits it
    RETIRED = "retired"  # gone from the snapshot; only finishes what it has


class LiveEndpoint:
    """One endpoint of one service in one cluster, from its first to its last appearance."""

    __slots__ = (
        "_back_at", "_ejected_s", "_in_a_row", "_observed", "_outrun", "_part", "_seed", "_session_epoch",
        "_session_name", "_since", "_unanswered", "address", "beside_probe", "cluster", "connections",
        "draining", "ejections", "failing", "failures", "faults", "fell_silent", "group", "heard", "idle",
        "in_flight", "is_pod", "is_quiet", "is_watched", "label", "last_failure", "log",
        "must_answer", "notice_send", "port", "requests", "room", "service", "stalled_at", "state",
        "suspected", "weight",
    )  # fmt: skip

    def __init__(self, group: "ClusterGroup", endpoint: Endpoint, since: float = LONG_AGO) -> None:
        # For its whole life
        self.group = group
        self.room = group.room
        self.service = group.service.id
        self.cluster = group.cluster
        self.address = endpoint.address
        self.port = endpoint.port
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        self.label = f"{host}:{endpoint.port}"
        self.is_pod = group.are_pods  # else it may stand for many, and is never taken for stopped
        self.log = b'"service":%b,"cluster":%b,"endpoint":%b' % tuple(
            msgspec.json.encode(name) for name in (self.service, self.cluster, self.label)
        )
        self._seed = -1
        self._session_name = b""
        self._session_epoch = 0  # of the key it was made with
        self._since = since  # when it appeared, monotonic
        self._part = 0.0  # of a turn, saved up while it is new
        # Moved by the control plane
        self.draining = endpoint.draining
        self.weight = endpoint.weight
        self.failing = endpoint.failing
        # Moved by traffic
        self.state = State.HEALTHY
        self.idle: list[UpstreamConnection] = []
        self.connections: set[UpstreamConnection] = set()  # all that are open
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.last_failure = ""
        self._observed: Observed | None = None
        self.beside_probe = 0  # answers that are noted still, because a liveness probe is or was under way
        self.is_quiet = False  # nothing has come for longer than what waits explains
        self.heard = LONG_AGO  # when the last byte of a response came, monotonic
        self.fell_silent = LONG_AGO  # when silence was found to be longer than usual; see `suspects`
        self.suspected = LONG_AGO  # when it gave the last sign of a fault; inf: on trial; see `suspects`
        self.faults = Faults()
        self.stalled_at = LONG_AGO
        self.is_watched = False
        self.notice_send = True  # the watch over stalls wants to know of the next request
        self.must_answer = False  # it accepts without answering: a connection alone does not re-admit it
        self._in_a_row = 0
        self._outrun = 0
        self._unanswered = Unanswered()
        self._ejected_s = 0.0  # the last time
        self._back_at = LONG_AGO  # from there
        self.ejections = 0  # since it last answered; while there are any, and it serves, it is on trial

    def __repr__(self) -> str:
        return (
            f"<{self.label} in {self.cluster}: {self.state}, {self.in_flight} active, {len(self.idle)} idle>"
        )

    def session_name(self) -> bytes:
        """Return what cookies call it: the same in every worker and replica, for as long as it is there."""
        key = self.group.service.session_key
        if self._session_epoch != key.epoch:
            self._session_name = key.name(self.service, self.cluster, self.address, str(self.port))
            self._session_epoch = key.epoch
        return self._session_name

    def seed(self) -> int:
        """Return what it is hashed by."""
        if self._seed < 0:
            self._seed = seed_of(opaque_id(self.service, self.cluster, self.address, str(self.port)))
        return self._seed

    def observed(self) -> Observed:
        """Return what this worker has observed of it."""
        if self._observed is None:
            self._observed = Observed(key_of(f"{self.cluster} {self.label}".encode()))
        return self._observed

    def serves(self) -> bool:
        """Whether there is no evidence that it cannot: neither of requests nor of health checks."""
        return self.state is State.HEALTHY and not self.failing

    @property
    def is_silent(self) -> bool:
        """Whether it is ejected, and connects get no answer: a request would only wait as its probes do."""
        return self._unanswered.is_silent

    def is_chosen(self) -> bool:
        """Whether requests come to it of choice: it serves, and so does its cluster."""
        return self.serves() and not self.group.breaker.is_open

    def update(self, endpoint: Endpoint) -> None:
        """Take over what the control plane says of it now."""
        self.weight = endpoint.weight
        self.failing = endpoint.failing
        if self.draining != endpoint.draining:
            self.draining = endpoint.draining
            if endpoint.draining:
                self.close_idle()

    def takes_part(self, now: float, warmup_s: float) -> bool:
        """Whether it takes a request that falls to it: the first `warmup_s` only ever more of them."""
        age_s = now - self._since
        if age_s >= warmup_s:
            return True
        self._part += age_s / warmup_s
        if self._part < 1.0:
            return False
        self._part -= 1.0
        return True

    def checkout(self) -> "UpstreamConnection | None":
        """Return an idle connection, the one used last, or None."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def release(self, connection: "UpstreamConnection") -> None:
        """Keep a connection that is fit for another request, or close it."""
        if self.state is State.RETIRED or self.draining:
            connection.close()
        elif self.room.waiting and self.room.serve(connection):
            return
        elif len(self.idle) >= MAX_IDLE:
            connection.close()
        else:
            self.idle.append(connection)

    def succeeded(self) -> None:
        """An endpoint answered: whatever was counted against it is forgotten."""
        if self._in_a_row or self.ejections or self.group.breaker.suspects:
            self._in_a_row = 0
            self.ejections = 0
            self.suspected = LONG_AGO
            self.group.breaker.answered()
            if self._unanswered.is_silent:  # an old connection lives
                self.reached(self.heard)

    def failed(self, failure: Failure) -> float:
        """Count a failed attempt; return for how many seconds the breaker opens by it, 0 for not."""
        self.failures += 1
        self.last_failure = failure.value
        if failure in _NO_EVIDENCE or self.state is not State.HEALTHY:
            return 0.0
        self.suspected = monotonic()
        self.faults.add(self.requests, self.suspected)
        self._in_a_row += 1
        enough = ABORTS_TO_EJECT if failure is Failure.ABORTED else FAILURES_TO_EJECT
        if failure not in _OPENS_AT_ONCE and self._in_a_row < enough:
            return 0.0
        return self._eject()

    def reached(self, now: float) -> None:
        """A connect was answered."""
        self._outrun = 0
        self.responded(now)

    def responded(self, now: float) -> None:
        """There was a sign of life, if only a refusal."""
        if self._unanswered.end(now):
            self.group.refresh()

    def unanswered(self, started: float) -> bool:
        """Count a connect begun at `started` that got no answer; return whether it is silent from now on."""
        self._unanswered.add(started, self.heard)
        if self.state is not State.EJECTED or self.is_silent or not self._unanswered.is_enough:
            return False
        self.fall_silent()
        self.group.service.verdicts.note(self)
        return True

    def fall_silent(self) -> None:
        """It is ejected, and nobody else gets an answer from it either."""
        self._unanswered.is_silent = True
        self.group.refresh()

    def outrun(self) -> float:
        """Count a connect that was not answered when a later one was; return as `failed` does.

        It is evidence only where connects are known to take less than the longest time that is waited.
        """
        if self.state is not State.HEALTHY or not self.room.times.are_short:
            return 0.0
        self._outrun += 1
        if self._outrun < OUTRUN_TO_EJECT:
            return 0.0
        self.failures += 1
        self.last_failure = Failure.HEDGED.value
        return self._eject()

    def _eject(self) -> float:
        self._forgive(monotonic())
        self.state = State.EJECTED
        self.close_idle()
        self.group.tripped(self)
        self.group.service.verdicts.note(self)
        return self.longer_ejection()

    def longer_ejection(self) -> float:
        """Return the next ejection time: each one in a row doubles, but for one that is missed."""
        seconds = float(min(FIRST_EJECTION_S * 2**self.ejections, LONGEST_EJECTION_S))
        self.ejections = min(self.ejections + 1, 16)
        self._ejected_s = seconds
        return min(seconds, self.group.silence_s()) if self.is_silent else seconds

    def _forgive(self, now: float) -> None:
        """It is out again. Where it had no requests, none of its answers could show that it was well."""
        if now - self._back_at >= FORGIVEN * self._ejected_s:
            self.ejections = 0

    def stall(self, now: float) -> None:
        """Take it for stalled: it gets no requests while others can serve."""
        self.failures += 1
        self.last_failure = Failure.STALLED.value
        self.state = State.STALLED
        self.stalled_at = now
        self.must_answer = True
        self.group.tripped(self)

    def revive(self) -> None:
        """It has answered after all."""
        self.state = State.HEALTHY
        self.must_answer = False
        self.group.refresh()

    def give_up(self) -> float:
        """Nothing will come of waiting for its answer; return for how many seconds it is ejected."""
        self._forgive(self.stalled_at if self.must_answer else monotonic())
        self.state = State.EJECTED
        self.close_idle()
        self.group.tripped(self)
        return self.longer_ejection()

    def readmit(self) -> None:
        """Let traffic in again, on trial: the next failure ejects it at once, and no POST finds that out."""
        if self.state is State.EJECTED:
            self.state = State.HEALTHY
            self._back_at = monotonic()
            self.suspected = inf
            self.must_answer = False
            self._outrun = 0
            self._in_a_row = FAILURES_TO_EJECT - 1
            self.group.refresh()

    def ejection(self) -> Ejection:
        return Ejection(
            self.service, self.cluster, self.address, self.port, self.state is State.STALLED, self.is_silent
        )

    def retire(self) -> None:
        """It left the snapshot. Its address may be another pod's next, so no connection is kept."""
        self.state = State.RETIRED
        self.close_idle()

    def close_idle(self) -> None:
        idle, self.idle = self.idle, []
        for connection in idle:
            connection.close()

    def stats(self) -> EndpointStats:
        return EndpointStats(
            self.service, self.cluster, self.address, self.port, self._described(), self.in_flight,
            len(self.idle), self.requests, self.failures, self.last_failure,
        )  # fmt: skip

    def _described(self) -> str:
        if self.is_silent:
            return "silent"
        if self.state is not State.HEALTHY:
            return self.state.value
        if self.failing:
            return "unhealthy"
        return "draining" if self.draining else self.state.value
