"""The translation: from all objects of the API servers to the snapshot, the findings and the statuses."""

from collections.abc import Iterable, Mapping

import msgspec

from controlplane.resources.view import FleetObjects, MemberObjects
from controlplane.translate.backendtls import plan_backend_tls
from controlplane.translate.canaries import join_canaries
from controlplane.translate.checks import bind_checks, with_check
from controlplane.translate.clientcerts import ClientCertificates
from controlplane.translate.conflicts import report_conflicts
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from controlplane.translate.endpoints import Resolution, ServiceResolver
from controlplane.translate.gateways import Gateways, build_gateways
from controlplane.translate.grants import Grants
from controlplane.translate.hostaccess import guard_hosts
from controlplane.translate.hostbudgets import within_host_budgets
from controlplane.translate.hostowners import with_owners
from controlplane.translate.https import report_endless
from controlplane.translate.keypairs import NO_PAIRS, KeyPairs
from controlplane.translate.live import Outcome, World, translate_ingresses
from controlplane.translate.model import (
    CrossNamespace,
    Facts,
    HostOwnership,
    LastGood,
    ObjectStatus,
    Translation,
)
from controlplane.translate.ownsockets import OwnSockets
from controlplane.translate.servergroups import ServerGroups, build_groups
from controlplane.translate.services import labels_needed
from controlplane.translate.sessions import name_sessions
from controlplane.translate.sharing import report_sharing
from controlplane.translate.statuses import (
    gateway_status,
    ingress_status,
    released_status,
    server_group_status,
    unreadable_status,
)
from controlplane.translate.tlshosts import TlsPlan, plan_tls
from proxy.model.snapshot import Cluster, Listener, Route, Snapshot, destinations_of


def translate(
    fleet: FleetObjects,
    members: Mapping[str, MemberObjects],
    facts: Facts,
    last_good: LastGood,
    version: int,
    previous: Snapshot | None = None,
    pairs: KeyPairs = NO_PAIRS,
) -> Translation:
    """Return the snapshot, the findings and the statuses for the current objects.

    `last_good` comes from the translation before. `previous` is the snapshot in use: a member
    cluster that was not listed completely yet keeps the endpoints it has there, and a host whose Secrets
    were not listed yet its certificate. Equal arguments give equal results, in any order of the mappings.
    """
    gateways = build_gateways(fleet, facts, last_good)
    attached = gateways.attached
    own = OwnSockets(facts, (listener.port for gateway in gateways.all for listener in gateway.listeners))
    groups = build_groups(fleet, facts, last_good, previous, own)
    resolver = ServiceResolver(
        members,
        attached,
        allow_loopback=facts.allow_loopback,
        previous=previous,
        server_groups=groups.services,
        own=own,
        hosts=facts.hosts,
    )
    grants = Grants(
        fleet.reference_grants.values(),
        allow_all=facts.tenancy.cross_namespace is CrossNamespace.ALLOW,
        absence=facts.no_grants,
    )
    world = World(fleet, gateways, groups, resolver, last_good, facts.limits, grants)
    outcomes = _accepted(world, facts.tenancy.host_ownership)
    joined = join_canaries(outcomes, grants)
    routes = name_sessions(guard_hosts(outcomes, joined.routes))
    demands = ClientCertificates(outcomes, pairs)
    tls = plan_tls(gateways, outcomes, pairs, demands, facts.today, previous)
    report_endless(outcomes, facts.trusted_proxies)
    findings = {outcome.findings.subject.key: outcome.findings for outcome in outcomes}
    report_conflicts(routes, findings)
    report_sharing(routes, findings)
    routes = demands.closed(routes, tls.listeners, tls.claimed, outcomes)
    service_ids = {service for route in routes for service, _ in destinations_of(route)}
    checks = bind_checks(outcomes)
    secured = plan_backend_tls(service_ids, outcomes, pairs, facts.today, previous)
    resolutions = [resolver.resolve(service_id) for service_id in sorted(service_ids)]
    snapshot = Snapshot(
        version=version,
        listeners=_listeners(gateways, tls, facts.listen_address),
        routes=routes,
        services=tuple(secured.with_tls(with_check(each.service, checks)) for each in resolutions),
        clusters=_clusters(attached, members),
        limits=facts.limits,
        trusted_proxies=facts.trusted_proxies,
        gateway=facts.gateway,
        hosts_owned=facts.tenancy.host_ownership is HostOwnership.NAMESPACE,
    )
    return Translation(
        snapshot=snapshot,
        diagnostics=_diagnostics(
            fleet,
            gateways,
            outcomes,
            [*groups.findings, *_member_findings(attached, members, resolutions)],
        ),
        statuses=(
            *_statuses(gateways, outcomes, joined.idle, members, facts, tls),
            *map(server_group_status, groups.groups.values()),
        ),
        last_good=_next_last_good(gateways, outcomes, groups),
        attached=attached,
        labelled=labels_needed(service_ids),
        hosts=groups.hosts | resolver.hosts,
        certificates={**tls.certificates, **demands.reader.bundles, **secured.certificates},
        pairs={**tls.pairs, **secured.pairs},
        authorities=demands.reader.used,
        secret_namespaces=tls.namespaces | secured.namespaces,
        named_secrets=frozenset(demands.reader.wanted),
    )


