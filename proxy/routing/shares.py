"""The clusters that can take a route's traffic now, and their proportions: the healing of shares."""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from fractions import Fraction
from math import lcm
from typing import Final

import msgspec
from msgspec import field

from proxy.model.actions import Share, Split, SplitMode

PriorityLevel = dict[str, int]
"""Clusters of one priority level: they may serve together. With their weights."""


class Usable(msgspec.Struct, frozen=True):
    """A service's endpoints in one cluster by their abilities, each counted with its weight."""

    live: int = 0
    reserve: int = 0  # draining or without a weight: they serve when their cluster has no other
    ejected: int = 0
    unreachable: int = 0  # ejected, and connects get no answer: not even panic uses them
    pauses: bool = False  # the ejected ones have but stopped answering, a moment ago
    ramp: float = 1.0  # part of its share that the cluster takes: less during the ramp after a failure
    capacity: float = 1.0  # part of its share that its endpoints can carry, by `capacity`
    parts: Mapping[str, float] = field(default_factory=dict)
    """The part of its share by Ingress whose `failback` does not let the cluster take all of it yet; 0: none.
    """

    @property
    def total(self) -> int:
        return self.live + self.reserve + self.ejected + self.unreachable

    @property
    def is_only_reserve(self) -> bool:
        return bool(self.reserve and not self.live)

    @property
    def is_only_ejected(self) -> bool:
        return bool(self.ejected and not self.live and not self.reserve)


NONE = Usable()

OVERPROVISIONING_FACTOR: Final = 1.4
"""Factor of the load meant for endpoints up to which they can carry load: Envoy's term and default."""

_FINE: Final = 200  # steps of a part: eighths and hundredths are exact, and the schedule stays short


class Reach(IntEnum):
    """The ability of a service to serve a request; a larger value is better."""

    NOTHING = 0  # no endpoint in any allowed cluster
    PANIC = 1  # ejected endpoints only: Envoy's term
    SERVING = 2


def priority_levels(split: Split, endpoints: Mapping[str, Usable]) -> tuple[PriorityLevel, ...]:
    """Return the priority levels, best first. A cluster is in one at most; empty levels are left in.

    The levels that the split names come first, in each of them weighted clusters before standbys. Clusters
    that have only a reserve follow. Then comes panic, in Envoy's term: clusters whose endpoints are all
    ejected, because an attempt can only tell more; transient stalls come before failures. Unreachable
    endpoints never serve: an attempt at one of them would tell nothing.
    While another cluster serves, no level has the clusters that the failback of the split keeps out.
    """
    if split.failback is None:
        return _priority_levels(split, endpoints)
    ingress = split.failback.ingress
    inside = {cluster: usable for cluster, usable in endpoints.items() if usable.parts.get(ingress, 1.0)}
    if len(inside) < len(endpoints):
        ranked = _priority_levels(split, inside)
        if reach(ranked, inside) is Reach.SERVING:
            return ranked
    return _priority_levels(split, endpoints)


def _priority_levels(split: Split, endpoints: Mapping[str, Usable]) -> tuple[PriorityLevel, ...]:
    live: list[PriorityLevel] = []
    reserve: list[PriorityLevel] = []
    stalling: list[PriorityLevel] = []
    ejected: list[PriorityLevel] = []
    for weighted, standby in _ranks(split):
        seen = {cluster: endpoints.get(cluster, NONE) for cluster in (*weighted, *standby)}
        live.append({c: weight or seen[c].live for c, weight in weighted.items() if seen[c].live})
        live.append({c: seen[c].live for c in standby if seen[c].live})
        reserve.append({c: seen[c].reserve for c in seen if seen[c].is_only_reserve})
        for last, pauses in ((stalling, True), (ejected, False)):
            out = [c for c in seen if seen[c].is_only_ejected and seen[c].pauses is pauses]
            last.append({c: weighted[c] or seen[c].ejected for c in out if c in weighted})
            last.append({c: seen[c].ejected for c in out if c in standby})
    return (*live, *reserve, *stalling, *ejected)


def reach(ranked: tuple[PriorityLevel, ...], endpoints: Mapping[str, Usable]) -> Reach:
    """Return the reach of the best of these priority levels."""
    best = next((level for level in ranked if level), {})
    if any(not endpoints.get(cluster, NONE).is_only_ejected for cluster in best):
        return Reach.SERVING
    return Reach.PANIC if best else Reach.NOTHING


