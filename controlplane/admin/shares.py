"""How a route's traffic is divided over clusters: as configured, and as it is now. Pure."""

from collections.abc import Mapping

from proxy.model.actions import Forward, Split, SplitMode
from proxy.model.snapshot import Route
from proxy.routing.shares import NONE, Usable, tiers

Parts = dict[str, float]
"""Each cluster's part of the traffic, 0 to 1."""


def configured(split: Split, endpoints: Mapping[str, Usable]) -> Parts:
    """Return each cluster's part of the traffic, 0 to 1, while every endpoint is healthy."""
    if split.mode is SplitMode.WEIGHTS:
        weights = {share.cluster: float(share.weight) for share in split.shares}
    else:
        weights = {share.cluster: float(endpoints.get(share.cluster, NONE).total) for share in split.shares}
    return normal(weights)


def effective(split: Split, endpoints: Mapping[str, Usable]) -> Parts:
    """Return each cluster's present part: that of the best tier in which any cluster can serve."""
    best = next((tier for tier in tiers(split, endpoints) if tier), {})
    return normal({share.cluster: float(best.get(share.cluster, 0)) for share in split.shares})


def of_route(route: Route, services: Mapping[str, Mapping[str, Usable]]) -> tuple[Parts, Parts]:
    """Return configured and effective parts of a route's traffic over all its backends."""
    action = route.action
    if not isinstance(action, Forward):
        return {}, {}
    total = sum(backend.weight for backend in action.backends) or 1
    sums: tuple[Parts, Parts] = ({}, {})
    for backend in action.backends:
        endpoints = services.get(backend.service, {})
        split = backend.split or action.split
        for whole, part in zip(
            sums, (configured(split, endpoints), effective(split, endpoints)), strict=True
        ):
            for cluster, share in part.items():
                whole[cluster] = whole.get(cluster, 0.0) + share * backend.weight / total
    return sums


def normal(weights: Parts) -> Parts:
    total = sum(weights.values())
    return {cluster: weight / total if total else 0.0 for cluster, weight in weights.items()}
