"""Live services: endpoints grouped by cluster, reconciled with each snapshot, with their histories kept."""

from collections.abc import Iterable, Iterator
from math import inf

from proxy.clock import Clock
from proxy.model.channel import Hold
from proxy.model.snapshot import ClusterEndpoints, Service
from proxy.model.statistics import FailbackStats
from proxy.model.tls import BackendTls
from proxy.upstream.algorithms.session_key import SessionKey
from proxy.upstream.cluster import LiveCluster, ServiceState
from proxy.upstream.cluster_state import ClusterState
from proxy.upstream.connections.limits import ConnectionLimits, Tally
from proxy.upstream.endpoint import LONG_AGO, LiveEndpoint
from proxy.upstream.evidence.doubt import Doubt
from proxy.upstream.evidence.failback import Failbacks, Meant
from proxy.upstream.evidence.histories import Histories
from proxy.upstream.growth import steps
from proxy.upstream.recovery import Recovery


class LiveService:
    """The endpoints of one service in all clusters."""

    __slots__ = (
        "_by_name", "_by_name_epoch", "_clock", "_described", "_is_described", "_tally", "_wanted",
        "clusters", "doubt", "id", "session_key", "state", "tls",
    )  # fmt: skip

    def __init__(
        self, service_id: str, tally: Tally, recovery: Recovery, failbacks: Failbacks,
        session_key: SessionKey, clock: Clock,
    ) -> None:  # fmt: skip
        self.id = service_id
        self.session_key = session_key
        self._clock = clock
        self._tally = tally
        self._is_described = False
        self._by_name: dict[bytes, LiveEndpoint] = {}
        self._by_name_epoch = 0
        self._described: tuple[ClusterEndpoints, ...] = ()
        self._wanted: tuple[ClusterEndpoints, ...] = ()  # the endpoints at the end of the steps under way
        self.state = ServiceState(service_id, recovery, failbacks)
        self.doubt = Doubt()
        self.tls: BackendTls | None = None
        self.clusters: dict[str, LiveCluster] = {}

    def update(self, clusters: tuple[ClusterEndpoints, ...]) -> None:
        for _ in self.in_steps(clusters):
            pass

    def in_steps(self, clusters: tuple[ClusterEndpoints, ...]) -> Iterator[None]:
        """Update a bounded number of endpoints each time the next item is asked for.

        Other work may come between the steps; a newer update that begins there ends this one.
        """
        since = self._clock.now() if self._is_described else LONG_AGO
        self._is_described = True
        self._wanted = clusters
        for grown in steps(self._described, clusters):
            if self._wanted is not clusters:
                return
            self._set(grown, since)
            yield

    def use_tls(self, tls: BackendTls | None) -> None:
        """Connect as `tls` says from now on; no request goes over an older connection any more."""
        if tls == self.tls:
            return
        self.tls = tls
        for cluster in self.clusters.values():
            cluster.home.tls = tls
        for endpoint in self.endpoints():
            endpoint.renew_connections()

    def _set(self, clusters: tuple[ClusterEndpoints, ...], since: float) -> None:
        if clusters == self._described:
            return
        self._described = clusters
        wanted = {c.cluster: c for c in clusters}
        for name in [name for name in self.clusters if name not in wanted]:
            self.clusters.pop(name).set_endpoints(())
        for name, described in wanted.items():
            cluster = self.clusters.get(name)
            if cluster is None:
                limits = ConnectionLimits(self._tally)
                home = ClusterState(
                    self.id, name, limits, self.session_key, self._clock,
                    are_pods=described.pods, tls=self.tls,
                )  # fmt: skip
                cluster = self.clusters[name] = LiveCluster(self.state, home)
            cluster.set_endpoints(described.endpoints, since)
        self.state.epoch += 1

    def by_name(self, name: bytes) -> LiveEndpoint | None:
        """Return the endpoint that a cookie names."""
        epoch = self.state.epoch + self.session_key.epoch  # both only grow
        if self._by_name_epoch != epoch:
            self._by_name = {endpoint.session_name(): endpoint for endpoint in self.endpoints()}
            self._by_name_epoch = epoch
        return self._by_name.get(name)

    def offered_elsewhere(self, but: LiveCluster) -> float:
        """Return how many requests clusters other than `but` were offered lately: `but` may inherit them."""
        return sum([cluster.retries.offered for cluster in self.clusters.values() if cluster is not but])

    @property
    def size(self) -> int:
        return sum(len(cluster.endpoints) for cluster in self.clusters.values())

    def endpoints(self) -> Iterator[LiveEndpoint]:
        for cluster in self.clusters.values():
            yield from cluster.endpoints.values()


