"""Keeps the timeline of failovers, and says in the log when one begins and ends."""

import asyncio
import logging
import time
from collections.abc import Iterable

from controlplane.kube.turns import LeftOut, in_turn
from controlplane.observe.absences import RAMPING
from controlplane.observe.breakers import agreed_breakers
from controlplane.observe.timeline import Failover, Observation, Timeline
from controlplane.publish import Pair, Publisher
from controlplane.translate.services import namespace_of
from proxy.model.actions import Forward, Split, SplitMode
from proxy.model.snapshot import Route, Snapshot

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Seconds between looks, the same as between reports of the workers."""

MOST_LINES = 20
"""Lines of the log per look."""


class FailoverWatch:
    """See `look`, which runs every second and with each request of the admin API."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._timeline = Timeline()
        self._places = Places(None)

    async def run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Take the last reports of the workers into the timeline."""
        workers, snapshot = self._publisher.workers(), self._publisher.snapshot
        if snapshot is None or all(view.stats is None for view in workers):
            return
        if snapshot is not self._places.snapshot:
            self._places = Places(snapshot)
        places = self._places
        breakers = agreed_breakers(workers)
        observation = Observation(
            now=time.time(),
            held={pair: places.seen_as(pair) for pair in breakers},
            returning={pair for pair, breaker in breakers.items() if breaker.phase == RAMPING},
            empty=places.empty,
            filled=places.filled,
            carries=places.carries,
            failures=self._publisher.failures(),
        )
        _log_all(self._timeline.observe(observation))

    def latest(self) -> tuple[Failover, ...]:
        return self._timeline.failovers()

    def latest_of(self, pair: Pair) -> Failover | None:
        """Return the latest failover of a cluster from a service, lasting or over."""
        return self._timeline.latest_of(pair)


class Places:
    """Where a snapshot has endpoints, and where it wants traffic."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        self.empty: set[Pair] = set()
        self.filled: set[Pair] = set()
        self._failing: set[Pair] = set()
        self._carrying: frozenset[Pair] | None = None
        for service in snapshot.services if snapshot is not None else ():
            for group in service.clusters:
                pair = (service.id, group.cluster)
                (self.filled if group.endpoints else self.empty).add(pair)
                if group.endpoints and all(endpoint.failing for endpoint in group.endpoints):
                    self._failing.add(pair)

    def seen_as(self, pair: Pair) -> str:
        """Return the cause to name for a cluster that is held off though no attempt failed there."""
        return "checks_failing" if pair in self._failing else "breaker_open"

    def carries(self, pair: Pair) -> bool:
        """Whether some route gives the cluster a share. The first call waits until all routes are read."""
        if self._carrying is None:
            routes = self.snapshot.routes if self.snapshot is not None else ()
            self._carrying = frozenset(carrying(routes))
        return pair in self._carrying


def carrying(routes: Iterable[Route]) -> Iterable[Pair]:
    """Yield the service and clusters that share a route's traffic while all is well."""
    for route in routes:
        if isinstance(route.action, Forward):
            for backend in route.action.backends:
                for cluster in _named(backend.split or route.action.split):
                    yield backend.service, cluster


def _named(split: Split) -> Iterable[str]:
    named = [share for share in split.shares if share.weight or split.mode is SplitMode.ENDPOINTS]
    first = min((share.priority for share in named), default=0)
    return [share.cluster for share in named if share.priority == first]


def _log_all(failovers: Iterable[Failover]) -> None:
    """Namespaces take turns: one with thousands of Services neither fills the log nor hides another."""
    lines = in_turn(failovers, lambda failover: namespace_of(failover.service), {})
    for failover in lines[:MOST_LINES]:
        _log(failover)
    left_out = LeftOut()
    for failover in lines[MOST_LINES:]:
        left_out.add(namespace_of(failover.service))
    if left_out:
        log.warning("failovers left out of the log", extra=left_out.take() | {"all": "/api/v1/failovers"})


def _log(failover: Failover) -> None:
    extra: dict[str, object] = {
        "service": failover.service,
        "from_cluster": failover.cluster,
        "cause": failover.cause,
    }
    if failover.end:
        extra |= {
            "seconds": round(failover.end - failover.start, 1),
            "moved": failover.moved,
            "lost": failover.lost,
        }
    log.info("failover ended" if failover.end else "failover started", extra=extra)
