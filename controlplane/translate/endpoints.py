"""The endpoints of a Service name in all its clusters (reference: EndpointSlice of discovery.k8s.io/v1)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from controlplane.resources.endpointslice import (
    SERVICE_NAME_LABEL,
    EndpointConditions,
    EndpointSlice,
    SliceEndpoint,
)
from controlplane.resources.pod import Pod
from controlplane.resources.service import EXTERNAL_NAME
from controlplane.resources.service import Service as ServiceObject
from controlplane.resources.view import MemberObjects
from controlplane.translate.allowed import Allowed
from controlplane.translate.hostnames import HostEndpoints, HostNames, HostTrouble, external_port
from controlplane.translate.model import Facts, HostAddresses
from controlplane.translate.ownsockets import OwnSockets
from controlplane.translate.services import GROUP, ServiceRef
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot

_IP_VERSIONS: Final = {"IPv4": 4, "IPv6": 6}
_NAMES: Final = "FQDN"
_Ready = dict[tuple[str, int], bool]


class Refused(msgspec.Struct, frozen=True):
    """An endpoint that is not used although its conditions would allow it."""

    cluster: str
    namespace: str
    slice: str
    address: str
    cause: str


class Resolution(msgspec.Struct, frozen=True):
    """A service in all its clusters, with the parts that are missing in each."""

    service: Service
    existing: frozenset[str]  # clusters that have the Service object
    without_port: Mapping[str, str]  # clusters whose Service lacks the port: the ports it has
    unsynced: frozenset[str]  # clusters that have not been listed yet
    unlabelled: frozenset[str]  # clusters that do not let us see the labels of pods, which are needed
    refused: tuple[Refused, ...]
    troubles: tuple[tuple[str, HostTrouble], ...] = ()  # with hosts that stand for pods, by cluster


class ServiceResolver:
    """Resolves service ids against one state of the member clusters.

    A cluster that is not synced keeps the endpoints it has in `previous`: that its objects are
    missing says nothing. A cluster without the Service object has no endpoints, even with slices.
    """

    def __init__(
        self,
        members: Mapping[str, MemberObjects],
        clusters: Iterable[str],
        *,
        allow_loopback: bool = False,
        previous: Snapshot | None = None,
        server_groups: Mapping[str, Service] | None = None,
        own: OwnSockets | None = None,
        hosts: Mapping[str, HostAddresses] | None = None,
    ) -> None:
        self._members = members
        self._clusters = tuple(sorted(clusters))
        self._allowed = Allowed(allow_loopback, own or OwnSockets(Facts(), ()))
        self._hosts = HostNames(hosts or {}, self._allowed)
        self._previous = {service.id: service for service in previous.services} if previous else {}
        self._slices = {
            cluster: _slices_by_service(members[cluster])
            for cluster in self._clusters
            if self._is_synced(cluster)
        }
        self._server_groups = server_groups or {}
        self._resolved: dict[str, Resolution] = {}

    def resolve(self, service_id: str) -> Resolution:
        """Return the resolution of a ServiceRef.id, or of a server group's."""
        resolution = self._resolved.get(service_id)
        if resolution is None:
            resolution = self._resolved[service_id] = self._resolve(service_id)
        return resolution

    @property
    def hosts(self) -> frozenset[str]:
        """Host names that the services resolved so far are to be reached by."""
        return frozenset(self._hosts.wanted)

    def _is_synced(self, cluster: str) -> bool:
        return cluster in self._members and self._members[cluster].synced

    def _resolve(self, service_id: str) -> Resolution:
        if service_id.startswith(GROUP):
            group = self._server_groups.get(service_id) or Service(service_id, ())
            return Resolution(group, frozenset(), {}, frozenset(), frozenset(), ())
        ref = ServiceRef.parse(service_id)
        parts: list[ClusterEndpoints] = []
        existing: set[str] = set()
        without_port: dict[str, str] = {}
        refused: list[Refused] = []
        troubles: list[tuple[str, HostTrouble]] = []
        unsynced = {cluster for cluster in self._clusters if not self._knows(cluster, ref)}
        for cluster in self._clusters:
            if cluster in unsynced:
                parts += self._kept(service_id, cluster)
                continue
            service = self._members[cluster].services.get(ref.key_in(cluster))
            if service is None:
                continue
            existing.add(cluster)
            of_hosts = HostEndpoints(self._hosts, self._kept(service_id, cluster))
            part = self._part(cluster, service, ref, of_hosts, refused)
            if part is None:
                without_port[cluster] = _listed_ports(service)
                continue
            parts.append(part)
            troubles += [(cluster, trouble) for trouble in dict.fromkeys(of_hosts.troubles)]
        return Resolution(
            Service(service_id, tuple(parts)),
            frozenset(existing),
            without_port,
            frozenset(unsynced),
            frozenset(cluster for cluster in unsynced if self._denies_pods(cluster, ref)),
            tuple(refused),
            tuple(troubles),
        )

    def _part(
        self,
        cluster: str,
        service: ServiceObject,
        ref: ServiceRef,
        of_hosts: HostEndpoints,
        refused: list[Refused],
    ) -> ClusterEndpoints | None:
        """Return the endpoints of a Service in a cluster, None where it has no such port."""
        if service.spec.type == EXTERNAL_NAME:
            number = external_port(service, ref.port_in(cluster))
            if number is None:
                return None
            if not ref.labels:  # else only pods are asked for
                of_hosts.add(service.spec.external_name, number, is_ready=True)
            return ClusterEndpoints(cluster, of_hosts.endpoints(()), pods=False)
        port_name = _port_name(service, ref.port_in(cluster))
        if port_name is None:
            return None
        slices = self._slices[cluster].get(ref.key_in(cluster), ())
        wanted = _Wanted(port_name, ref.labels, self._members[cluster].pods.get(ref.namespace, {}))
        endpoints = _Collector(cluster, wanted, self._allowed, refused, of_hosts).collect(slices)
        return ClusterEndpoints(cluster, of_hosts.endpoints(endpoints), pods=not of_hosts.is_used)

    def _knows(self, cluster: str, ref: ServiceRef) -> bool:
        return self._is_synced(cluster) and (not ref.labels or ref.namespace in self._members[cluster].pods)

    def _denies_pods(self, cluster: str, ref: ServiceRef) -> bool:
        return self._is_synced(cluster) and ref.namespace in self._members[cluster].pods_denied

    def _kept(self, service_id: str, cluster: str) -> tuple[ClusterEndpoints, ...]:
        previous = self._previous.get(service_id)
        if previous is None:
            return ()
        return self._allowed.own.without(part for part in previous.clusters if part.cluster == cluster)


