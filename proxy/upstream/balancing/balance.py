"""How an endpoint is chosen inside a cluster, by a route that does not want `LiveCluster.pick`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import choices, randrange

from proxy.model.actions import Algorithm, Balance
from proxy.upstream.cluster import LiveCluster
from proxy.upstream.endpoint import LiveEndpoint


class Balancer(ABC):
    """Chooses among the endpoints of a cluster. Holds nothing of any cluster."""

    __slots__ = ()

    @abstractmethod
    def pick(self, cluster: LiveCluster, tried: Sequence[LiveEndpoint]) -> LiveEndpoint | None:
        """Return an endpoint that is not in `tried`, None when there is none."""


class LeastRequest(Balancer):
    """The default choice of a cluster: the less busy of two endpoints."""

    __slots__ = ()

    def pick(self, cluster: LiveCluster, tried: Sequence[LiveEndpoint]) -> LiveEndpoint | None:
        return cluster.pick(tried)


class RoundRobin(Balancer):
    __slots__ = ()

    def pick(self, cluster: LiveCluster, tried: Sequence[LiveEndpoint]) -> LiveEndpoint | None:
        if cluster.weighted is not None and not tried:
            return cluster.live[cluster.weighted.next()]
        candidates = cluster.candidates(tried)
        return candidates[cluster.step(len(candidates))] if candidates else None


class Random(Balancer):
    __slots__ = ()

    def pick(self, cluster: LiveCluster, tried: Sequence[LiveEndpoint]) -> LiveEndpoint | None:
        candidates = cluster.candidates(tried)
        if not candidates:
            return None
        if cluster.weighted is None:
            return candidates[randrange(len(candidates))]
        return choices(candidates, [endpoint.weight or 1 for endpoint in candidates])[0]


class LeastConnection(Balancer):
    """The least busy endpoint of all, for its weight; equally busy ones in turns."""

    __slots__ = ()

    def pick(self, cluster: LiveCluster, tried: Sequence[LiveEndpoint]) -> LiveEndpoint | None:
        candidates = cluster.candidates(tried)
        if not candidates:
            return None
        start = cluster.step(len(candidates))
        best = candidates[start]
        for endpoint in candidates[start + 1 :] + candidates[:start]:
            if endpoint.in_flight * (best.weight or 1) < best.in_flight * (endpoint.weight or 1):
                best = endpoint
        return best


class SlowStart(Balancer):
    """Slow start: a new endpoint takes only a part of the requests that fall to it, the others get the rest.

    The part grows linearly. The requests that are handed over are counted out, not drawn by lot.
    """

    __slots__ = ("_balancer", "_seconds")

    def __init__(self, balancer: Balancer, seconds: float) -> None:
        self._balancer = balancer
        self._seconds = seconds

    def pick(self, cluster: LiveCluster, tried: Sequence[LiveEndpoint]) -> LiveEndpoint | None:
        found = self._balancer.pick(cluster, tried)
        if tried or found is None:
            return found
        now = cluster.home.clock.now()
        if now - cluster.newest >= self._seconds:
            return found
        for _ in cluster.live:  # where all are new no other one can take the rest
            if found is None or found.takes_part(now, self._seconds):
                break
            found = self._balancer.pick(cluster, tried)
        return found


_BALANCERS: dict[Algorithm, type[Balancer]] = {
    Algorithm.ROUND_ROBIN: RoundRobin,
    Algorithm.RANDOM: Random,
    Algorithm.LEAST_CONNECTION: LeastConnection,
}


def balancer(balance: Balance | None) -> Balancer | None:
    """Return the balancer that chooses inside a cluster for a route, None for the cluster itself."""
    if balance is None:
        return None
    wanted = _BALANCERS.get(balance.algorithm)
    found = wanted() if wanted is not None else None
    if balance.slow_start_s > 0:
        return SlowStart(found or LeastRequest(), balance.slow_start_s)
    return found
