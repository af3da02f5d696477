"""Shares of clusters in the services of an Ingress, where a cluster does not get its own. Pure."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from controlplane.observe import shares
from controlplane.observe.absences import FAILING, SAME, SERVING, with_failback
from controlplane.observe.demand import DemandIndex, IngressKey
from controlplane.observe.failbacks import Failbacks
from controlplane.observe.shares import BackendShare, Services
from controlplane.publish import Pair
from proxy.model.actions import Backend, Forward, Split, SplitMode

T = TypeVar("T")


class ClusterShare(msgspec.Struct, frozen=True):
    """A cluster's part of a service's traffic, 0 to 1."""

    configured: float
    effective: float
    reason: str = ""  # why the cluster gets less than its configured share; "" where it gets the share


class ServiceShares(msgspec.Struct, frozen=True):
    """The shares of clusters in a service, without clusters that neither have nor should have a share."""

    clusters: Mapping[str, ClusterShare]
    served: bool  # whether any cluster or other service can serve

    @property
    def failed_over(self) -> list[str]:
        """The clusters that have failed over; a cluster that serves a smaller share has not."""
        return [cluster for cluster, each in self.clusters.items() if each.reason not in SERVING]

    @property
    def missing(self) -> float:
        return sum(max(0.0, each.configured - each.effective) for each in self.clusters.values())


Shortages = dict[IngressKey, dict[str, ServiceShares]]
"""By Ingress and service."""


def shortages(
    demand: DemandIndex, reasons: Mapping[Pair, str], counts: Services, full: Services, back: Failbacks
) -> Shortages:
    """Return the services of which a cluster does not get its share, by `reasons` or by a failback.

    `counts` are the present endpoints, `full` the endpoints if all clusters were healthy.
    """
    found: Shortages = {}
    reasons_by, back_by = _by_service(reasons), _by_service(back)
    for forward in demand.forwards(reasons_by.keys() | back_by.keys()):
        present = shares.of_backends(forward, counts)
        for backend, share in zip(forward.backends, present, strict=True):
            split, service = backend.split or forward.split, backend.service
            here = with_failback(reasons_by.get(service, {}), (split,), back_by.get(service, {}))
            reduced = _reduced(forward, backend, share, here, counts, full)
            if any(each.reason for each in reduced.clusters.values()):
                for ingress in demand.ingresses(forward):
                    _keep_worst(found.setdefault(ingress, {}), backend.service, reduced)
    return found


def _by_service(pairs: Mapping[Pair, T]) -> dict[str, dict[Pair, T]]:
    """Return the values by service: a cluster may fail for ten thousand services at once."""
    found: dict[str, dict[Pair, T]] = {}
    for pair, value in pairs.items():
        found.setdefault(pair[0], {})[pair] = value
    return found


def _keep_worst(services: dict[str, ServiceShares], service: str, reduced: ServiceShares) -> None:
    """Rules of an Ingress may divide a service differently: keep the division that lacks most."""
    known = services.get(service)
    if known is None or _weight(known) < _weight(reduced):
        services[service] = reduced


def _weight(reduced: ServiceShares) -> tuple[float, list[tuple[str, float]]]:
    """Return a sort key that orders equal divisions always in the same way."""
    return reduced.missing, [(cluster, each.configured) for cluster, each in reduced.clusters.items()]


def _reduced(
    forward: Forward,
    backend: Backend,
    share: BackendShare,
    reasons: Mapping[Pair, str],
    counts: Services,
    full: Services,
) -> ServiceShares:
    service, split = backend.service, backend.split or forward.split
    planned = shares.configured(split, full.get(service, {})) if share.configured else {}
    serves = share.served_by == service and share.effective
    present = shares.effective(split, counts.get(service, {})) if serves else {}
    served = any(part and reasons.get((service, cluster)) not in FAILING for cluster, part in present.items())
    clusters = {}
    for cluster in sorted(planned.keys() | present.keys()):
        before, now = planned.get(cluster, 0.0), present.get(cluster, 0.0)
        if before or now:
            reason = reasons.get((service, cluster), "")
            lost = _is_lost(before, now, reason, served) and not _is_count(split, reason)
            clusters[cluster] = ClusterShare(before, now, reason if lost else "")
    return ServiceShares(clusters, served or (not serves and bool(share.served_by)))


def _is_count(split: Split, reason: str) -> bool:
    """Whether a cluster gets less only because it counts for less."""
    return split.mode is SplitMode.ENDPOINTS and reason in SERVING


def _is_lost(configured: float, effective: float, reason: str, served: bool) -> bool:
    """Whether a cluster lacks its share. Where no cluster serves, requests to a failing one are lost, too."""
    if configured <= SAME or not reason:
        return False
    return effective < configured - SAME or (not served and reason in FAILING)
