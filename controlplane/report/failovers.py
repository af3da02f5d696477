"""Events on Ingresses: a cluster does not get its shares of their services, and it gets them again."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import field

from controlplane.kube.events import BOUNDS, EventRecorder, EventSubject
from controlplane.observe.absences import RAMPING, SERVING
from controlplane.observe.demand import IngressKey
from controlplane.observe.shortages import ServiceShares
from controlplane.observe.timeline import GAP_S, Failover
from controlplane.observe.unavailable import UnavailableClusters
from controlplane.publish import Pair
from controlplane.report.texts import lost_text, returned_text

FAILED_OVER, RETURNED, NOBODY = "ClusterFailedOver", "ClusterReturned", "NoClusterServes"

ROOM: Final = BOUNDS.of_namespace // 2
"""Waiting Events of a namespace up to which more are added: the rest of its queue is for findings."""

TRY_AGAIN_S: Final = 10.0
"""Pause after an Event that was not taken, because it was written lately or the queue is full."""

Key = tuple[IngressKey, str]
"""An Ingress and a cluster."""

Lost = dict[Key, dict[str, ServiceShares]]
"""Services of which a cluster does not get its share."""

Subject = Callable[[IngressKey], EventSubject | None]
"""The Ingress as Events name it; None when the Fleet does not have it."""

History = Callable[[Pair], Failover | None]
"""The latest failover of a cluster from a service."""


class _Loss(msgspec.Struct):
    """The shares that a cluster has lost on an Ingress."""

    since: float
    served: Mapping[Pair, int]  # requests until then
    services: dict[str, float] = field(default_factory=dict)  # the configured share of each, 0 to 1
    told: set[str] = field(default_factory=set)
    try_at: float = 0.0


class _Return(msgspec.Struct):
    loss: _Loss
    at: float
    reduced: dict[str, float]  # the shares of services of which the cluster still gets less than configured
    elsewhere: int  # requests of its shares that others served
    try_at: float


class FailoverEvents:
    """See `tell`. An Event that cannot be written now, after an equal one, is written later if it holds."""

    def __init__(self, recorder: EventRecorder, subject: Subject, history: History) -> None:
        self._recorder = recorder
        self._subject = subject
        self._history = history
        self._losses: dict[Key, _Loss] = {}
        self._returns: dict[Key, _Return] = {}

    @property
    def is_counting(self) -> bool:
        """Whether the numbers of requests that clusters serve are needed."""
        return bool(self._losses)

    def tell(self, unavailable: UnavailableClusters, *, leading: bool) -> None:
        """Compare with the last Events. Only the leader writes; other replicas keep track, to take over."""
        lost = dict(_by_cluster(unavailable))
        self._resume(lost, unavailable)
        for key in [key for key in self._losses if key not in lost]:
            self._end(key, unavailable)
        for key, services in lost.items():
            loss = self._losses.setdefault(key, _Loss(unavailable.now, unavailable.served))
            for service, reduced in services.items():
                loss.services.setdefault(service, reduced.clusters[key[1]].configured)
            if leading and not services.keys() <= loss.told:
                self._tell_loss(key, loss, services, unavailable)
        if not leading:
            self._returns.clear()
        for key, back in [*self._returns.items()]:
            self._tell_return(key, back, unavailable.now)

    def _resume(self, lost: Lost, unavailable: UnavailableClusters) -> None:
        """Continue a loss whose end was not written yet and did not last: by the Events it still goes on."""
        for key, back in [*self._returns.items()]:
            if key in lost or _reasons(key, back.loss, unavailable) == {RAMPING}:
                del self._returns[key]
                self._losses[key] = back.loss

    def _end(self, key: Key, unavailable: UnavailableClusters) -> None:
        """End a loss when the cluster serves. A cluster that lost its share by new rules gets no Event."""
        loss, reasons = self._losses[key], _reasons(key, self._losses[key], unavailable)
        if reasons == {RAMPING}:
            return
        del self._losses[key]
        if loss.told and not reasons:
            ingress, cluster = key
            reduced = unavailable.shortages.get(ingress, {})
            present = {
                service: each.clusters[cluster].effective
                for service, each in reduced.items()
                if cluster in each.clusters
            }
            elsewhere = served_elsewhere(cluster, loss.services, loss.served, unavailable.served)
            self._returns[key] = _Return(loss, unavailable.now, present, elsewhere, unavailable.now + GAP_S)

    def _tell_loss(
        self, key: Key, loss: _Loss, services: dict[str, ServiceShares], unavailable: UnavailableClusters
    ) -> None:
        ingress, cluster = key
        if loss.try_at > unavailable.now or self._recorder.pending_in(ingress[0]) >= ROOM:
            return
        loss.try_at = unavailable.now + TRY_AGAIN_S
        subject = self._subject(ingress)
        if subject is None:
            return
        first = next(iter(services))
        reason = FAILED_OVER if any(reduced.served for reduced in services.values()) else NOBODY
        states = unavailable.states.get((first, cluster), Counter())
        text = lost_text(cluster, services, states, self._history((first, cluster)))
        since = unavailable.now if loss.told else loss.since
        if self._recorder.record(subject, "Warning", reason, text, about=cluster, since=since):
            loss.told.update(services)

    def _tell_return(self, key: Key, back: _Return, now: float) -> None:
        ingress, cluster = key
        if back.try_at > now or self._recorder.pending_in(ingress[0]) >= ROOM:
            return
        back.try_at = now + TRY_AGAIN_S
        subject = self._subject(ingress)
        if subject is not None:
            text = self._return_text(cluster, back)
            if not self._recorder.record(subject, "Normal", RETURNED, text, about=cluster, since=back.at):
                return
        del self._returns[key]

    def _return_text(self, cluster: str, back: _Return) -> str:
        found = {service: self._history((service, cluster)) for service in back.loss.services}
        ended = {
            service: failover
            for service, failover in found.items()
            if failover is not None and failover.end > back.loss.since
        }
        start = min((failover.start for failover in ended.values()), default=back.loss.since)
        seconds = back.at - min(start, back.loss.since)
        return returned_text(cluster, back.loss.services, back.reduced, seconds, ended, back.elsewhere)


def served_elsewhere(
    cluster: str, shares: Mapping[str, float], before: Mapping[Pair, int], after: Mapping[Pair, int]
) -> int:
    """Return how many requests of a cluster's shares (0 to 1, by service) other clusters have served."""
    served: Counter[Pair] = Counter(after)
    served.subtract(before)
    totals: Counter[str] = Counter()
    for (service, by), count in served.items():
        totals[service] += count if by else 0
    missing = (share * totals[service] - served[service, cluster] for service, share in shares.items())
    return round(sum(max(0.0, each) for each in missing))


def _reasons(key: Key, loss: _Loss, unavailable: UnavailableClusters) -> set[str]:
    """Return why the cluster does not serve the services that it had lost."""
    return {unavailable.reasons.get((service, key[1]), "") for service in loss.services} - SERVING


def _by_cluster(unavailable: UnavailableClusters) -> Iterator[tuple[Key, dict[str, ServiceShares]]]:
    """Yield each Ingress and cluster with the services of which the cluster does not get its share."""
    for ingress, services in unavailable.shortages.items():
        clusters: dict[str, dict[str, ServiceShares]] = {}
        for service, reduced in sorted(services.items()):
            for cluster in reduced.failed_over:
                clusters.setdefault(cluster, {})[service] = reduced
        for cluster, lost in clusters.items():
            yield (ingress, cluster), lost
