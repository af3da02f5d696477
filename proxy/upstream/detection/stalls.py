"""Finds endpoints that accept requests and answer none: stopped, or cut off, or busy with slow work.

No request fails at such an endpoint, so no count of failures finds it. There is no timer per request: every
TICK_S the watch looks at the endpoints that have requests in flight, and closely at endpoints from which no
byte came for a while. `evidence.silence` decides, and this module acts:

    quiet (others of its cluster are preferred, a liveness probe asks) ▸ stalled (gets no new requests) ▸
    healthy again
"""

import asyncio
from math import inf
from random import random
from typing import Final

from proxy.upstream.cluster import LiveCluster
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.detection.corroboration import Corroboration
from proxy.upstream.detection.learning import SAMPLE
from proxy.upstream.detection.liveness import APART_S, BEGUN_S, LivenessProbe
from proxy.upstream.detection.prober import Prober
from proxy.upstream.detection.shared_ejections import SharedEjections
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.board import Corroborated
from proxy.upstream.evidence.pauses import Pauses
from proxy.upstream.evidence.silence import (
    QUIET_S,
    UNANSWERED_S,
    UNREACHABLE_S,
    Waiting,
    is_explained,
    is_proven,
    is_quiet,
    is_stuck,
    may_be_stopped,
)
from proxy.upstream.service import Services
from proxy.upstream.waiting import busy_at, waiting_at, waiting_for

TICK_S: Final = 0.02
REHEARSED_AFTER: Final = 16  # requests that the endpoint has had
REHEARSED_FROM_S: Final = 2 * BEGUN_S  # average time of an answer
FIRST_APART_S: Final = 0.1  # two probes, while it is not known how long one takes
PASSED_OVER: Final = 3  # probes in a row without an answer, among answered requests: no probe gets one
_LATE_S: Final = 0.05  # a tick that late shows that this worker itself had stopped


