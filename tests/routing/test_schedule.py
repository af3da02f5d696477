"""Weights as a repeating schedule."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.schedule import MAX_PERIOD, reduce_weights, schedule


def test_twenty_to_eighty_is_one_in_five() -> None:
    assert sorted(Counter(schedule([20, 80])).items()) == [(0, 1), (1, 4)]


def test_heavy_weights_are_spread_not_bunched() -> None:
    assert schedule([5, 1, 1]) == [0, 0, 1, 0, 2, 0, 0]


def test_no_weight_at_all_is_no_schedule() -> None:
    assert schedule([]) == []
    assert schedule([0, 0]) == []


@given(st.lists(st.integers(0, 100), min_size=1, max_size=8))
def test_every_period_is_exact(weights: list[int]) -> None:
    order = schedule(weights)
    total = sum(weights)
    counts = Counter(order)
    for index, weight in enumerate(weights):
        assert counts[index] * total == weight * len(order)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=6))
def test_any_stretch_is_nearly_in_proportion(weights: list[int]) -> None:
    order = schedule(weights)
    seen: Counter[int] = Counter()
    for position, index in enumerate(order, 1):
        seen[index] += 1
        for other, weight in enumerate(weights):
            assert abs(seen[other] - position * weight / sum(weights)) <= len(weights)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_huge_weights_keep_the_period_short_and_no_weight_falls_to_zero(weights: list[int]) -> None:
    reduced = reduce_weights(weights)
    assert sum(reduced) <= MAX_PERIOD + len(weights)
    assert [bool(w) for w in reduced] == [bool(w) for w in weights]
