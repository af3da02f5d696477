"""Which clusters and backends can take traffic, and in what proportions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.actions import Share, Split, SplitMode
from proxy.routing.shares import Reach, Usable, first_serving, healed, priority_levels, reach

LIVE, RESERVE, EJECTED = Usable(live=200), Usable(reserve=100), Usable(ejected=100)
PRIORITY = (Share("a"), Share("b", priority=1), Share("c", priority=1), Share("d", priority=2))
BY_PRIORITY = Split(SplitMode.ENDPOINTS, PRIORITY)
WEIGHTED = Split(
    SplitMode.WEIGHTS,
    (Share("a", 100), Share("b", 20, priority=1), Share("c", 80, priority=1), Share("d", 0, priority=1)),
)


@pytest.mark.parametrize(
    ("split", "endpoints", "expected"),
    [
        (BY_PRIORITY, dict.fromkeys("abcd", LIVE), [{"a": 200}, {"b": 200, "c": 200}, {"d": 200}]),
        (BY_PRIORITY, {"b": LIVE, "c": Usable(live=600), "d": LIVE}, [{"b": 200, "c": 600}, {"d": 200}]),
        (BY_PRIORITY, {"a": EJECTED, "d": LIVE}, [{"d": 200}, {"a": 100}]),
        (BY_PRIORITY, {"a": EJECTED, "b": RESERVE, "d": RESERVE}, [{"b": 100}, {"d": 100}, {"a": 100}]),
        (WEIGHTED, dict.fromkeys("abcd", LIVE), [{"a": 100}, {"b": 20, "c": 80}, {"d": 200}]),
        (WEIGHTED, {"b": EJECTED, "c": LIVE}, [{"c": 80}, {"b": 20}]),
        (WEIGHTED, {}, []),
    ],
)
def test_a_later_tier_stands_behind_every_earlier_one(
    split: Split, endpoints: dict[str, Usable], expected: list[dict[str, int]]
) -> None:
    assert [level for level in priority_levels(split, endpoints) if level] == expected


@pytest.mark.parametrize(
    ("failover", "only", "expected"),
    [(True, (), "abcd"), (True, ("d",), "ad"), (True, ("b", "c"), "abc"), (False, (), "a")],
)
@pytest.mark.parametrize("split", [BY_PRIORITY, WEIGHTED])
def test_residency_holds_for_later_tiers(
    split: Split, failover: bool, only: tuple[str, ...], expected: str
) -> None:
    limited = Split(split.mode, split.shares, failover, only)
    assert {c for level in priority_levels(limited, dict.fromkeys("abcd", LIVE)) for c in level} == set(
        expected
    )


usables = st.builds(Usable, st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
splits = st.builds(
    Split,
    st.sampled_from(SplitMode),
    st.lists(
        st.builds(Share, st.sampled_from("abcde"), st.integers(0, 3), st.integers(0, 3)),
        unique_by=lambda share: share.cluster,
        max_size=5,
    ).map(tuple),
    st.booleans(),
    st.lists(st.sampled_from("abcde"), max_size=2).map(tuple),
)
clusters = st.dictionaries(st.sampled_from("abcde"), usables)


@given(splits, clusters)
def test_every_cluster_is_in_one_tier_and_can_do_what_that_takes(
    split: Split, endpoints: dict[str, Usable]
) -> None:
    ranked = priority_levels(split, endpoints)
    listed = [cluster for level in ranked for cluster in level]
    assert len(listed) == len(set(listed))
    assert all(weight > 0 for level in ranked for weight in level.values())
    assert all(endpoints[cluster].total for cluster in listed)


@given(splits, clusters)
def test_no_cluster_serves_before_one_of_an_earlier_tier_that_can_do_as_much(
    split: Split, endpoints: dict[str, Usable]
) -> None:
    def health(cluster: str) -> int:
        usable = endpoints[cluster]
        return 0 if usable.live else 1 if usable.reserve else 2

    priority_of = {share.cluster: share.priority for share in split.shares}
    ranks = [
        {(health(c), priority_of[c]) for c in level} for level in priority_levels(split, endpoints) if level
    ]
    assert all(len(rank) == 1 for rank in ranks)
    order = [rank.pop() for rank in ranks]
    assert order == sorted(order)


@given(splits, clusters)
def test_without_failover_only_clusters_of_the_first_tier_that_have_a_weight(
    split: Split, endpoints: dict[str, Usable]
) -> None:
    strict = Split(split.mode, split.shares, failover=False)
    named = [s for s in split.shares if s.weight or split.mode is SplitMode.ENDPOINTS]
    first = min((s.priority for s in named), default=0)
    allowed = {s.cluster for s in named if s.priority == first}
    assert {cluster for level in priority_levels(strict, endpoints) for cluster in level} <= allowed


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ({}, Reach.NOTHING),
        ({"a": EJECTED, "b": EJECTED}, Reach.PANIC),
        ({"a": EJECTED, "d": RESERVE}, Reach.SERVING),
        ({"a": LIVE}, Reach.SERVING),
        ({"elsewhere": LIVE}, Reach.NOTHING),
    ],
)
def test_reach(endpoints: dict[str, Usable], expected: Reach) -> None:
    assert reach(priority_levels(BY_PRIORITY, endpoints), endpoints) is expected


def test_a_fallback_serves_only_when_it_can_do_more() -> None:
    nothing, last, serving = Reach.NOTHING, Reach.PANIC, Reach.SERVING
    assert first_serving([serving, serving]) == 0
    assert first_serving([last, nothing, serving]) == 2
    assert first_serving([last, last]) == 0
    assert first_serving([nothing, last]) == 1
    assert first_serving([nothing, nothing]) == 0


@pytest.mark.parametrize(
    ("weights", "options", "expected"),
    [
        ([90, 10], [2, 2], [90, 10]),
        ([90, 10], [0, 2], [0, 10]),
        ([60, 30, 10], [2, 1, 2], [60, 0, 10]),
        ([90, 10], [1, 0], [90, 0]),
        ([90, 10], [0, 0], [0, 0]),
        ([100, 0], [1, 2], [100, 0]),
        ([0, 0], [2, 2], [0, 0]),
    ],
)
def test_the_part_of_an_empty_backend_goes_to_the_others(
    weights: list[int], options: list[int], expected: list[int]
) -> None:
    assert healed(weights, [Reach(can) for can in options]) == expected