class StallWatch:
    """Watches the endpoints of a worker that have requests in flight. One per worker."""

    __slots__ = (
        "_awake", "_clock", "_companions", "_connector", "_corroboration", "_ejections", "_last", "_loop",
        "_prober", "_probes", "_services", "_timer", "_watched", "pauses",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        services: Services,
        connector: Connector,
        prober: Prober,
        corroboration: Corroboration,
        ejections: SharedEjections,
    ) -> None:
        self._loop = loop
        self._services = services
        self._connector = connector
        self._prober = prober
        self._corroboration = corroboration
        self._ejections = ejections
        self._clock = services.clock
        self._watched: list[LiveEndpoint] = []
        self._probes: dict[LiveEndpoint, LivenessProbe] = {}
        self._companions: dict[LiveEndpoint, LivenessProbe] = {}  # of probes that were sent in pairs
        self.pauses = Pauses(TICK_S, _LATE_S)
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._awake = 0.0  # since when this worker has listened without a pause, monotonic

    def on_send(self, endpoint: LiveEndpoint) -> None:
        """Watch an endpoint that gets a request, unless it is watched already; rehearse it if it is time."""
        endpoint.notice_send = False
        if not endpoint.is_watched:
            self.watch(endpoint)
        observed = endpoint.observed()
        if self._clock.now() - observed.rehearsed_at >= APART_S and not observed.concurrency.is_unknown():
            self._loop.call_later(BEGUN_S, self._rehearse, endpoint, False)

    def watch(self, endpoint: LiveEndpoint) -> None:
        """Look at an endpoint, not watched yet, for as long as it has requests in flight."""
        endpoint.is_watched = True
        self._watched.append(endpoint)
        self._corroboration.begin(endpoint)
        if self._timer is None:
            self._last = self._awake = self._clock.now()
            self.pauses.begin(self._last)
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def believe(self, endpoint: LiveEndpoint, *, stalled: bool, unreachable: bool = False) -> None:
        """Eject an endpoint that another worker has ejected. The requests it has stay there."""
        cluster = self._services.cluster_of(endpoint)
        if cluster is None:
            return
        if endpoint.state is State.HEALTHY:
            self._eject(cluster, endpoint, stalled=stalled)
        if unreachable and endpoint.state is State.EJECTED and not endpoint.is_unreachable:
            cluster.be_unreachable(endpoint)
            self._prober.probe_after(endpoint, 0.0)

    def _eject(self, cluster: LiveCluster, endpoint: LiveEndpoint, *, stalled: bool) -> None:
        endpoint.must_answer = stalled
        if stalled:
            endpoint.stalled_at = self._clock.now()
        if stalled and _is_awaited(endpoint):
            cluster.stall(endpoint, self._clock.now())
            if not endpoint.is_watched:
                self.watch(endpoint)
        else:
            self._prober.probe_after(endpoint, cluster.give_up(endpoint))

    def stop(self) -> None:
        if self._timer is not None:
            self._rest(self._timer)
        self._watched.clear()
        for probe in (*self._probes.values(), *self._companions.values()):
            probe.stop()
        self._probes.clear()
        self._companions.clear()

    def _tick(self) -> None:
        self._last = now = self._clock.now()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        if self.pauses.ticked(now):
            self._awake = now
        else:
            self.look(now)
        self._forget_idle()

    def _rest(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._timer = None
        self.pauses.end()

    def look(self, now: float) -> None:
        """Act on the answers that have not come by `now`."""
        stopped = [endpoint for endpoint in self._watched if self._has_stopped(endpoint, now)]
        for endpoint in stopped:  # balancing leaves out all of them before the first request moves
            self._evacuate(endpoint, now)

    def _has_stopped(self, endpoint: LiveEndpoint, now: float) -> bool:
        """Look at one endpoint; return whether the requests stuck there are to be tried elsewhere."""
        if endpoint.state is State.STALLED:
            self._settle(endpoint, now)
        if endpoint.state is State.RETIRED or now - endpoint.heard < QUIET_S:
            endpoint.is_quiet = endpoint.observed().has_stopped = False
            return False
        if now - self._awake < QUIET_S:
            return False
        waiting = waiting_at(endpoint, now)
        probe = self._probes.get(endpoint)
        if (waiting or probe is None) and not is_quiet(waiting, endpoint.heard, now):
            endpoint.is_quiet = False
            return False
        endpoint.is_quiet = True
        self._corroboration.ask(endpoint, now)
        if probe is None or not self._is_ahead(probe, endpoint):
            if endpoint not in self._probes and now - endpoint.observed().probed_at >= APART_S:
                endpoint.observed().probed_at = now
                self._probe(endpoint)
            return False
        unanswered_s = now - max(probe.asked, self._awake)
        if unanswered_s < UNANSWERED_S or not endpoint.is_pod or not self._has_peer(endpoint, now):
            return False
        told = self._corroboration.of(endpoint, probe.asked, now)
        if told is None or told.heard >= probe.asked:
            return False
        return self._judge(endpoint, waiting, told, unanswered_s, now)

    def _judge(
        self,
        endpoint: LiveEndpoint,
        waiting: list[Waiting],
        told: Corroborated,
        unanswered_s: float,
        now: float,
    ) -> bool:
        """Judge an endpoint whose probe has no answer; return whether it has stopped for sure."""
        observed, doubt = endpoint.observed(), self._services.get(endpoint.service).doubt
        shown, heard = observed.concurrency.shown, max(endpoint.heard, told.heard)
        if not observed.has_stopped and unanswered_s >= doubt.unanswered_s(now):
            busy = busy_at(endpoint, now) + told.busy
            observed.has_stopped = is_proven(waiting, busy, heard, now, shown)
        is_unreachable = unanswered_s >= UNREACHABLE_S and not is_explained(
            waiting, now - unanswered_s, shown, now
        )
        cluster = self._services.cluster_of(endpoint)
        if (
            (observed.has_stopped or is_unreachable)
            and cluster is not None
            and endpoint.state is State.HEALTHY
        ):
            cluster.stall(endpoint, now)
            self._ejections.note(endpoint.ejection())
        return observed.has_stopped

    def _settle(self, endpoint: LiveEndpoint, now: float) -> None:
        """Re-admit a stalled endpoint that has answered; probe one that has no request left to answer."""
        cluster = self._services.cluster_of(endpoint)
        if cluster is None:
            return
        if endpoint.heard > endpoint.stalled_at:
            observed, stalled_s = endpoint.observed(), endpoint.heard - endpoint.stalled_at
            if observed.moved and stalled_s < UNREACHABLE_S:
                self._services.get(endpoint.service).doubt.was_wrong(now)
            observed.has_stopped = False
            observed.moved = 0
            observed.given_up.resumed(stalled_s)
            cluster.revive(endpoint)
        elif not _is_awaited(endpoint):
            self._prober.probe_after(endpoint, cluster.give_up(endpoint))

    def _evacuate(self, endpoint: LiveEndpoint, now: float) -> None:
        """Have stuck requests tried elsewhere, as far as they may be. The connection of the oldest stays."""
        observed = endpoint.observed()
        for stream in sorted([s for s in endpoint.pool.streams() if _is_stuck(s, now)], key=_since):
            exchange = stream.exchange
            if exchange is None or not exchange.on_stalled():
                continue
            if observed.moved:
                stream.abort()
            observed.moved += 1

    def _has_peer(self, endpoint: LiveEndpoint, now: float) -> bool:
        """Whether another endpoint can serve.

        When all are silent, waiting for a database perhaps, moving requests around would only add to it.
        """
        for cluster in self._services.get(endpoint.service).clusters.values():
            for peer in cluster.live:
                vouched_at = peer.observed().vouched_at
                if peer is not endpoint and not may_be_stopped(
                    waiting_at(peer, now), peer.heard, vouched_at, now
                ):
                    return True
        return False

    # The liveness probe

    def _is_ahead(self, probe: LivenessProbe, endpoint: LiveEndpoint) -> bool:
        """Whether nothing has come from an endpoint since its probe was sent.

        A probe that was passed over tells nothing any more. Probes tell nothing of an endpoint that passes
        over all of them.
        """
        if probe.is_over:
            del self._probes[endpoint]
            return False
        if endpoint.heard < probe.asked:
            return probe.asked != inf and endpoint.observed().passed_over < PASSED_OVER
        endpoint.observed().passed_over += 1
        probe.stop()
        del self._probes[endpoint]
        companion = self._companions.pop(endpoint, None)
        if companion is not None:
            companion.stop()
        return False

    def _probe(self, endpoint: LiveEndpoint, *, at_random: bool = False) -> None:
        endpoint.beside_probe = SAMPLE
        probe = LivenessProbe(endpoint, self._connector, self._clock, at_random=at_random)
        self._probes[endpoint] = probe
        probe.start()

    def _plan_rehearsal(self, endpoint: LiveEndpoint) -> None:
        """Have an endpoint rehearsed if it is time: at random first, then right after a request was sent.

        Beside requests that are over in a moment a probe shows nothing.
        """
        observed = endpoint.observed()
        is_unknown = observed.concurrency.is_unknown()
        since_s = self._last - observed.rehearsed_at
        if (
            endpoint.requests < REHEARSED_AFTER
            or observed.took_s < REHEARSED_FROM_S
            or endpoint in self._probes
        ):
            return
        if is_unknown and since_s >= FIRST_APART_S:
            self._loop.call_later(random() * TICK_S, self._rehearse, endpoint, True)
        elif not is_unknown and since_s >= APART_S:
            endpoint.notice_send = True
            if endpoint.is_quiet:
                self._rehearse_pair(endpoint)

    def _rehearse(self, endpoint: LiveEndpoint, at_random: bool) -> None:
        """Send a probe beside requests that wait: its answer shows how many the endpoint works on at a time.

        Once the endpoint is silent a probe teaches nothing any more. The first rehearsals find out how long a
        probe takes.
        """
        observed, now = endpoint.observed(), self._clock.now()
        concurrency = observed.concurrency
        if endpoint.state is not State.HEALTHY or not endpoint.is_pod or endpoint in self._probes:
            return
        waiting = [s for s in endpoint.pool.streams() if s.is_waiting() and s.since <= now - BEGUN_S]
        is_due = at_random if concurrency.is_unknown() else len(waiting) >= concurrency.shown
        apart_s = FIRST_APART_S if concurrency.is_unknown() else APART_S
        if is_due and now - observed.rehearsed_at >= apart_s and concurrency.may_rehearse(now):
            observed.rehearsed_at = now
            self._probe(endpoint, at_random=at_random)

    def _rehearse_pair(self, endpoint: LiveEndpoint) -> None:
        """Send two probes beside a slow request, which keeps other requests away, so no two would overlap."""
        observed, now = endpoint.observed(), self._clock.now()
        is_due = len(busy_at(endpoint, now)) + 1 >= observed.concurrency.shown
        is_due = is_due and endpoint not in self._companions
        if is_due and endpoint.is_pod and observed.concurrency.may_rehearse(now):
            observed.rehearsed_at = now
            self._probe(endpoint)
            companion = LivenessProbe(endpoint, self._connector, self._clock, at_random=False)
            self._companions[endpoint] = companion
            companion.start()

    def _is_probing(self, endpoint: LiveEndpoint) -> bool:
        """Whether the answer to a probe is still to come."""
        if endpoint not in self._probes:
            endpoint.beside_probe = 0
        is_probing = _goes_on(self._probes, endpoint)
        return _goes_on(self._companions, endpoint) or is_probing

    def _forget_idle(self) -> None:
        busy = []
        for endpoint in self._watched:
            self._plan_rehearsal(endpoint)
            if self._is_probing(endpoint) or endpoint.in_flight or endpoint.state is State.STALLED:
                busy.append(endpoint)
            else:
                endpoint.is_watched = endpoint.is_quiet = False
                self._corroboration.end(endpoint, self._last)
                endpoint.notice_send = True
        self._watched = busy
        if not busy and self._timer is not None:
            self._rest(self._timer)


def _goes_on(probes: dict[LiveEndpoint, LivenessProbe], endpoint: LiveEndpoint) -> bool:
    """Forget a probe that is over; an endpoint that has left its service need not answer."""
    probe = probes.get(endpoint)
    if probe is not None and endpoint.state is State.RETIRED:
        probe.stop()
    if probe is None or probe.is_over:
        probes.pop(endpoint, None)
        return False
    return True


def _is_awaited(endpoint: LiveEndpoint) -> bool:
    return any(stream.is_waiting() for stream in endpoint.pool.streams())


def _is_stuck(stream: UpstreamStream, now: float) -> bool:
    kind = stream.awaits() if stream.is_waiting() else None
    if kind is None:
        return False
    return is_stuck(waiting_for(stream.since, kind, now), stream.endpoint.heard, now)


def _since(stream: UpstreamStream) -> float:
    return stream.since