def capacity(live: int, expected: int) -> float:
    """Return the part of its share that a cluster can carry, 0 to 1.

    `live` and `expected` are weights: of the endpoints that serve, and of all that are known, are not
    draining and have a weight. A service that was scaled down expects less. Without live endpoints other
    priority levels decide, and the capacity is 1.
    """
    return min(1.0, OVERPROVISIONING_FACTOR * live / expected) if live and expected else 1.0


def divided(
    split: Split, ranked: tuple[PriorityLevel, ...], endpoints: Mapping[str, Usable]
) -> PriorityLevel:
    """Return the weights that divide requests now: those of the best priority level.

    A cluster that returns, or lacks endpoints, takes a part of its share; the others of its level take the
    rest in proportion. A level as a whole does as much as the best of its clusters: where none can take all
    of its share, the rest goes to the next live level, and so on. The last level has no next one.
    """
    able = [level for level in ranked if level]
    if not able:
        return {}
    parts: dict[str, Fraction] = {}
    left = Fraction(1)
    for level in able:
        if parts and not any(endpoints.get(cluster, NONE).live for cluster in level):
            break
        now = _parts(split, level, endpoints)
        if not parts and min(now.values()) >= 1.0:
            return level
        able_to = {c: Fraction(max(round(part * _FINE), 1), _FINE) for c, part in now.items()}
        taken = min(left, max(able_to.values()))
        total = sum(weight * able_to[c] for c, weight in level.items())
        parts |= {c: taken * weight * able_to[c] / total for c, weight in level.items()}
        left -= taken
        if not left:
            break
    whole = lcm(*[part.denominator for part in parts.values()])
    return {cluster: int(part * whole) for cluster, part in parts.items()}


def _parts(split: Split, level: PriorityLevel, endpoints: Mapping[str, Usable]) -> dict[str, float]:
    """Return the part of its share that each cluster takes. Without a weight, endpoints that do not serve
    make the share smaller, and the part stays whole.
    """
    ingress = split.failback.ingress if split.failback is not None else ""
    parts: dict[str, float] = {}
    for cluster in level:
        usable = endpoints.get(cluster, NONE)
        part = usable.ramp
        if usable.capacity < part and _has_weight(split, cluster):
            part = usable.capacity
        if usable.parts:
            part = min(part, usable.parts.get(ingress, 1.0) or 1.0)  # held out, no other serves
        parts[cluster] = part
    return parts


def _has_weight(split: Split, cluster: str) -> bool:
    by_weight = split.mode is SplitMode.WEIGHTS
    return by_weight and any(share.weight and share.cluster == cluster for share in split.shares)


def first_serving(options: Sequence[Reach]) -> int:
    """Return the index of the option, a service or fallback, that serves: the first of the best ones."""
    return options.index(max(options))


def healed(weights: Sequence[int], options: Sequence[Reach]) -> list[int]:
    """Return the current weights of backends: a backend that cannot serve leaves its part to the others."""
    best = max((can for weight, can in zip(weights, options, strict=True) if weight), default=Reach.NOTHING)
    return [weight if best and can == best else 0 for weight, can in zip(weights, options, strict=True)]


def first_clusters(split: Split) -> frozenset[str]:
    """Return the clusters that a split means to serve when all can: those that are no standbys."""
    weighted, standbys = next(_ranks(split), ({}, {}))
    return frozenset(weighted or standbys)


def _ranks(split: Split) -> Iterator[tuple[PriorityLevel, PriorityLevel]]:
    """Yield weighted clusters and standbys of each level of a split, as far as it allows them."""
    by_endpoints = split.mode is SplitMode.ENDPOINTS
    named = [share for share in split.shares if by_endpoints or share.weight]
    first = min((share.priority for share in named), default=0)
    allowed = [
        share
        for share in split.shares
        if _may_take_over(split, share) or (share in named and share.priority == first)
    ]
    for level in sorted({share.priority for share in allowed}):
        here = [share for share in allowed if share.priority == level]
        weighted = {s.cluster: 0 if by_endpoints else s.weight for s in here if by_endpoints or s.weight}
        yield weighted, {s.cluster: 0 for s in here if s.cluster not in weighted}


def _may_take_over(split: Split, share: Share) -> bool:
    """Whether a cluster may serve in place of those with a weight in the first level."""
    return split.failover and (not split.failover_clusters or share.cluster in split.failover_clusters)
