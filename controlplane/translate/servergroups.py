"""ServerGroups to services of the snapshot: zones stand for clusters, addresses of host names for pods."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import lcm
from typing import Final

import msgspec
from msgspec import field

from controlplane.resources.servergroup import ServerGroup
from controlplane.resources.view import FleetObjects
from controlplane.translate.addresses import refused_address
from controlplane.translate.diagnostics import Findings, Subject, did_you_mean
from controlplane.translate.model import Facts, HostAddresses, LastGood
from controlplane.translate.ownsockets import OwnSockets
from controlplane.translate.servers import GroupPlan, PlannedServer, plan_group
from controlplane.translate.services import group_id
from proxy.model.actions import Destination, Share, Split, SplitMode
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot

_UNRESOLVED: Final = HostAddresses()


def zone_cluster(zone: str) -> str:
    """Return the name of a zone in places where clusters are named; no cluster id has a colon."""
    return f"zone:{zone}"


class Group(msgspec.Struct, frozen=True):
    """The live version of one ServerGroup. `findings` are about its newest version."""

    findings: Findings
    spec_id: str
    created: str
    service: Service
    split: Split
    hosts: frozenset[str]
    servers: int

    @property
    def subject(self) -> Subject:
        return self.findings.subject


class ServerGroups(msgspec.Struct, frozen=True):
    groups: Mapping[str, Group] = field(default_factory=dict)  # by "namespace/name"
    unreadable: tuple[Findings, ...] = ()  # about ServerGroups of which no version can be used
    good: Mapping[str, ServerGroup] = field(default_factory=dict)  # for the next translation
    _ids: Mapping[tuple[str, str], Group] = field(default_factory=dict)  # by namespace and spec.id

    @property
    def hosts(self) -> frozenset[str]:
        """Host names of servers, to be resolved."""
        return frozenset(host for group in self.groups.values() for host in group.hosts)

    @property
    def services(self) -> Mapping[str, Service]:
        """The services by id."""
        return {group.service.id: group.service for group in self.groups.values()}

    @property
    def findings(self) -> Iterator[Findings]:
        yield from (group.findings for group in self.groups.values())
        yield from self.unreadable

    def resolve(self, namespace: str, reference: str) -> Destination:
        """Return the destination of a ServerGroupID; an unknown group counts as one without endpoints."""
        group = self._find(namespace, reference)
        if group is not None:
            return Destination(group.service.id, group.split)
        return Destination(group_id(namespace, reference), Split(SplitMode.ENDPOINTS, ()))

    def check(self, namespace: str, reference: str, field: str, effect: str, findings: Findings) -> None:
        """Report a missing ServerGroup at the field that names it; `effect` is the consequence."""
        if self._find(namespace, reference) is not None:
            return
        known = [group for group in self.groups.values() if group.subject.namespace == namespace]
        names = {group.subject.name for group in known} | {group.spec_id for group in known} - {""}
        hint = did_you_mean(reference, names)
        findings.add(
            "FG0607", field, reference, reference=reference, namespace=namespace, hint=hint, effect=effect
        )

    def _find(self, namespace: str, reference: str) -> Group | None:
        """Return the group with this spec.id, or else this name, in the namespace."""
        return self._ids.get((namespace, reference)) or self.groups.get(f"{namespace}/{reference}")


def build_groups(
    fleet: FleetObjects,
    facts: Facts,
    last_good: LastGood,
    previous: Snapshot | None,
    own: OwnSockets | None = None,
) -> ServerGroups:
    """Return every ServerGroup in its live version.

    A server whose host name has no address yet keeps the endpoints it may have in `previous`.
    """
    kept = {service.id: service for service in previous.services} if previous else {}
    own = own or OwnSockets(facts, ())
    groups: dict[str, Group] = {}
    good: dict[str, ServerGroup] = {}
    unreadable: list[Findings] = []
    for findings, current in _newest(fleet):
        chosen = _choose(current, last_good.server_groups.get(findings.subject.identity), facts, findings)
        if chosen is None:
            unreadable.append(findings)
            continue
        version, plan, complete = chosen
        groups[findings.subject.key] = _group(version, plan, facts, own, findings, kept)
        if complete:
            good[findings.subject.identity] = version
    return ServerGroups(dict(sorted(groups.items())), tuple(unreadable), good, _by_id(groups.values()))


def _newest(fleet: FleetObjects) -> Iterator[tuple[Findings, ServerGroup | None]]:
    """Yield each ServerGroup that is not being deleted; None for a ServerGroup that cannot be read."""
    for group in fleet.server_groups.values():
        if group.metadata.deletion_timestamp is None:
            yield Findings(Subject.of("ServerGroup", group.metadata)), group
    for malformed in fleet.malformed:
        if malformed.kind == "ServerGroup":
            subject = Subject(malformed.kind, malformed.namespace, malformed.name, malformed.uid)
            findings = Findings(subject)
            findings.add("FG0100", problem=malformed.error)
            yield findings, None


def _choose(
    current: ServerGroup | None, kept: ServerGroup | None, facts: Facts, findings: Findings
) -> tuple[ServerGroup, GroupPlan, bool] | None:
    """Return the version to use, its plan, and whether all of it can be used."""
    plan: GroupPlan | None = None
    if current is not None:
        plan = plan_group(current, facts.allow_loopback, findings)
        if not findings.failed:
            return current, plan, True
    if kept is not None:
        findings.note_on_errors("the last good version stays live")
        return kept, plan_group(kept, facts.allow_loopback, Findings(findings.subject)), True
    if current is None or plan is None:
        findings.note_on_errors("the ServerGroup is not used")
        return None
    findings.note_on_errors(
        "the rest of the ServerGroup is used" if plan.servers else "none of its servers is used"
    )
    return current, plan, False


def _group(
    version: ServerGroup,
    plan: GroupPlan,
    facts: Facts,
    own: OwnSockets,
    findings: Findings,
    kept: Mapping[str, Service],
) -> Group:
    subject = findings.subject
    service_id = group_id(subject.namespace, subject.name)
    servers = [(server, _addresses(server, facts, own, findings)) for server in plan.servers]
    clusters = _endpoints(servers)
    before = kept.get(service_id)
    _keep(plan, facts, clusters, own.without(before.clusters) if before is not None else ())
    service = Service(
        service_id,
        tuple(
            # Behind the address may be a machine, a balancer, or the gateway of a cluster
            ClusterEndpoints(
                zone_cluster(zone), tuple(clusters[zone][key] for key in sorted(clusters[zone])), pods=False
            )
            for zone in plan.zones
        ),
        plan.health,
        plan.tls,
    )
    shares = tuple(Share(zone_cluster(zone), priority=plan.priority(zone)) for zone in plan.zones)
    hosts = frozenset(server.address for server in plan.servers if server.is_host)
    return Group(
        findings=findings,
        spec_id=version.spec.id,
        created=version.metadata.creation_timestamp,
        service=service,
        split=Split(SplitMode.ENDPOINTS, shares),
        hosts=hosts,
        servers=len(plan.servers),
    )


_Zones = dict[str, dict[tuple[str, int], Endpoint]]
"""Endpoints by zone, and by address and port."""


def _addresses(server: PlannedServer, facts: Facts, own: OwnSockets, findings: Findings) -> tuple[str, ...]:
    """Return the addresses of a server that may be used."""
    at = f"{server.field}.address"
    if not server.is_host:
        cause = own.cause(server.address, server.port)
        if cause:
            findings.add("FG0613", at, server.address, address=server.address, cause=cause)
        return () if cause else (server.address,)
    found = facts.hosts.get(server.address, _UNRESOLVED)
    if found.problem:
        effect = "its last known addresses stay in use" if found.addresses else "it is not used"
        findings.add("FG0608", at, server.address, host=server.address, problem=found.problem, effect=effect)
    usable: list[str] = []
    for address in found.addresses:
        cause = refused_address(address, 6 if ":" in address else 4, facts.allow_loopback) or own.cause(
            address, server.port
        )
        if cause:
            findings.add("FG0609", at, server.address, host=server.address, address=address, cause=cause)
        else:
            usable.append(address)
    return tuple(usable)


def _endpoints(servers: Iterable[tuple[PlannedServer, tuple[str, ...]]]) -> _Zones:
    """Return the endpoints; the addresses of one server share its weight, exactly.

    Two servers may turn out to be the same address: it counts once, with both weights.
    """
    servers = list(servers)
    scale = lcm(*(len(addresses) or 1 for _, addresses in servers))
    weights: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    for server, addresses in servers:
        for address in addresses:
            weights[server.zone][address, server.port] += server.weight * scale // len(addresses)
    zones: _Zones = defaultdict(dict)
    for zone, counted in weights.items():
        zones[zone] = {key: Endpoint(*key, weight=weight) for key, weight in counted.items()}
    return zones


def _keep(plan: GroupPlan, facts: Facts, clusters: _Zones, before: tuple[ClusterEndpoints, ...]) -> None:
    """Add the earlier endpoints that servers without an address may have had: same zone, same port."""
    waiting = {
        (zone_cluster(server.zone), server.port): server.zone
        for server in plan.servers
        if server.is_host and not facts.hosts.get(server.address, _UNRESOLVED).addresses
    }
    for part in before:
        for endpoint in part.endpoints:
            zone = waiting.get((part.cluster, endpoint.port))
            if zone is not None:
                clusters[zone].setdefault((endpoint.address, endpoint.port), endpoint)


def _by_id(groups: Iterable[Group]) -> dict[tuple[str, str], Group]:
    """Index by spec.id; an id of several groups in a namespace belongs to the oldest group."""
    owners: dict[tuple[str, str], Group] = {}
    for group in sorted(groups, key=lambda group: (group.created, group.subject.name)):
        if not group.spec_id:
            continue
        owner = owners.setdefault((group.subject.namespace, group.spec_id), group)
        if owner is not group:
            group.findings.add("FG0612", "spec.id", group.spec_id, owner=owner.subject.name)
    return owners
