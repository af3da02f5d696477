"""Weighted round robin: endpoints of different weights take turns."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.snapshot import ClusterEndpoints, Endpoint
from proxy.upstream.cluster import LiveCluster
from proxy.upstream.service import Services


def cluster_of(*endpoints: Endpoint) -> LiveCluster:
    service = Services().get("demo/web:80")
    service.update((ClusterEndpoints("c1", endpoints),))
    return service.clusters["c1"]


def weighted(*weights: int) -> LiveCluster:
    return cluster_of(*(Endpoint("10.0.0.1", port, weight=weight) for port, weight in enumerate(weights)))


def picked(cluster: LiveCluster, count: int) -> list[int]:
    endpoints = [cluster.pick() for _ in range(count)]
    return [endpoint.port for endpoint in endpoints if endpoint is not None]


def test_the_heavy_ones_are_spread() -> None:
    assert picked(weighted(5, 1, 1), 14) == [0, 0, 0, 1, 2, 0, 0] * 2


@given(st.lists(st.integers(1, 100), min_size=2, max_size=8).filter(lambda weights: len(set(weights)) > 1))
def test_every_period_is_exact_and_no_stretch_far_off(weights: list[int]) -> None:
    cluster = weighted(*weights)
    total = sum(weights)
    for _ in range(2):
        seen: Counter[int] = Counter()
        for position, port in enumerate(picked(cluster, total), 1):
            seen[port] += 1
            assert abs(seen[port] - position * weights[port] / total) <= len(weights)
        assert seen == dict(enumerate(weights))


def test_without_a_weight_only_when_there_is_no_other() -> None:
    assert set(picked(weighted(0, 100, 0), 20)) == {1}
    assert set(picked(weighted(0, 0), 20)) == {0, 1}


def test_no_weight_counts_as_reserve_for_its_cluster() -> None:
    assert weighted(0, 0).usable.is_only_reserve
    usable = weighted(0, 30, 70).usable
    assert (usable.live, usable.reserve) == (100, 1)


def test_a_weight_can_change() -> None:
    cluster = weighted(100, 100)
    assert Counter(picked(cluster, 10)) == {0: 5, 1: 5}
    cluster.set_endpoints((Endpoint("10.0.0.1", 0, weight=20), Endpoint("10.0.0.1", 1, weight=80)))
    assert Counter(picked(cluster, 10)) == {0: 2, 1: 8}


def test_an_attempt_that_failed_is_followed_by_another_endpoint() -> None:
    cluster = weighted(1, 50)
    first = cluster.pick()
    assert first is not None
    second = cluster.pick((first,))
    assert second is not None
    assert second is not first
    assert cluster.pick((first, second)) is None
