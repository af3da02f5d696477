"""Live services: endpoints grouped by cluster, reconciled with each snapshot, keeping what they learned."""

from collections.abc import Iterable, Iterator
from random import randrange
from typing import TYPE_CHECKING

from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.room import Room, Tally

if TYPE_CHECKING:
    from proxy.upstream.connection import UpstreamConnection


class ClusterGroup:
    """The endpoints of one service in one cluster."""

    __slots__ = ("_next", "cluster", "draining", "ejected", "endpoints", "live", "room", "service")

    def __init__(self, service: "LiveService", cluster: str, room: Room) -> None:
        self.service = service
        self.room = room
        self.cluster = cluster
        self.endpoints: dict[tuple[str, int], LiveEndpoint] = {}
        self.live: list[LiveEndpoint] = []  # ready, breaker closed
        self.draining: list[LiveEndpoint] = []  # terminating but serving, breaker closed
        self.ejected: list[LiveEndpoint] = []
        self._next = 0

    def __repr__(self) -> str:
        return f"<{self.service.id} in {self.cluster}: {len(self.live)} of {len(self.endpoints)} live>"

    def set_endpoints(self, wanted: Iterable[Endpoint]) -> None:
        gone = self.endpoints
        self.endpoints = {}
        for endpoint in wanted:
            key = (endpoint.address, endpoint.port)
            known = gone.pop(key, None)
            if known is None:
                known = LiveEndpoint(self, endpoint)
            elif known.draining != endpoint.draining:
                known.draining = endpoint.draining
                if endpoint.draining:
                    known.close_idle()
            self.endpoints[key] = known
        for left in gone.values():
            left.retire()
        self.refresh()

    def refresh(self) -> None:
        """Sort the endpoints by what they can do now; plans of this service notice by its epoch."""
        healthy = [e for e in self.endpoints.values() if e.state is State.HEALTHY]
        self.live = [e for e in healthy if not e.draining]
        self.draining = [e for e in healthy if e.draining]
        self.ejected = [e for e in self.endpoints.values() if e.state is State.EJECTED]
        self.service.epoch += 1

    def spare(self) -> "UpstreamConnection | None":
        """Return an idle connection to any endpoint, None when there is none."""
        for endpoint in self.live or self.draining:
            connection = endpoint.checkout()
            if connection is not None:
                return connection
        return None

    def pick(self, tried: Iterable[LiveEndpoint] = ()) -> LiveEndpoint | None:
        """Return the endpoint for the next attempt: power of two choices by requests in flight.

        The first choice goes round, so equally busy endpoints take turns. Endpoints in `tried` are
        avoided. Draining ones serve when no other is left, ejected ones when not even those are.
        """
        candidates = self.live or self.draining or self.ejected
        if tried:
            candidates = [e for e in candidates if e not in tried]
        count = len(candidates)
        if count < 2:
            return candidates[0] if count else None
        first = self._next = (self._next + 1) % count
        one = candidates[first]
        if not one.in_flight:
            return one
        second = (first + 1) % count if count == 2 else (first + randrange(1, count)) % count
        other = candidates[second]
        return other if other.in_flight < one.in_flight else one


class LiveService:
    """One service in all clusters. `epoch` changes whenever any group's usable endpoints do."""

    __slots__ = ("_clusters", "_tally", "epoch", "groups", "id")

    def __init__(self, service_id: str, tally: Tally) -> None:
        self.id = service_id
        self._clusters: tuple[ClusterEndpoints, ...] = ()
        self._tally = tally
        self.groups: dict[str, ClusterGroup] = {}
        self.epoch = 1

    def update(self, clusters: tuple[ClusterEndpoints, ...]) -> None:
        if clusters == self._clusters:
            return
        self._clusters = clusters
        wanted = {c.cluster: c.endpoints for c in clusters}
        for cluster in [c for c in self.groups if c not in wanted]:
            self.groups.pop(cluster).set_endpoints(())
        for cluster, endpoints in wanted.items():
            group = self.groups.get(cluster)
            if group is None:
                group = self.groups[cluster] = ClusterGroup(self, cluster, Room(self._tally))
            group.set_endpoints(endpoints)
        self.epoch += 1

    @property
    def size(self) -> int:
        return sum(len(group.endpoints) for group in self.groups.values())

    def endpoints(self) -> Iterator[LiveEndpoint]:
        for group in self.groups.values():
            yield from group.endpoints.values()


class Services:
    """All live services of a worker."""

    __slots__ = ("_services", "tally")

    def __init__(self) -> None:
        self.tally = Tally()
        self._services: dict[str, LiveService] = {}

    def get(self, service_id: str) -> LiveService:
        """Return a service; one that no snapshot has described yet has no endpoints."""
        service = self._services.get(service_id)
        if service is None:
            service = self._services[service_id] = LiveService(service_id, self.tally)
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

    def all(self) -> list[LiveService]:
        return list(self._services.values())

    def endpoints(self) -> Iterator[LiveEndpoint]:
        for service in self._services.values():
            yield from service.endpoints()
