"""How a route's traffic is divided over the clusters of its gateway."""

from collections.abc import Mapping

import msgspec

from controlplane.translate.annotations import cluster_weight
from controlplane.translate.annotations.failover import CLUSTERS_KEY
from controlplane.translate.annotations.priority import CLUSTER_PRIORITY
from controlplane.translate.annotations.row import field_of
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.plan import IngressPlan
from proxy.model.actions import Failback, Share, Split, SplitMode


def split_of(plan: IngressPlan, gateway: LiveGateway, findings: Findings) -> Split:
    """Return the split of an Ingress's routes, with the way back of clusters that fail if it asks for one."""
    split, meant = _split(plan, gateway, findings), plan.failback
    if meant is None:
        return split
    failback = Failback(plan.subject.key, meant.manual, meant.delay_s, meant.ramp_s)
    return msgspec.structs.replace(split, failback=failback)


def _split(plan: IngressPlan, gateway: LiveGateway, findings: Findings) -> Split:
    """Return how it is divided.

    Without weights every endpoint counts the same. A weight of a cluster that is not attached is
    skipped; when no other is left it is as if none had been written, unless a failover annotation
    keeps the route out of the other clusters. Clusters a route may never use are not in the split
    at all, so no mistake further on can send them a byte.
    """
    attached = tuple(sorted(gateway.clusters))
    weights = _attached_weights(plan, gateway, findings)
    allowed = plan.failover.clusters
    levels = _priority_levels(plan, gateway, findings)
    if not plan.weights or (not any(weights.values()) and allowed is None):
        return _by_endpoints(attached, levels, allowed)
    standbys = attached if allowed is None else _attached_standbys(allowed, gateway, findings)
    shares = tuple(
        Share(cluster, weights.get(cluster, 0), levels.get(cluster, 0))
        for cluster in attached
        if weights.get(cluster) or cluster in standbys
    )
    if allowed is None:
        return Split(SplitMode.WEIGHTS, shares)
    return Split(SplitMode.WEIGHTS, shares, bool(standbys), tuple(standbys))


def _by_endpoints(
    attached: tuple[str, ...], levels: Mapping[str, int], allowed: tuple[str, ...] | None
) -> Split:
    """Return the split where every endpoint counts the same: without failover only the first level serves."""
    first = min((levels.get(cluster, 0) for cluster in attached), default=0)
    shares = tuple(
        Share(cluster, priority=levels.get(cluster, 0))
        for cluster in attached
        if allowed is None or levels.get(cluster, 0) == first or cluster in allowed
    )
    return Split(SplitMode.ENDPOINTS, shares)


def _priority_levels(plan: IngressPlan, gateway: LiveGateway, findings: Findings) -> dict[str, int]:
    """Return the level of each attached cluster, 0 first; those that are not named come last."""
    for cluster in (
        cluster for level in plan.priority_levels for cluster in level if cluster not in gateway.clusters
    ):
        written = " > ".join(",".join(level) for level in plan.priority_levels)
        _report(CLUSTER_PRIORITY.keys[0], written, cluster, gateway, findings)
    named = {cluster: number for number, level in enumerate(plan.priority_levels) for cluster in level}
    return {cluster: named.get(cluster, len(plan.priority_levels)) for cluster in gateway.clusters}


def _attached_weights(plan: IngressPlan, gateway: LiveGateway, findings: Findings) -> dict[str, int]:
    weights: dict[str, int] = {}
    for cluster, weight in plan.weights.items():
        if cluster in gateway.clusters:
            weights[cluster] = weight
        else:
            key = plan.weights_key or cluster_weight.FAMILY + cluster
            _report(key, cluster if plan.weights_key else weight, cluster, gateway, findings)
    return weights


def _attached_standbys(named: tuple[str, ...], gateway: LiveGateway, findings: Findings) -> tuple[str, ...]:
    for cluster in named:
        if cluster not in gateway.clusters:
            _report(CLUSTERS_KEY, ",".join(named), cluster, gateway, findings)
    return tuple(cluster for cluster in named if cluster in gateway.clusters)


def _report(key: str, value: object, cluster: str, gateway: LiveGateway, findings: Findings) -> None:
    hint = did_you_mean(cluster, gateway.clusters)
    known = ", ".join(gateway.clusters) or "none"
    findings.add(
        "FG0403", field_of(key), value, cluster=cluster, gateway=gateway.title, hint=hint, known=known
    )
