"""The choice of an endpoint for a request: for the first attempt, and after each failed one.

The choice of a backend is the same for all its requests; `keyed` and `sticky` have choices for one request.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from proxy.model.policies import RetryScope
from proxy.routing.shares import Reach, first_serving
from proxy.upstream.balancing.balance import Balancer
from proxy.upstream.balancing.split import ClusterSplit, PriorityLevel, is_in_panic
from proxy.upstream.cluster import LiveCluster
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.service import LiveService
from proxy.upstream.suspects import is_suspect


class Choice(ABC):
    """The endpoints of one request, one after the other."""

    __slots__ = ("service",)

    service: LiveService  # the service that is meant to serve

    @abstractmethod
    def first(self) -> LiveEndpoint | None:
        """Return the endpoint for the first attempt, None when there is no usable one anywhere."""

    @abstractmethod
    def following(
        self, tried: list[LiveEndpoint], *, attempts: int, stay: bool, within: Sequence[str] = ()
    ) -> LiveEndpoint | None:
        """Return the endpoint for another attempt after `attempts`, None when all have been tried.

        The last of `tried` has failed just now. `stay` is False when its cluster is at its connection
        limit. `within` are the clusters that may serve, () for all.
        """

    @abstractmethod
    def beside(self, tried: list[LiveEndpoint], *, within: Sequence[str] = ()) -> LiveEndpoint | None:
        """Return an endpoint for a connect beside the unanswered connects to `tried`; None for none.

        `within` as above. Connects without an answer say little so far: an endpoint with an open breaker is
        no alternative to `tried`.
        """

    @abstractmethod
    def instead(self, suspect: LiveEndpoint, now: float) -> LiveEndpoint | None:
        """Return an endpoint in place of a suspect: no suspect itself, and balancing gives it requests.

        None where there is none: then the suspect gets the request. `now` is monotonic.
        """

    @abstractmethod
    def service_of(self, endpoint: LiveEndpoint) -> LiveService | None:
        """Return the service that an endpoint belongs to, among the services that may serve."""

    def cluster_of(self, endpoint: LiveEndpoint) -> LiveCluster | None:
        """Return the cluster that an endpoint is in, None when the snapshot does not name it any more."""
        service = self.service_of(endpoint)
        return service.clusters.get(endpoint.cluster) if service is not None else None

    @abstractmethod
    def beside_quiet(self, endpoint: LiveEndpoint) -> LiveEndpoint:
        """Return another endpoint of its cluster that is not quiet, or this one where there is none."""


class BackendChoice(Choice):
    """A backend of a route: its service, and the fallbacks that serve instead of it."""

    __slots__ = ("_balancer", "_further", "_scope", "options", "split")

    def __init__(
        self,
        split: ClusterSplit,
        fallbacks: tuple[ClusterSplit, ...],
        balancer: Balancer | None,
        scope: RetryScope,
    ) -> None:
        self.service = split.service
        self.split = split
        self.options = (split, *fallbacks)
        self._balancer = balancer
        self._scope = scope
        self._further: tuple[ClusterSplit, ...] = ()

    def also(self, further: tuple[ClusterSplit, ...]) -> None:
        """Set the services of a request for which every attempt here and at the fallbacks has failed."""
        self._further = further

    def reach(self) -> Reach:
        return max([split.reach() for split in self.options])

    def serving(self) -> ClusterSplit:
        """Return the service that serves now: the backend's own, or the first fallback that can do more."""
        split = self.split
        if len(self.options) == 1 or split.reach() is Reach.SERVING:
            return split
        return self.options[first_serving([option.reach() for option in self.options])]

    def priority_levels(self, failed: str) -> list[tuple[ClusterSplit, PriorityLevel]]:
        """Return the priority levels for a request after the cluster `failed`, in order, panic last."""
        if self._scope is RetryScope.NONE:
            return []
        every = [
            (split, level) for split in (*self.options, *self._further) for level in split.priority_levels()
        ]
        if self._scope is RetryScope.SAME_CLUSTER:
            here = [(split, [item for item in level if item[0].name == failed]) for split, level in every]
            every = [(split, level) for split, level in here if level]
        return [
            *[item for item in every if not is_in_panic(item[1])],
            *[item for item in every if is_in_panic(item[1])],
        ]

    def first(self) -> LiveEndpoint | None:
        split = self.split if len(self.options) == 1 else self.serving()
        cluster = split.pick()
        if cluster is None:
            return None
        return cluster.pick() if self._balancer is None else self._balancer.pick(cluster, ())

    def following(
        self, tried: list[LiveEndpoint], *, attempts: int, stay: bool, within: Sequence[str] = ()
    ) -> LiveEndpoint | None:
        """The second attempt stays in the cluster if another live endpoint is there, so that one dead
        pod does not move a share; from the third on a cluster not tried yet is preferred."""
        if self._scope is RetryScope.NONE:
            return None
        cluster = self.cluster_of(tried[-1])
        if stay and attempts == 1 and cluster is not None and cluster.live:
            found = self._pick(cluster, tried)
            if found is not None:
                return found
        levels = self.priority_levels(tried[-1].cluster)
        others = [other for _, level in levels for other, _ in level if other is not cluster]
        untried = [other for other in others if not _is_among(other, tried)]
        here = [cluster] if cluster is not None else []
        for candidate in (*untried, *here, *others) if stay else untried:
            found = self._pick(candidate, tried) if not within or candidate.name in within else None
            if found is not None:
                return found
        return None

    def beside(self, tried: list[LiveEndpoint], *, within: Sequence[str] = ()) -> LiveEndpoint | None:
        """Another cluster of the same priority level, then the same cluster, then standbys."""
        for _, level in self.priority_levels(tried[-1].cluster):
            allowed = [cluster for cluster, _ in level if not within or cluster.name in within]
            clusters = [cluster for cluster in allowed if cluster.live or cluster.reserve]
            fresh = [cluster for cluster in clusters if not _is_among(cluster, tried)]
            for cluster in (*fresh, *[cluster for cluster in clusters if cluster not in fresh]):
                found = self._pick(cluster, tried)
                if found is not None and found not in tried:
                    return found
        return None

    def instead(self, suspect: LiveEndpoint, now: float) -> LiveEndpoint | None:
        """The cluster of the suspect comes first, then clusters with a share: a standby stays one."""
        own = self.cluster_of(suspect)
        here = [own] if own is not None else []
        beside = self.serving().priority_levels()[:1] if self._scope is RetryScope.ANY else []
        for cluster in (*here, *[cluster for level in beside for cluster, _ in level if cluster is not own]):
            trusted = [e for e in cluster.live if e is not suspect and not is_suspect(e, now)]
            if trusted:
                return trusted[cluster.step(len(trusted))]
        return None

    def beside_quiet(self, endpoint: LiveEndpoint) -> LiveEndpoint:
        cluster = self.cluster_of(endpoint)
        heard = [e for e in cluster.live if not e.is_quiet] if cluster is not None else []
        return heard[cluster.step(len(heard))] if heard and cluster is not None else endpoint

    def service_of(self, endpoint: LiveEndpoint) -> LiveService | None:
        for split in (*self.options, *self._further):
            if split.service.id == endpoint.service:
                return split.service
        return None

    def _pick(self, cluster: LiveCluster, tried: list[LiveEndpoint]) -> LiveEndpoint | None:
        return cluster.pick(tried) if self._balancer is None else self._balancer.pick(cluster, tried)


def _is_among(cluster: LiveCluster, tried: list[LiveEndpoint]) -> bool:
    return any(endpoint.home is cluster.home for endpoint in tried)
