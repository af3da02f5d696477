"""Why a cluster gets another part of a route's traffic than configured, in a word. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from controlplane.observe import failbacks
from controlplane.observe.breakers import Breakers
from controlplane.observe.endpoints import Merged
from controlplane.observe.failbacks import Failbacks
from controlplane.observe.shares import Parts
from controlplane.publish import Pair
from proxy.model.actions import Forward, Split, SplitMode
from proxy.model.snapshot import Snapshot

RAMPING: Final = "ramping"

REASONS: Final = {
    "no_endpoints": "the service has no endpoint in the cluster",
    "checks_failing": "all its endpoints there fail their health checks",
    "breaker_open": "the breaker of the cluster is open",
    "endpoints_failing": "all endpoints there are ejected, stalled, unreachable or fail checks",
    "held_out": "the cluster has failed, and is held out until `fleetgate failback` lets it back",
    "failback_delay": "the cluster has failed, and the delay of fleetgate.io/failback is not over",
    RAMPING: "its share grows again after a failure",
    "draining": "its endpoints there are terminating, or have no weight",
    "fewer_endpoints": "some of its endpoints there do not serve",
    "backend_failing": "the backend serves elsewhere, or leaves its part to another one",
    "takes_over": "the cluster gets the shares that others do not take",
}
"""The worst first; the last two are of a route, the others of one of its services in a cluster."""

FAILING: Final = frozenset(("no_endpoints", "checks_failing", "breaker_open", "endpoints_failing"))
"""Reasons with which a cluster can serve nothing."""

SERVING: Final = frozenset(("", "fewer_endpoints"))
"""Reasons with which it takes its share, or nearly; with the others it may not though it could."""

SAME: Final = 1e-9
"""Parts that differ by less are the same, summed up in another order."""

_ORDER: Final = [*REASONS]

Absences = Mapping[Pair, str]
"""The reason by service and cluster, "" where all endpoints serve; a missing pair has no endpoints."""


def absences(snapshot: Snapshot | None, endpoints: Iterable[Merged], breakers: Breakers) -> dict[Pair, str]:
    """Return the reason why each cluster does not take its whole share of each service."""
    states: dict[Pair, list[str]] = {
        (service.id, group.cluster): []
        for service in (snapshot.services if snapshot is not None else ())
        for group in service.clusters
    }
    for endpoint in endpoints:
        service, cluster, _, _ = endpoint.key
        spare = endpoint.state == "healthy" and not endpoint.weight
        states[service, cluster].append("draining" if spare else endpoint.state)
    phases = {pair: breaker.phase for pair, breaker in breakers.items()}
    return {pair: _reason(seen, phases.get(pair, "")) for pair, seen in states.items()}


def by_cluster(found: Absences) -> dict[str, dict[str, str]]:
    """Return the reasons that there are, by cluster and service."""
    reasons: dict[str, dict[str, str]] = {}
    for (service, cluster), reason in found.items():
        if reason:
            reasons.setdefault(cluster, {})[service] = reason
    return reasons


def with_failback(found: Absences, splits: Iterable[Split], back: Failbacks) -> Absences:
    """Return the reasons as they are where these splits say when clusters get their share back."""
    for split in splits:
        if split.failback is not None and back:
            by_failback = {pair: failbacks.reason(split.failback, pair, back) for pair in back}
            found = {**found, **{p: _worse(found.get(p, ""), why) for p, why in by_failback.items()}}
    return found


def _worse(one: str, other: str) -> str:
    return min((reason for reason in (one, other) if reason), key=_ORDER.index, default="")


def _reason(states: list[str], phase: str) -> str:
    seen = set(states)
    if not seen:
        return "no_endpoints"
    if seen == {"unhealthy"}:
        return "checks_failing"
    if phase == "open":
        return "breaker_open"
    if not seen & {"healthy", "draining"}:
        return "endpoints_failing"
    if phase == RAMPING:
        return RAMPING
    if "healthy" not in seen:
        return "draining"
    return "fewer_endpoints" if len(seen) > 1 else ""


def of_route(forward: Forward, configured: Parts, effective: Parts, found: Absences) -> dict[str, str]:
    """Return the reason for each cluster whose effective part is not the configured one."""
    more = _more(configured, effective)
    return {c: "takes_over" if more[c] > 0 else _worst(forward, c, found) for c in more}


def of_service(service: str, configured: Parts, effective: Parts, found: Absences) -> dict[str, str]:
    """Return the reason for each cluster whose effective part of one service is not the configured one."""
    more = _more(configured, effective)
    return {
        c: "takes_over" if more[c] > 0 else found.get((service, c), "no_endpoints") or "backend_failing"
        for c in more
    }


def _more(configured: Parts, effective: Parts) -> Parts:
    """Return the difference to the configured part, of each cluster with another part."""
    more = {
        cluster: effective.get(cluster, 0.0) - configured.get(cluster, 0.0)
        for cluster in sorted(configured.keys() | effective.keys())
    }
    return {cluster: part for cluster, part in more.items() if abs(part) > SAME}


def _worst(forward: Forward, cluster: str, found: Absences) -> str:
    services = _with_part(forward, cluster)
    reasons = {found.get((service, cluster), "no_endpoints") for service in services}
    return min((reason for reason in reasons if reason), key=_ORDER.index, default="backend_failing")


def _with_part(forward: Forward, cluster: str) -> Iterator[str]:
    """Yield the backends of which the cluster has a part while all is well."""
    for backend in forward.backends:
        split = backend.split or forward.split
        by_endpoints = split.mode is SplitMode.ENDPOINTS
        if any(share.cluster == cluster and (share.weight or by_endpoints) for share in split.shares):
            yield backend.service
