"""Effective shares heal as the data plane's do."""

import pytest
from msgspec.structs import replace

from controlplane.observe.shares import clusters_of, configured, effective, of_backends, of_route
from proxy.model.actions import Backend, Destination, Forward, Share, Split, SplitMode
from proxy.model.snapshot import PathKind, PathMatch, Route, Source
from proxy.routing.shares import Usable

LIVE, DEAD = Usable(live=2), Usable(ejected=2)
WEIGHTED = Split(SplitMode.WEIGHTS, (Share("a", 20), Share("b", 80), Share("c")))
COUNTED = Split(SplitMode.ENDPOINTS, (Share("a"), Share("b")))
PINNED = Split(SplitMode.WEIGHTS, (Share("a", 100), Share("b")), failover=False)
LIMITED = Split(SplitMode.WEIGHTS, (Share("a", 100), Share("b"), Share("c")), failover_clusters=("c",))


@pytest.mark.parametrize(
    ("split", "endpoints", "expected"),
    [
        (WEIGHTED, {"a": LIVE, "b": LIVE, "c": LIVE}, {"a": 0.2, "b": 0.8, "c": 0}),
        (WEIGHTED, {"a": LIVE, "b": DEAD, "c": LIVE}, {"a": 1, "b": 0, "c": 0}),
        (WEIGHTED, {"a": DEAD, "b": DEAD, "c": LIVE}, {"a": 0, "b": 0, "c": 1}),
        (WEIGHTED, {"a": Usable(reserve=1), "b": DEAD}, {"a": 1, "b": 0, "c": 0}),
        (WEIGHTED, {"a": DEAD, "b": DEAD}, {"a": 0.2, "b": 0.8, "c": 0}),
        (WEIGHTED, {"a": DEAD, "b": Usable(unreachable=2)}, {"a": 1, "b": 0, "c": 0}),
        (WEIGHTED, {"a": Usable(unreachable=2), "b": Usable(unreachable=2)}, {"a": 0, "b": 0, "c": 0}),
        (WEIGHTED, {}, {"a": 0, "b": 0, "c": 0}),
        (COUNTED, {"a": Usable(live=1), "b": Usable(live=3)}, {"a": 0.25, "b": 0.75}),
        (COUNTED, {"a": Usable(live=1, ejected=5), "b": Usable(live=1)}, {"a": 0.5, "b": 0.5}),
        (PINNED, {"a": Usable(), "b": LIVE}, {"a": 0, "b": 0}),
        (LIMITED, {"b": LIVE, "c": LIVE}, {"a": 0, "b": 0, "c": 1}),
    ],
)
def test_effective_shares(split: Split, endpoints: dict[str, Usable], expected: dict[str, float]) -> None:
    assert effective(split, endpoints) == expected


def test_configured_shares_count_every_endpoint() -> None:
    assert configured(COUNTED, {"a": Usable(live=1, unreachable=1), "b": DEAD}) == {"a": 0.5, "b": 0.5}
    assert configured(WEIGHTED, {}) == {"a": 0.2, "b": 0.8, "c": 0}


ONLY_B, ONLY_C = (Split(SplitMode.ENDPOINTS, (Share(c),)) for c in "bc")
BY_PRIORITY_LEVEL = Split(SplitMode.ENDPOINTS, (Share("a"), Share("b", priority=1)))
BASE, CANARY = Backend("demo/base:80", 90), Backend("demo/canary:80", 10, ONLY_B)


def test_a_later_tier_has_no_configured_share() -> None:
    assert configured(BY_PRIORITY_LEVEL, {"a": LIVE, "b": LIVE}) == {"a": 1, "b": 0}
    assert configured(BY_PRIORITY_LEVEL, {"a": DEAD, "b": LIVE}) == {"a": 1, "b": 0}
    assert effective(BY_PRIORITY_LEVEL, {"a": DEAD, "b": LIVE}) == {"a": 0, "b": 1}


def routed(*backends: Backend) -> Route:
    path = PathMatch(PathKind.PREFIX, "/")
    return Route("r", Source("Ingress", "demo", "r"), (80,), "", path, Forward(backends, BY_PRIORITY_LEVEL))


def test_own_splits_count_with_the_weight_of_their_backend() -> None:
    services = {"demo/base:80": {"a": LIVE, "b": LIVE}, "demo/canary:80": {"b": LIVE}}
    assert of_route(routed(BASE, CANARY), services) == ({"a": 0.9, "b": 0.1}, {"a": 0.9, "b": 0.1})


def test_the_part_of_a_dead_backend_goes_to_its_fallback_or_else_to_the_others() -> None:
    dead = {"demo/base:80": {"a": LIVE}, "demo/canary:80": {"b": DEAD}, "demo/spare:80": {"b": LIVE}}
    assert of_route(routed(BASE, CANARY), dead)[1] == {"a": 1.0, "b": 0.0}
    backed = replace(CANARY, fallbacks=(Destination("demo/spare:80"),))
    assert of_route(routed(BASE, backed), dead) == ({"a": 0.9, "b": 0.1}, {"a": 0.9, "b": 0.1})
    forward = routed(BASE, backed).action
    assert isinstance(forward, Forward)
    assert [share.served_by for share in of_backends(forward, dead)] == ["demo/base:80", "demo/spare:80"]
    assert [share.served_by for share in of_backends(forward, {})] == ["", ""]


def test_every_cluster_of_any_split_is_named() -> None:
    forward = routed(BASE, replace(CANARY, fallbacks=(Destination("x/y:1", ONLY_C),))).action
    assert isinstance(forward, Forward)
    assert clusters_of(forward) == {"a": 0, "b": 0, "c": None}