def _slices_by_service(member: MemberObjects) -> dict[str, list[EndpointSlice]]:
    found: dict[str, list[EndpointSlice]] = defaultdict(list)
    for key in sorted(member.slices):
        metadata = member.slices[key].metadata
        name = metadata.labels.get(SERVICE_NAME_LABEL)
        if name:
            found[f"{metadata.namespace}/{name}"].append(member.slices[key])
    return found


def _port_name(service: ServiceObject, port: str) -> str | None:
    """Return the name under which slices list a Service's port, None when there is no such port.

    The port "" is the first one.
    """
    for candidate in service.spec.ports:
        if candidate.protocol == "TCP" and port in ("", str(candidate.port), candidate.name):
            return candidate.name
    return None


def _listed_ports(service: ServiceObject) -> str:
    ports = [f"{port.port} {port.name}".strip() for port in service.spec.ports if port.protocol == "TCP"]
    return ", ".join(ports) or "none"


def _is_ready(conditions: EndpointConditions) -> bool | None:
    """Return True for ready, False for draining, None for an endpoint that must not serve (KEP-1669)."""
    if conditions.ready is not False:
        return True  # nil is ready
    if conditions.terminating and conditions.serving:
        return False
    return None


class _Wanted(msgspec.Struct, frozen=True):
    """The endpoints of a Service's slices that are wanted."""

    port_name: str
    labels: tuple[tuple[str, str], ...]
    pods: Mapping[str, Pod]

    def includes(self, endpoint: SliceEndpoint, namespace: str) -> bool:
        """Return whether the pod behind an endpoint carries the labels; an unknown pod does not."""
        if not self.labels:
            return True
        target = endpoint.target_ref
        if target is None or target.kind != "Pod":
            return False
        pod = self.pods.get(f"{namespace}/{target.name}")
        return pod is not None and all(pod.metadata.labels.get(key) == value for key, value in self.labels)


class _Collector:
    """Gathers the endpoints of one Service port from the slices of one cluster."""

    __slots__ = ("_allowed", "_cluster", "_of_hosts", "_refused", "_wanted")

    def __init__(
        self,
        cluster: str,
        wanted: _Wanted,
        allowed: Allowed,
        refused: list[Refused],
        of_hosts: HostEndpoints,
    ) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._allowed = allowed
        self._refused = refused
        self._of_hosts = of_hosts

    def collect(self, slices: Iterable[EndpointSlice]) -> tuple[Endpoint, ...]:
        families: dict[int, _Ready] = {4: {}, 6: {}}
        for piece in slices:
            version = _IP_VERSIONS.get(piece.address_type)
            if version is not None:
                for address, port, ready in self._chosen(piece):
                    if self._is_allowed(piece, address, port, version):
                        # While pods move between slices one can be in two: ready wins, and it counts once.
                        family = families[version]
                        family[address, port] = ready or family.get((address, port), False)
            elif piece.address_type == _NAMES:
                for host, port, ready in self._chosen(piece):
                    self._of_hosts.add(host, port, is_ready=ready)
        found = _one_family(families[4], families[6])
        return tuple(Endpoint(address, port, not ready) for (address, port), ready in sorted(found.items()))

    def _chosen(self, piece: EndpointSlice) -> Iterator[tuple[str, int, bool]]:
        """Yield address or name, port and readiness of the endpoints of a slice that may serve."""
        # The slice's port is the target port and may differ from slice to slice; nil is "all ports".
        ports = [
            port.port
            for port in piece.ports
            if port.name == self._wanted.port_name and port.protocol == "TCP" and port.port is not None
        ]
        for endpoint in piece.endpoints:
            ready = _is_ready(endpoint.conditions)
            if ready is None or not endpoint.addresses:
                continue
            if not self._wanted.includes(endpoint, piece.metadata.namespace):
                continue
            address = endpoint.addresses[0]  # the others have no defined meaning
            for port in ports:
                yield address, port, ready

    def _is_allowed(self, piece: EndpointSlice, address: str, port: int, version: int) -> bool:
        cause = self._allowed.cause(address, port, version)
        if cause:
            metadata = piece.metadata
            self._refused.append(Refused(self._cluster, metadata.namespace, metadata.name, address, cause))
        return not cause


def _one_family(ipv4: _Ready, ipv6: _Ready) -> _Ready:
    """Return one family's endpoints: the pods of a dual-stack Service are in both and count once."""
    for family in (ipv4, ipv6):
        if any(family.values()):
            return family
    return ipv4 or ipv6