def _accepted(world: World, ownership: HostOwnership) -> tuple[Outcome, ...]:
    """Return the outcome of each Ingress, without rules under hosts of others or over a budget.

    Rules that are refused for their host use up no budget of that host. The earlier versions that budgets
    bring back are checked once more.
    """
    owned = with_owners(translate_ingresses(world), ownership)
    return with_owners(within_host_budgets(owned, world), ownership)


def _listeners(gateways: Gateways, tls: TlsPlan, address: str) -> tuple[Listener, ...]:
    listeners = (
        msgspec.structs.replace(listener, address=address, tls=tls.listeners.get(listener.port))
        for gateway in gateways.all
        for listener in gateway.listeners
    )
    return tuple(sorted(listeners, key=lambda listener: listener.port))


def _clusters(attached: Iterable[str], members: Mapping[str, MemberObjects]) -> tuple[Cluster, ...]:
    clusters: list[Cluster] = []
    for name in sorted(attached):
        member = members.get(name)
        synced = member is not None and member.synced
        clusters.append(Cluster(name, synced, member is not None and member.stale))
    return tuple(clusters)


def _unreadable_others(fleet: FleetObjects) -> list[Findings]:
    found: list[Findings] = []
    for malformed in fleet.malformed:
        if malformed.kind in ("IngressClass", "ReferenceGrant"):
            findings = Findings(Subject(malformed.kind, malformed.namespace, malformed.name, malformed.uid))
            findings.add("FG0100", problem=malformed.error)
            found.append(findings)
    return found


def _member_findings(
    attached: Iterable[str], members: Mapping[str, MemberObjects], resolutions: Iterable[Resolution]
) -> list[Findings]:
    """Return the findings about objects in member clusters, once per object, cluster and cause."""
    found: list[Findings] = []
    for cluster in sorted(attached):
        for malformed in members[cluster].malformed if cluster in members else ():
            findings = Findings(Subject(malformed.kind, malformed.namespace, malformed.name))
            findings.add("FG0100", problem=f"{cluster}: {malformed.error}")
            found.append(findings)
    first_of_each = {
        (refused.cluster, refused.namespace, refused.slice, refused.cause): refused
        for resolution in resolutions
        for refused in reversed(resolution.refused)
    }
    for refused in first_of_each.values():
        findings = Findings(Subject("EndpointSlice", refused.namespace, refused.slice))
        findings.add(
            "FG0603",
            "endpoints[].addresses[0]",
            refused.address,
            cluster=refused.cluster,
            address=refused.address,
            cause=refused.cause,
        )
        found.append(findings)
    return found


def _diagnostics(
    fleet: FleetObjects, gateways: Gateways, outcomes: Iterable[Outcome], others: Iterable[Findings]
) -> tuple[Diagnostic, ...]:
    findings = [
        *(gateway.findings for gateway in gateways.all),
        *gateways.unreadable,
        *(outcome.findings for outcome in outcomes),
        *_unreadable_others(fleet),
        *others,
    ]
    findings.sort(key=lambda item: (item.subject.kind, item.subject.namespace, item.subject.name))
    return tuple(diagnostic for item in findings for diagnostic in item.items)


def _statuses(
    gateways: Gateways,
    outcomes: Iterable[Outcome],
    idle: frozenset[str],
    members: Mapping[str, MemberObjects],
    facts: Facts,
    tls: TlsPlan,
) -> tuple[ObjectStatus, ...]:
    return (
        *(gateway_status(gateway, members, facts, tls.listed) for gateway in gateways.all),
        *(unreadable_status(findings) for findings in gateways.unreadable),
        *(
            ingress_status(outcome.findings.subject, _serving_routes(outcome, idle), facts)
            for outcome in outcomes
            if outcome.ours
        ),
        *(
            released_status(outcome.findings.subject, facts)
            for outcome in outcomes
            if not outcome.ours and facts.address
        ),
    )


def _serving_routes(outcome: Outcome, idle: frozenset[str]) -> list[Route]:
    """Return the routes that clients may use at the address of the gateway."""
    if outcome.plan is not None and outcome.plan.closed is not None:
        return []
    return [route for route in outcome.routes if route.id not in idle]


def _next_last_good(gateways: Gateways, outcomes: Iterable[Outcome], groups: ServerGroups) -> LastGood:
    return LastGood(
        ingresses={
            outcome.findings.subject.identity: outcome.live
            for outcome in outcomes
            if outcome.live is not None
        },
        albconfigs=dict(gateways.good_albconfigs),
        mse_configs=dict(gateways.good_mse_configs),
        server_groups=dict(groups.good),
    )
