"""Which clusters cannot serve which service. Pure: it is shown what there is, and the time."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from controlplane.notices.memory import EndpointMemory
from controlplane.notices.placements import Placements, services_of
from controlplane.notices.standings import Shortages, shortages
from controlplane.observe.absences import RETURNING, absences
from controlplane.observe.breakers import agreed_breakers
from controlplane.observe.endpoints import Merged, merged, usable
from controlplane.observe.failbacks import agreed_failbacks
from controlplane.observe.shares import Services
from controlplane.observe.timeline import GAP_S
from controlplane.publish import Pair, WorkerView
from proxy.model.snapshot import ClusterEndpoints, Snapshot
from proxy.routing.shares import Usable

NEVER = float("-inf")
WELL = frozenset(("healthy", "draining"))


@dataclass(frozen=True, slots=True)
class Absent:
    """The clusters that cannot serve, at one time."""

    now: float  # Unix seconds
    away: Mapping[Pair, str] = field(default_factory=dict)  # why they cannot, or not all of them do
    states: Mapping[Pair, Counter[str]] = field(default_factory=dict)  # endpoints, by their state
    shortages: Shortages = field(default_factory=dict)
    served: Mapping[Pair, int] = field(default_factory=dict)  # requests, since the start of the gateway


class AbsenceTracker:
    """See `observe`. It remembers how many endpoints clusters had that have none now."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._placements = Placements(())
        self._memory = EndpointMemory()
        self._standing: set[str] = set()  # services in which a cluster cannot serve, whatever workers say
        self._suspects: set[str] = set()  # services about which a worker has something to say
        self._away_at: dict[Pair, float] = {}  # when they were seen to be, lately
        self._last = Absent(0.0)

    def observe(self, snapshot: Snapshot, workers: tuple[WorkerView, ...], now: float) -> Absent:
        """Return who cannot serve now, and whose share that is."""
        suspects, forgotten = suspected(workers), self._memory.forget(now)
        if snapshot is self._snapshot and not suspects and not self._suspects and not forgotten:
            self._last = dataclasses.replace(self._last, now=now)
            self._saw(self._last.away, now)
            return self._last
        if snapshot is not self._snapshot or forgotten:
            self._learn(snapshot, now)
        self._suspects = suspects
        self._last = self._judge(snapshot, workers, now)
        return self._last

    def _judge(self, snapshot: Snapshot, workers: tuple[WorkerView, ...], now: float) -> Absent:
        forwards = self._placements.forwards(self._standing | self._suspects)
        concerned = {service for forward in forwards for service in services_of(forward)}
        part = replace(
            snapshot, services=tuple(service for service in snapshot.services if service.id in concerned)
        )
        endpoints = merged(part, workers, {})
        breakers, back = agreed_breakers(workers), agreed_failbacks(workers)
        found = absences(part, endpoints, breakers)
        away = {
            pair: reason
            for pair, reason in found.items()
            if reason and (reason != RETURNING or now - self._away_at.get(pair, NEVER) <= GAP_S)
        }
        self._saw(away, now)
        counts = usable(endpoints, breakers, back)
        short = shortages(self._placements, away, counts, self._full(counts, found), back)
        return Absent(now, away, _states(endpoints), short)

    def _saw(self, away: Iterable[Pair], now: float) -> None:
        self._away_at |= dict.fromkeys(away, now)
        self._away_at = {pair: at for pair, at in self._away_at.items() if now - at <= GAP_S}

    def _learn(self, snapshot: Snapshot, now: float) -> None:
        if snapshot.routes is not self._placements.routes and snapshot.routes != self._placements.routes:
            self._placements = Placements(snapshot.routes)
        self._snapshot = snapshot
        self._standing = set()
        known: set[Pair] = set()
        for service in snapshot.services:
            for group in service.clusters:
                pair = (service.id, group.cluster)
                known.add(pair)
                total = sum(endpoint.weight or 1 for endpoint in group.endpoints)
                self._memory.note(pair, total, self._last.now, now)
                if self._is_suspect(pair, group):
                    self._standing.add(service.id)
        self._memory.keep(known)

    def _is_suspect(self, pair: Pair, group: ClusterEndpoints) -> bool:
        if not group.endpoints:
            return bool(self._memory.had(pair)) or pair in self._placements.weighted
        return all(each.failing or each.draining or not each.weight for each in group.endpoints)

    def _full(self, counts: Services, pairs: Iterable[Pair]) -> dict[str, dict[str, Usable]]:
        """Return the endpoints as they are, and where there are none those that there were."""
        full: dict[str, dict[str, Usable]] = {service: dict(by) for service, by in counts.items()}
        for service, cluster in pairs:
            if total := self._memory.had((service, cluster)):
                full.setdefault(service, {})[cluster] = Usable(ejected=total)
        return full


def suspected(workers: Iterable[WorkerView]) -> set[str]:
    """Return the services that some worker sees something of that is not as it should be."""
    found: set[str] = set()
    for view in workers:
        if view.stats is not None:
            found.update(breaker.service for breaker in view.stats.breakers)
            found.update(each.service for each in view.stats.failbacks)
            found.update(each.service for each in view.stats.endpoints if each.state not in WELL)
    return found


def _states(endpoints: Iterable[Merged]) -> dict[Pair, Counter[str]]:
    states: dict[Pair, Counter[str]] = {}
    for endpoint in endpoints:
        service, cluster, _, _ = endpoint.key
        states.setdefault((service, cluster), Counter())[endpoint.state] += 1
    return states
