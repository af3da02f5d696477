"""Finds endpoints that accept requests and answer none while their peers do: stopped, or cut off.

Nothing fails at such an endpoint, so no count of failures finds it. There is no timer per request:
every TICK_S the endpoints that have requests in flight are looked at, and of those only the ones from
which nothing came for a while are looked at closely.
"""

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Final

from proxy.upstream.connections.connection import UpstreamConnection
from proxy.upstream.connections.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.health.latencies import FEW, Latencies
from proxy.upstream.health.waiting import oldest_waiting

TICK_S: Final = 0.02
SHORTEST_S: Final = 0.1  # without an answer; no endpoint is taken for stalled before that
SHORTEST_UNKNOWN_S: Final = 0.2  # the same where too few answers are known to tell
TIMES_P99: Final = 10.0
_LATE_S: Final = 0.05  # of a tick: then it was this worker that heard nothing, whatever was said to it


class StallWatch:
    """One per worker."""

    __slots__ = ("_clock", "_connector", "_last", "_loop", "_timer", "_watched")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connector: Connector, clock: Callable[[], float] = monotonic
    ) -> None:
        self._loop = loop
        self._connector = connector
        self._clock = clock
        self._watched: list[LiveEndpoint] = []
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0

    def watch(self, endpoint: LiveEndpoint) -> None:
        """Look at an endpoint for as long as it has requests in flight. It is not watched yet."""
        endpoint.is_watched = True
        self._watched.append(endpoint)
        if self._timer is None:
            self._last = self._clock()
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def heed(self, endpoint: LiveEndpoint, *, stalled: bool, silent: bool = False) -> None:
        """Believe another worker that has ejected an endpoint."""
        if endpoint.state is State.HEALTHY:
            self._eject(endpoint, stalled=stalled)
        if silent and endpoint.state is State.EJECTED and not endpoint.is_silent:
            endpoint.fall_silent()
            self._connector.probe_after(endpoint, 0.0)

    def _eject(self, endpoint: LiveEndpoint, *, stalled: bool) -> None:
        endpoint.must_answer = stalled
        if stalled:
            endpoint.stalled_at = self._clock()
        if stalled and any(connection.is_waiting() for connection in endpoint.connections):
            endpoint.stall(self._clock())
            _evacuate(endpoint)
            if not endpoint.is_watched:
                self.watch(endpoint)
        else:
            self._connector.probe_after(endpoint, endpoint.give_up())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._watched.clear()

    def _tick(self) -> None:
        now = self._clock()
        late_s, self._last = now - self._last - TICK_S, now
        self._timer = self._loop.call_later(TICK_S, self._tick)
        silent = self.look(now) if late_s < _LATE_S else []
        for endpoint in silent:
            if endpoint.state is State.HEALTHY:
                endpoint.stall(now)
                endpoint.group.service.verdicts.note(endpoint)
        for endpoint in silent:  # all of them are out of the choice before the first request moves
            _evacuate(endpoint)
        self._forget_idle()

    def look(self, now: float) -> list[LiveEndpoint]:
        """Return the endpoints at which requests wait in vain by `now`; settle those that had stalled before.

        Some are out of the choice already: the requests were on their way there when that happened.
        """
        found = []
        for endpoint in self._watched:
            if endpoint.state is State.STALLED:
                self._settle(endpoint)
            if endpoint.in_flight and now - endpoint.heard >= SHORTEST_S and has_stalled(endpoint, now):
                found.append(endpoint)
        return found

    def _settle(self, endpoint: LiveEndpoint) -> None:
        """One answer re-admits it. When no request is left that it could answer, it is probed instead."""
        if endpoint.heard > endpoint.stalled_at:
            endpoint.revive()
        elif not any(connection.is_waiting() for connection in endpoint.connections):
            self._connector.probe_after(endpoint, endpoint.give_up())

    def _forget_idle(self) -> None:
        busy = []
        for endpoint in self._watched:
            if endpoint.in_flight or endpoint.state is State.STALLED:
                busy.append(endpoint)
            else:
                endpoint.is_watched = False
        self._watched = busy
        if not busy and self._timer is not None:
            self._timer.cancel()
            self._timer = None


def has_stalled(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether a request has been waiting longer than its endpoint, and its route, ever take; peers do not."""
    for route, since in oldest_waiting(endpoint).items():
        limit_s = longest_wait(endpoint.answers, route, since)
        if now - max(since, endpoint.heard) >= limit_s:
            return _has_peer(endpoint, now, limit_s / 2)
    return False


def longest_wait(endpoint: Latencies, route: Latencies, since: float) -> float:
    """Return for how many seconds a request may wait that was sent at `since`; inf where nothing is known.

    Where few answers are known, a request like it must have been answered, elsewhere, since it was sent.
    """
    limit_s = max(SHORTEST_S, TIMES_P99 * max(endpoint.p99(), route.p99()))
    if endpoint.total >= FEW and route.total >= FEW:
        return limit_s
    return max(SHORTEST_UNKNOWN_S, limit_s) if route.last >= since else inf


def _has_peer(endpoint: LiveEndpoint, now: float, within_s: float) -> bool:
    """Whether another endpoint can serve: idle, or none of its requests has waited for so long.

    When all of them wait, for a database perhaps, moving requests around would only add to it.
    """
    for group in endpoint.group.service.groups.values():
        for peer in group.live:
            if peer is not endpoint and now - _silent_since(peer, now) < within_s:
                return True
    return False


def _silent_since(endpoint: LiveEndpoint, now: float) -> float:
    waiting = [connection.since for connection in endpoint.connections if connection.is_waiting()]
    return max(min(waiting), endpoint.heard) if waiting else now


def _evacuate(endpoint: LiveEndpoint) -> None:
    """Have its requests tried elsewhere, those that can be. The one that waited longest leaves a witness."""
    waiting: list[UpstreamConnection] = [c for c in endpoint.connections if c.is_waiting()]
    has_witness = False
    for connection in sorted(waiting, key=_since):
        exchange = connection.exchange
        if exchange is None or not exchange.on_stalled():
            continue
        if has_witness:
            connection.abort()
        has_witness = True


def _since(connection: UpstreamConnection) -> float:
    return connection.since