class Services:
    """All live services of a worker."""

    __slots__ = ("_services", "clock", "failbacks", "histories", "recovery", "session_key", "tally")

    def __init__(self, histories: Histories | None = None, clock: Clock | None = None) -> None:
        self.histories = histories or Histories()
        self.clock = clock or Clock()
        self.tally = Tally()
        self.recovery = Recovery()
        self.failbacks = Failbacks()
        self.session_key = SessionKey()
        self._services: dict[str, LiveService] = {}

    def get(self, service_id: str) -> LiveService:
        """Return a service; one that no snapshot has described yet has no endpoints."""
        service = self._services.get(service_id)
        if service is None:
            service = LiveService(
                service_id, self.tally, self.recovery, self.failbacks, self.session_key, self.clock
            )
            self._services[service_id] = service
        return service

    def __iter__(self) -> Iterator[str]:
        return iter(self._services)

    def forget(self, service_id: str, *, referenced: bool) -> None:
        """Take the endpoints from a service that the snapshot does not name.

        A `referenced` service stays known even so: plans hold it, and endpoints may come later.
        """
        self.get(service_id).update(())
        if not referenced:
            del self._services[service_id]

    def change(self, service: Service) -> None:
        live = self.get(service.id)
        live.use_tls(service.tls)
        live.update(service.clusters)

    def change_in_steps(self, service: Service) -> Iterator[None]:
        """Update a service in steps; see LiveService.in_steps."""
        live = self.get(service.id)
        live.use_tls(service.tls)
        return live.in_steps(service.clusters)

    def want_failbacks(self, meant: Meant) -> None:
        """Take over the failbacks of the routes; a new `manual` holds out the clusters that are away now."""
        changed = self.failbacks.want(meant)
        for service_id, ingresses in changed.items():
            for cluster in [
                cluster for cluster, since in self.get(service_id).state.back.items() if since == inf
            ]:
                for ingress in ingresses:
                    self.failbacks.note(Hold(ingress, service_id, cluster))
        self._refresh(changed)

    def hold(self, holds: tuple[Hold, ...]) -> None:
        """Hold clusters out that have failed for other workers."""
        self.failbacks.hold(holds)
        self._refresh({hold.service for hold in holds})

    def let_back(self, holds: tuple[Hold, ...]) -> None:
        self.failbacks.let_back(holds, self.clock.now())
        self._refresh({hold.service for hold in holds})

    def failback_stats(self) -> Iterator[FailbackStats]:
        now = self.clock.now()
        for service_id in self.failbacks.services():
            service = self.get(service_id)
            for cluster in service.clusters:
                yield from self.failbacks.stats(
                    service_id, cluster, service.state.back.get(cluster, LONG_AGO), now
                )

    def _refresh(self, service_ids: Iterable[str]) -> None:
        for service in [self._services[each] for each in service_ids if each in self._services]:
            for cluster in service.clusters.values():
                cluster.refresh()

    def find(self, service_id: str, cluster: str, address: str, port: int) -> LiveEndpoint | None:
        """Return an endpoint if it is known."""
        found = self._cluster(service_id, cluster)
        return found.endpoints.get((address, port)) if found is not None else None

    def cluster_of(self, endpoint: LiveEndpoint) -> LiveCluster | None:
        """Return the cluster that an endpoint is in, None when the snapshot does not name it any more."""
        return self._cluster(endpoint.service, endpoint.cluster)

    def _cluster(self, service_id: str, cluster: str) -> LiveCluster | None:
        service = self._services.get(service_id)
        return service.clusters.get(cluster) if service is not None else None

    def all(self) -> list[LiveService]:
        return list(self._services.values())

    def endpoints(self) -> Iterator[LiveEndpoint]:
        for service in self._services.values():
            yield from service.endpoints()
