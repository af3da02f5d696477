"""Live services: endpoints grouped by cluster, reconciled with each snapshot, keeping what they learned."""

from collections.abc import Iterable, Iterator
from math import inf
from time import monotonic

from proxy.model.channel import FailbackStats, Hold
from proxy.model.snapshot import ClusterEndpoints, Service
from proxy.upstream.balancing.failback import Failbacks, Meant
from proxy.upstream.balancing.session_key import SessionKey
from proxy.upstream.connections.room import Room, Tally
from proxy.upstream.endpoint import LONG_AGO, LiveEndpoint
from proxy.upstream.evidence.doubt import Doubt
from proxy.upstream.evidence.histories import Histories
from proxy.upstream.group import ClusterGroup
from proxy.upstream.growth import steps
from proxy.upstream.health.recovery import Recovery
from proxy.upstream.health.verdicts import Verdicts
from proxy.upstream.retries.offered import Offered


class LiveService:
    """One service in all clusters. `epoch` changes whenever any group's usable endpoints do."""

    __slots__ = (
        "_by_name", "_by_name_epoch", "_clusters", "_is_described", "_tally", "_wanted", "back", "doubt",
        "epoch", "failbacks", "groups", "id", "recovery", "session_key", "verdicts",
    )  # fmt: skip

    def __init__(
        self, service_id: str, tally: Tally, recovery: Recovery, verdicts: Verdicts, failbacks: Failbacks,
        session_key: SessionKey,
    ) -> None:  # fmt: skip
        self.id = service_id
        self._is_described = False
        self.session_key = session_key
        self._by_name: dict[bytes, LiveEndpoint] = {}
        self._by_name_epoch = 0
        self._clusters: tuple[ClusterEndpoints, ...] = ()
        self._wanted: tuple[ClusterEndpoints, ...] = ()  # what the steps under way lead to
        self._tally = tally
        self.recovery = recovery
        self.verdicts = verdicts
        self.failbacks = failbacks
        self.doubt = Doubt()
        self.back: dict[
            str, float
        ] = {}  # since when clusters serve that did not, monotonic; inf: they do not
        self.groups: dict[str, ClusterGroup] = {}
        self.epoch = 1

    def update(self, clusters: tuple[ClusterEndpoints, ...]) -> None:
        for _ in self.in_steps(clusters):
            pass

    def in_steps(self, clusters: tuple[ClusterEndpoints, ...]) -> Iterator[None]:
        """Update a bounded number of endpoints each time the next item is asked for.

        Other work may come between the steps; a newer update that begins there ends this one.
        """
        since = monotonic() if self._is_described else LONG_AGO
        self._is_described = True
        self._wanted = clusters
        for grown in steps(self._clusters, clusters):
            if self._wanted is not clusters:
                return
            self._set(grown, since)
            yield

    def _set(self, clusters: tuple[ClusterEndpoints, ...], since: float) -> None:
        if clusters == self._clusters:
            return
        self._clusters = clusters
        wanted = {c.cluster: c for c in clusters}
        for cluster in [c for c in self.groups if c not in wanted]:
            self.groups.pop(cluster).set_endpoints(())
        for cluster, described in wanted.items():
            group = self.groups.get(cluster)
            if group is None:
                room = Room(self._tally)
                group = self.groups[cluster] = ClusterGroup(self, cluster, room, are_pods=described.pods)
            group.set_endpoints(described.endpoints, since)
        self.epoch += 1

    def by_name(self, name: bytes) -> LiveEndpoint | None:
        """Return the endpoint that a cookie names."""
        epoch = self.epoch + self.session_key.epoch  # both only grow
        if self._by_name_epoch != epoch:
            self._by_name = {endpoint.session_name(): endpoint for endpoint in self.endpoints()}
            self._by_name_epoch = epoch
        return self._by_name.get(name)

    @property
    def size(self) -> int:
        return sum(len(group.endpoints) for group in self.groups.values())

    def endpoints(self) -> Iterator[LiveEndpoint]:
        for group in self.groups.values():
            yield from group.endpoints.values()


class Services:
    """All live services of a worker."""

    __slots__ = (
        "_services", "failbacks", "histories", "offered", "recovery", "session_key", "tally", "verdicts",
    )  # fmt: skip

    def __init__(self, histories: Histories | None = None) -> None:
        self.histories = histories or Histories()
        self.tally = Tally()
        self.recovery = Recovery()
        self.verdicts = Verdicts()
        self.failbacks = Failbacks()
        self.session_key = SessionKey()
        self._services: dict[str, LiveService] = {}
        self.offered = Offered(self._services)

    def get(self, service_id: str) -> LiveService:
        """Return a service; one that no snapshot has described yet has no endpoints."""
        service = self._services.get(service_id)
        if service is None:
            service = LiveService(
                service_id, self.tally, self.recovery, self.verdicts, self.failbacks, self.session_key
            )
            self._services[service_id] = service
        return service

    def __iter__(self) -> Iterator[str]:
        return iter(self._services)

    def forget(self, service_id: str, *, referenced: bool) -> None:
        """The snapshot does not name it: it has no endpoints any more.

        A `referenced` service stays known even so: plans hold it, and endpoints may come later.
        """
        self.get(service_id).update(())
        if not referenced:
            del self._services[service_id]

    def change(self, service: Service) -> None:
        self.get(service.id).update(service.clusters)

    def change_in_steps(self, service: Service) -> Iterator[None]:
        """See LiveService.in_steps."""
        return self.get(service.id).in_steps(service.clusters)

    def want_failbacks(self, meant: Meant) -> None:
        """Take over what the routes ask for; who asks for `manual` now holds out what is away now."""
        changed = self.failbacks.want(meant)
        for service_id, ingresses in changed.items():
            for cluster in [cluster for cluster, since in self.get(service_id).back.items() if since == inf]:
                for ingress in ingresses:
                    self.failbacks.note(Hold(ingress, service_id, cluster))
        self._refresh(changed)

    def hold(self, holds: tuple[Hold, ...]) -> None:
        """Hold clusters out that others say have failed."""
        self.failbacks.hold(holds)
        self._refresh({hold.service for hold in holds})

    def let_back(self, holds: tuple[Hold, ...]) -> None:
        self.failbacks.let_back(holds, monotonic())
        self._refresh({hold.service for hold in holds})

    def failback_stats(self) -> Iterator[FailbackStats]:
        now = monotonic()
        for service_id in self.failbacks.services():
            service = self.get(service_id)
            for cluster in service.groups:
                yield from self.failbacks.stats(service_id, cluster, service.back.get(cluster, LONG_AGO), now)

    def _refresh(self, service_ids: Iterable[str]) -> None:
        for service in [self._services[each] for each in service_ids if each in self._services]:
            for group in service.groups.values():
                group.refresh()

    def find(self, service_id: str, cluster: str, address: str, port: int) -> LiveEndpoint | None:
        """Return an endpoint if it is known."""
        service = self._services.get(service_id)
        group = service.groups.get(cluster) if service is not None else None
        return group.endpoints.get((address, port)) if group is not None else None

    def all(self) -> list[LiveService]:
        return list(self._services.values())

    def endpoints(self) -> Iterator[LiveEndpoint]:
        for service in self._services.values():
            yield from service.endpoints()
