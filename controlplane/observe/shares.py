"""How a route's traffic is divided over backends and clusters: as configured, and as it is now. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from proxy.model.actions import Backend, Forward, Split, SplitMode
from proxy.model.snapshot import Route
from proxy.routing.shares import Reach, Usable, divided, first_serving, healed, priority_levels, reach

Parts = dict[str, float]
"""Each cluster's part of the traffic, 0 to 1."""

Services = Mapping[str, Mapping[str, Usable]]
"""Endpoints by service and cluster."""


class BackendShare(msgspec.Struct, frozen=True):
    """A backend's part of the route's traffic, 0 to 1, and the service that serves the part now."""

    configured: float
    effective: float
    served_by: str  # itself or a fallback; "" when nothing can
    split: Split  # of the service that serves


def configured(split: Split, endpoints: Mapping[str, Usable]) -> Parts:
    """Return each cluster's part of the traffic, 0 to 1, while every endpoint is healthy."""
    healthy = {cluster: Usable(live=usable.total) for cluster, usable in endpoints.items()}
    if split.mode is SplitMode.WEIGHTS:
        healthy = {share.cluster: Usable(live=1) for share in split.shares}
    return effective(split, healthy)


def effective(split: Split, endpoints: Mapping[str, Usable]) -> Parts:
    """Return each cluster's present part: that of the best level in which any cluster can serve."""
    best = divided(split, priority_levels(split, endpoints), endpoints)
    return normal({share.cluster: float(best.get(share.cluster, 0)) for share in split.shares})


def of_route(route: Route, services: Services) -> tuple[Parts, Parts]:
    """Return configured and effective parts of a route's traffic over all its backends."""
    action = route.action
    if not isinstance(action, Forward):
        return {}, {}
    planned: Parts = {}
    present: Parts = {}
    for backend, share in zip(action.backends, of_backends(action, services), strict=True):
        split = backend.split or action.split
        _add(planned, configured(split, services.get(backend.service, {})), share.configured)
        _add(present, effective(share.split, services.get(share.served_by, {})), share.effective)
    return planned, present


def of_backends(action: Forward, services: Services) -> list[BackendShare]:
    """Return the parts of an action's backends, in their order."""
    weights = [backend.weight for backend in action.backends]
    if len(weights) == 1:
        weights = [1]  # the only backend gets all requests
    choices = [_serving(action, backend, services) for backend in action.backends]
    now = healed(weights, [can for _, _, can in choices])
    return [
        BackendShare(weight / (sum(weights) or 1), present / (sum(now) or 1), served_by, split)
        for weight, present, (served_by, split, _) in zip(weights, now, choices, strict=True)
    ]


def splits_of(action: Forward) -> Iterator[Split]:
    """Yield how each backend's traffic is divided."""
    for backend in action.backends:
        yield backend.split or action.split


def clusters_of(action: Forward) -> dict[str, int | None]:
    """Return every cluster that an action names, with its weight in the route's own split."""
    named: dict[str, int | None] = {share.cluster: share.weight for share in action.split.shares}
    for backend in action.backends:
        for _, split in _options(action, backend):
            for share in split.shares:
                named.setdefault(share.cluster, None)
    return named


def normal(weights: Parts) -> Parts:
    total = sum(weights.values())
    return {cluster: weight / total if total else 0.0 for cluster, weight in weights.items()}


def _options(action: Forward, backend: Backend) -> Iterator[tuple[str, Split]]:
    """Yield a backend's service and its fallbacks, each with its split."""
    own = backend.split or action.split
    yield backend.service, own
    for fallback in backend.fallbacks:
        yield fallback.service, fallback.split or own


def _serving(action: Forward, backend: Backend, services: Services) -> tuple[str, Split, Reach]:
    """Return the service that serves a backend's part now ("" when none can), with split and reach."""
    options = list(_options(action, backend))
    found = []
    for service, split in options:
        endpoints = services.get(service, {})
        found.append(reach(priority_levels(split, endpoints), endpoints))
    at = first_serving(found)
    service, split = options[at]
    return service if found[at] else "", split, found[at]


def _add(whole: Parts, part: Parts, weight: float) -> None:
    for cluster, share in part.items():
        whole[cluster] = whole.get(cluster, 0.0) + share * weight
