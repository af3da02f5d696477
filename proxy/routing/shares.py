"""Which clusters can take a route's traffic now, and in what proportions: the healing of shares."""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.model.actions import Split, SplitMode

Tier = dict[str, int]
"""Clusters that may serve together, with their weights."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A service's endpoints in one cluster, by what they can do."""

    live: int = 0
    draining: int = 0
    ejected: int = 0

    @property
    def total(self) -> int:
        return self.live + self.draining + self.ejected

    @property
    def is_only_draining(self) -> bool:
        return bool(self.draining and not self.live)

    @property
    def is_only_ejected(self) -> bool:
        return bool(self.ejected and not self.live and not self.draining)


NONE = Usable()


def tiers(split: Split, endpoints: Mapping[str, Usable]) -> tuple[Tier, ...]:
    """Return who may serve, best tier first; every cluster is in one tier at most, empty tiers are left in.

    Weighted clusters, standbys, clusters that are only draining; then those whose endpoints are all
    ejected, because an attempt can only tell us more (panic, in Envoy's term).
    """
    weighted: Tier = {}
    standby: Tier = {}
    for share in split.shares:
        if split.mode is SplitMode.ENDPOINTS or share.weight:
            weighted[share.cluster] = share.weight if split.mode is SplitMode.WEIGHTS else 0
        elif split.failover and (not split.failover_clusters or share.cluster in split.failover_clusters):
            standby[share.cluster] = 0
    seen = {share.cluster: endpoints.get(share.cluster, NONE) for share in split.shares}
    return (
        {c: weight or seen[c].live for c, weight in weighted.items() if seen[c].live},
        {c: seen[c].live for c in standby if seen[c].live},
        {c: seen[c].draining for c in (*weighted, *standby) if seen[c].is_only_draining},
        {c: weight or seen[c].ejected for c, weight in weighted.items() if seen[c].is_only_ejected},
        {c: seen[c].ejected for c in standby if seen[c].is_only_ejected},
    )
