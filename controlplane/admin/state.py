"""The state that the admin API shows: one consistent picture of the gateway, taken for each request."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
from msgspec import field

from controlplane.checks import CheckView, Counts
from controlplane.checks.checker import EndpointKey
from controlplane.kube.cluster import ClusterHealth
from controlplane.observe.breakers import Breakers, agreed_breakers
from controlplane.observe.endpoints import Merged, merged
from controlplane.observe.failbacks import Failbacks, agreed_failbacks
from controlplane.observe.timeline import Failover
from controlplane.proposal.job import Basis
from controlplane.publish import Rejection, StoreHealth, Totals, WorkerView
from controlplane.supervisor import ProcessView
from controlplane.translate.diagnostics import Diagnostic
from proxy.model.channel import Hold
from proxy.model.snapshot import Snapshot


class State(msgspec.Struct, frozen=True):
    """Times are Unix seconds, 0 when it has not happened."""

    now: float
    started_at: float
    worker_count: int
    draining: bool = False
    started: bool = False  # every worker served a snapshot at least once
    snapshot: Snapshot | None = None
    from_disk: bool = False
    rules_version: int = 0
    wanted_version: int = 0
    applied_count: int = 0
    applied_at: float = 0.0
    rejection: Rejection | None = None
    rejected_total: int = 0
    store: StoreHealth = field(default_factory=lambda: StoreHealth(0, 0, ""))
    processes: tuple[ProcessView, ...] = ()
    workers: tuple[WorkerView, ...] = ()
    tally: Callable[[], Totals] = Totals  # for a thread: with many routes it takes long
    failovers: tuple[Failover, ...] = ()  # the latest to begin first
    held: Mapping[Hold, float] = field(default_factory=dict)  # out by hand, with since when
    failed_ports: Mapping[int, str] = field(default_factory=dict)
    certificates: Mapping[str, float] = field(default_factory=dict)  # when they end, by Secret
    checks: Mapping[EndpointKey, CheckView] = field(default_factory=dict)
    check_counts: Counts = field(default_factory=Counts)
    diagnostics: tuple[Diagnostic, ...] = ()
    fleet_server: str = ""
    fleet_synced: bool = False
    fleet_error: str = ""
    clusters: tuple[ClusterHealth, ...] = ()
    problems: tuple[str, ...] = ()  # with the registration of clusters
    leader: bool = False
    status_error: str = ""
    translations: int = 0
    translate_sum_s: float = 0.0

    def endpoints(self) -> list[Merged]:
        return merged(self.snapshot, self.workers, self.checks)

    def breakers(self) -> Breakers:
        return agreed_breakers(self.workers)

    def failbacks(self) -> Failbacks:
        return agreed_failbacks(self.workers)

    @property
    def totals(self) -> Totals:
        return self.tally()


def dataplane(workers: Iterable[WorkerView]) -> str:
    """Return the build of the workers: "compiled", "pure", "mixed", "unknown" while none is connected."""
    kinds = {view.dataplane for view in workers}
    return "mixed" if len(kinds) > 1 else next(iter(kinds), "unknown")


class Source(Protocol):
    """Where the admin API gets its picture from."""

    def state(self) -> State: ...

    def basis(self) -> Basis | None:
        """Return the base for a translation of other objects, None while there is no snapshot."""
        ...

    def let_back(self, ingress: str, cluster: str) -> tuple[Hold, ...]:
        """Give clusters that are held out of an Ingress their share back, "" all of them; return which."""
        ...

    async def refresh(self) -> None:
        """Bring the workers' counters up to date, within a second."""
