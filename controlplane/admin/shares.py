"""How a route's traffic is divided over clusters: as configured, and as it is now. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.model.snapshot import Route, Split, SplitMode


@dataclass(frozen=True, slots=True)
class Usable:
    """A service's endpoints in one cluster, by what the workers see."""

    live: int = 0
    draining: int = 0
    ejected: int = 0

    @property
    def total(self) -> int:
        return self.live + self.draining + self.ejected


NONE = Usable()
Tier = dict[str, float]


def configured(split: Split, endpoints: Mapping[str, Usable]) -> Tier:
    """Return each cluster's part of the traffic, 0 to 1, while every endpoint is healthy."""
    if split.mode is SplitMode.WEIGHTS:
        weights = {share.cluster: float(share.weight) for share in split.shares}
    else:
        weights = {share.cluster: float(endpoints.get(share.cluster, NONE).total) for share in split.shares}
    return normal(weights)


def effective(split: Split, endpoints: Mapping[str, Usable]) -> Tier:
    """Return each cluster's present part: that of the best tier in which any cluster can serve.

    The tiers are those of the data plane: weighted clusters, standbys, draining, ejected endpoints.
    """
    by_count = split.mode is SplitMode.ENDPOINTS
    weighted = {s.cluster: s.weight for s in split.shares if by_count or s.weight}
    standby = [
        s.cluster for s in split.shares if s.cluster not in weighted and _may_stand_in(split, s.cluster)
    ]
    seen = {s.cluster: endpoints.get(s.cluster, NONE) for s in split.shares}
    idle = {c: u for c, u in seen.items() if not u.live}
    tiers: list[Tier] = [
        {c: float(w or seen[c].live) for c, w in weighted.items() if seen[c].live},
        {c: float(seen[c].live) for c in standby if seen[c].live},
        {c: float(idle[c].draining) for c in (*weighted, *standby) if c in idle and idle[c].draining},
        {c: float(w or seen[c].ejected) for c, w in weighted.items() if seen[c].ejected},
        {c: float(seen[c].ejected) for c in standby if seen[c].ejected},
    ]
    best = next((tier for tier in tiers if tier), {})
    return normal({share.cluster: best.get(share.cluster, 0.0) for share in split.shares})


def of_route(route: Route, services: Mapping[str, Mapping[str, Usable]]) -> tuple[Tier, Tier]:
    """Return configured and effective parts of a route's traffic over all its backends."""
    action = route.action
    total = sum(backend.weight for backend in action.backends) or 1
    sums: tuple[Tier, Tier] = ({}, {})
    for backend in action.backends:
        endpoints = services.get(backend.service, {})
        for whole, part in zip(
            sums, (configured(action.split, endpoints), effective(action.split, endpoints)), strict=True
        ):
            for cluster, share in part.items():
                whole[cluster] = whole.get(cluster, 0.0) + share * backend.weight / total
    return sums


def normal(weights: Tier) -> Tier:
    total = sum(weights.values())
    return {cluster: weight / total if total else 0.0 for cluster, weight in weights.items()}


def _may_stand_in(split: Split, cluster: str) -> bool:
    return split.failover and (not split.failover_clusters or cluster in split.failover_clusters)
