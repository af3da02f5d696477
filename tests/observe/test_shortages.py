"""Which cluster lacks its share of which service of which Ingress."""

import pytest

from controlplane.observe.demand import DemandIndex
from controlplane.observe.shortages import ClusterShare, shortages
from proxy.model.actions import Backend, Destination, Forward, Redirect, Share, Split, SplitMode
from proxy.model.snapshot import PathKind, PathMatch, Route, Source
from proxy.routing.shares import Usable

WEIGHTED = Split(SplitMode.WEIGHTS, (Share("a", 20), Share("b", 80), Share("c")))
COUNTED = Split(SplitMode.ENDPOINTS, (Share("a"), Share("b")))
ALONE = Split(SplitMode.WEIGHTS, (Share("a", 20), Share("b", 80)), failover=False)
WELL, DEAD, SPARE = Usable(live=2), Usable(ejected=2), Usable(reserve=2)


def route(action: Forward | Redirect, name: str = "web", kind: str = "Ingress") -> Route:
    return Route(
        f"demo/{name}/0", Source(kind, "demo", name), (80,), "", PathMatch(PathKind.PREFIX, "/"), action
    )


def one(split: Split, *fallbacks: str) -> Forward:
    return Forward((Backend("x", fallbacks=tuple(Destination(name) for name in fallbacks)),), split)


Expected = dict[str, ClusterShare]


@pytest.mark.parametrize(
    ("forward", "counts", "away", "expected", "served"),
    [
        (
            one(WEIGHTED),
            {"a": WELL, "b": DEAD, "c": WELL},
            {"b": "breaker_open"},
            {"a": ClusterShare(0.2, 1.0), "b": ClusterShare(0.8, 0.0, "breaker_open")},
            True,
        ),
        (
            one(COUNTED),
            {"a": WELL, "b": DEAD},
            {"b": "breaker_open"},
            {"a": ClusterShare(0.5, 1.0), "b": ClusterShare(0.5, 0.0, "breaker_open")},
            True,
        ),
        (
            one(WEIGHTED),
            {"a": DEAD, "b": DEAD, "c": WELL},
            {"a": "breaker_open", "b": "checks_failing"},
            {
                "a": ClusterShare(0.2, 0.0, "breaker_open"),
                "b": ClusterShare(0.8, 0.0, "checks_failing"),
                "c": ClusterShare(0.0, 1.0),
            },
            True,
        ),
        # All are dead: they go on being asked, in vain
        (
            one(COUNTED),
            {"a": DEAD, "b": DEAD},
            {"a": "breaker_open", "b": "breaker_open"},
            {"a": ClusterShare(0.5, 0.5, "breaker_open"), "b": ClusterShare(0.5, 0.5, "breaker_open")},
            False,
        ),
        # Both drain, and serve, for there is nobody else
        (one(COUNTED), {"a": SPARE, "b": SPARE}, {"a": "draining", "b": "draining"}, {}, True),
        (
            one(COUNTED),
            {"a": WELL, "b": SPARE},
            {"b": "draining"},
            {"a": ClusterShare(0.5, 1.0), "b": ClusterShare(0.5, 0.0, "draining")},
            True,
        ),
        # Another service takes over
        (
            one(ALONE, "y"),
            {"a": Usable(), "b": Usable()},
            {"a": "no_endpoints", "b": "no_endpoints"},
            {"a": ClusterShare(0.2, 0.0, "no_endpoints"), "b": ClusterShare(0.8, 0.0, "no_endpoints")},
            True,
        ),
        # A standby that fails has lost nothing
        (one(WEIGHTED), {"a": WELL, "b": WELL, "c": DEAD}, {"c": "breaker_open"}, {}, True),
        # It takes half of its share while it returns
        (
            one(WEIGHTED),
            {"a": WELL, "b": Usable(live=2, ramp=0.5), "c": WELL},
            {"b": "ramping"},
            {"a": ClusterShare(0.2, 1 / 3), "b": ClusterShare(0.8, 2 / 3, "ramping")},
            True,
        ),
    ],
)
def test_clusters_that_lack_their_share_are_found(
    forward: Forward, counts: dict[str, Usable], away: dict[str, str], expected: Expected, served: bool
) -> None:
    services = {"x": counts, "y": {"a": WELL}}
    pairs = {("x", cluster): reason for cluster, reason in away.items()}
    found = shortages(DemandIndex((route(forward),)), pairs, services, services, {})
    if not expected:
        assert found == {}
        return
    reduced = found["demo", "web"]["x"]
    assert reduced.served is served
    assert reduced.clusters.keys() == expected.keys()
    for cluster, standing in expected.items():
        assert reduced.clusters[cluster].reason == standing.reason
        assert reduced.clusters[cluster].configured == pytest.approx(standing.configured)
        assert reduced.clusters[cluster].effective == pytest.approx(standing.effective)


def test_equal_rules_are_looked_at_once_and_told_on_all_their_ingresses() -> None:
    routes = tuple(route(one(WEIGHTED), name) for name in ("one", "two"))
    demand = DemandIndex((*routes, route(Redirect(301), "three"), route(one(WEIGHTED), "gw", "AlbConfig")))
    assert len(demand.forwards(["x"])) == 1
    counts = {"x": {"a": WELL, "b": DEAD}}
    found = shortages(demand, {("x", "b"): "breaker_open"}, counts, counts, {})
    assert found.keys() == {("demo", "one"), ("demo", "two")}


def test_of_several_rules_of_an_ingress_the_one_that_lacks_most_is_told() -> None:
    weights = range(5, 100, 10)
    splits = [Split(SplitMode.WEIGHTS, (Share("a", 100 - weight), Share("b", weight))) for weight in weights]
    counts = {"x": {"a": WELL, "b": DEAD}}
    demand = DemandIndex(tuple(route(one(split)) for split in splits))
    found = shortages(demand, {("x", "b"): "breaker_open"}, counts, counts, {})
    assert found["demo", "web"]["x"].clusters["b"].configured == pytest.approx(0.95)


def test_a_backend_without_weight_lacks_nothing() -> None:
    forward = Forward((Backend("x", 0), Backend("y", 100)), WEIGHTED)
    counts = {service: {"a": WELL, "b": DEAD} for service in "xy"}
    found = shortages(DemandIndex((route(forward),)), {("x", "b"): "breaker_open"}, counts, counts, {})
    assert found == {}
