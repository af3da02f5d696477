"""The workers' views of each endpoint, merged."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.checks import CheckView
from controlplane.observe.breakers import Breakers
from controlplane.observe.failbacks import Failbacks
from controlplane.publish import WorkerView
from proxy.model.snapshot import Snapshot
from proxy.model.statistics import BreakerStats, EndpointStats, FailbackStats
from proxy.routing.shares import Usable, capacity

STATES = ("healthy", "draining", "unhealthy", "stalled", "ejected", "unreachable")
"""From best to worst."""

Key = tuple[str, str, str, int]
"""service, cluster, address, port"""


class Merged(msgspec.Struct):
    """One endpoint as all workers see it."""

    key: Key
    draining: bool
    weight: int
    failing: bool = False
    check: CheckView | None = None  # None: it is not checked
    by_worker: dict[int, EndpointStats] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state most workers see; of two equally frequent ones the worse."""
        if not self.by_worker:
            return "unhealthy" if self.failing else "draining" if self.draining else "healthy"
        seen = Counter(stats.state for stats in self.by_worker.values())
        return max(seen, key=lambda state: (seen[state], STATES.index(state) if state in STATES else 99))


def merged(
    snapshot: Snapshot | None, workers: Iterable[WorkerView], checks: Mapping[Key, CheckView]
) -> list[Merged]:
    """Return all endpoints of the snapshot in its order."""
    if snapshot is None:
        return []
    found: dict[Key, Merged] = {}
    for service in snapshot.services:
        for group in service.clusters:
            for e in group.endpoints:
                key = (service.id, group.cluster, e.address, e.port)
                found[key] = Merged(key, e.draining, e.weight, e.failing, checks.get(key))
    for view in workers:
        for stats in view.stats.endpoints if view.stats is not None else ():
            endpoint = found.get((stats.service, stats.cluster, stats.address, stats.port))
            if endpoint is not None:
                endpoint.by_worker[view.worker] = stats
    return list(found.values())


def usable(
    endpoints: Iterable[Merged], breakers: Breakers, failbacks: Failbacks
) -> dict[str, dict[str, Usable]]:
    """Sum up the weights of the endpoints by service and cluster: in all, and of those usable now."""
    sums: dict[str, dict[str, Counter[str]]] = {}
    for endpoint in endpoints:
        service, cluster, _, _ = endpoint.key
        parts = sums.setdefault(service, {}).setdefault(cluster, Counter())
        parts[_use(endpoint)] += endpoint.weight or 1
        parts["expected"] += 0 if endpoint.draining else endpoint.weight
    return {
        service: {
            cluster: _behind(
                breakers.get((service, cluster)), _usable(parts, failbacks.get((service, cluster), {}))
            )
            for cluster, parts in clusters.items()
        }
        for service, clusters in sums.items()
    }


def _usable(parts: Counter[str], back: Mapping[str, FailbackStats]) -> Usable:
    live = parts["live"]
    can = capacity(live, parts["expected"])
    taken = {ingress: stats.part for ingress, stats in back.items()}
    return Usable(live, parts["reserve"], parts["ejected"], parts["unreachable"], capacity=can, parts=taken)


def _behind(breaker: BreakerStats | None, usable: Usable) -> Usable:
    if breaker is None:
        return usable
    if breaker.phase == "open":
        return Usable(ejected=usable.total - usable.unreachable, unreachable=usable.unreachable)
    return replace(usable, ramp=breaker.ramp)


def _use(endpoint: Merged) -> str:
    """Return the field of Usable that an endpoint counts for."""
    state = endpoint.state
    if state == "unreachable":
        return "unreachable"
    if state in ("ejected", "unhealthy", "stalled"):
        return "ejected"
    return "live" if state == "healthy" and endpoint.weight else "reserve"
