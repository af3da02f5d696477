"""Which clusters cannot serve which service. Pure: callers pass the snapshot, reports and the time."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.observe.absences import RAMPING, absences
from controlplane.observe.breakers import agreed_breakers
from controlplane.observe.demand import DemandIndex, services_of
from controlplane.observe.endpoints import Merged, merged, usable
from controlplane.observe.failbacks import agreed_failbacks
from controlplane.observe.memory import EndpointMemory
from controlplane.observe.shares import Services
from controlplane.observe.shortages import Shortages, shortages
from controlplane.observe.timeline import GAP_S
from controlplane.publish import Pair, WorkerView
from proxy.model.snapshot import ClusterEndpoints, Snapshot
from proxy.routing.shares import Usable

NEVER = float("-inf")
WELL = frozenset(("healthy", "draining"))


class UnavailableClusters(msgspec.Struct, frozen=True):
    """The clusters that cannot serve, at one time."""

    now: float  # Unix seconds
    reasons: Mapping[Pair, str] = field(default_factory=dict)  # why they cannot, or not all of them do
    states: Mapping[Pair, Counter[str]] = field(default_factory=dict)  # endpoints, by their state
    shortages: Shortages = field(default_factory=dict)
    served: Mapping[Pair, int] = field(default_factory=dict)  # requests, since the start of the gateway


class UnavailabilityTracker:
    """See `observe`. Remembers how many endpoints emptied clusters had."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._demand = DemandIndex(())
        self._memory = EndpointMemory()
        self._failing: set[str] = set()  # services in which a cluster cannot serve, by the snapshot alone
        self._suspects: set[str] = set()  # services with a failure in a worker's report
        self._unavailable_at: dict[Pair, float] = {}  # when they were seen to be, lately
        self._last = UnavailableClusters(0.0)

    def observe(self, snapshot: Snapshot, workers: tuple[WorkerView, ...], now: float) -> UnavailableClusters:
        """Return the clusters that cannot serve now, and whose shares these are."""
        suspects, forgotten = suspected(workers), self._memory.forget(now)
        if snapshot is self._snapshot and not suspects and not self._suspects and not forgotten:
            self._last = msgspec.structs.replace(self._last, now=now)
            self._saw(self._last.reasons, now)
            return self._last
        if snapshot is not self._snapshot or forgotten:
            self._learn(snapshot, now)
        self._suspects = suspects
        self._last = self._judge(snapshot, workers, now)
        return self._last

    def _judge(self, snapshot: Snapshot, workers: tuple[WorkerView, ...], now: float) -> UnavailableClusters:
        forwards = self._demand.forwards(self._failing | self._suspects)
        concerned = {service for forward in forwards for service in services_of(forward)}
        part = replace(
            snapshot, services=tuple(service for service in snapshot.services if service.id in concerned)
        )
        endpoints = merged(part, workers, {})
        breakers, back = agreed_breakers(workers), agreed_failbacks(workers)
        found = absences(part, endpoints, breakers)
        reasons = {
            pair: reason
            for pair, reason in found.items()
            if reason and (reason != RAMPING or now - self._unavailable_at.get(pair, NEVER) <= GAP_S)
        }
        self._saw(reasons, now)
        counts = usable(endpoints, breakers, back)
        short = shortages(self._demand, reasons, counts, self._full(counts, found), back)
        return UnavailableClusters(now, reasons, _states(endpoints), short)

    def _saw(self, reasons: Iterable[Pair], now: float) -> None:
        self._unavailable_at |= dict.fromkeys(reasons, now)
        self._unavailable_at = {pair: at for pair, at in self._unavailable_at.items() if now - at <= GAP_S}

    def _learn(self, snapshot: Snapshot, now: float) -> None:
        if snapshot.routes is not self._demand.routes and snapshot.routes != self._demand.routes:
            self._demand = DemandIndex(snapshot.routes)
        self._snapshot = snapshot
        self._failing = set()
        known: set[Pair] = set()
        for service in snapshot.services:
            for group in service.clusters:
                pair = (service.id, group.cluster)
                known.add(pair)
                total = sum(endpoint.weight or 1 for endpoint in group.endpoints)
                self._memory.note(pair, total, self._last.now, now)
                if self._is_suspect(pair, group):
                    self._failing.add(service.id)
        self._memory.keep(known)

    def _is_suspect(self, pair: Pair, group: ClusterEndpoints) -> bool:
        if not group.endpoints:
            return bool(self._memory.had(pair)) or pair in self._demand.weighted
        return all(each.failing or each.draining or not each.weight for each in group.endpoints)

    def _full(self, counts: Services, pairs: Iterable[Pair]) -> dict[str, dict[str, Usable]]:
        """Return the present endpoints, and for empty clusters the former ones."""
        full: dict[str, dict[str, Usable]] = {service: dict(by) for service, by in counts.items()}
        for service, cluster in pairs:
            if total := self._memory.had((service, cluster)):
                full.setdefault(service, {})[cluster] = Usable(ejected=total)
        return full


def suspected(workers: Iterable[WorkerView]) -> set[str]:
    """Return the services with an open breaker, a failback or an unhealthy endpoint in some worker."""
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
