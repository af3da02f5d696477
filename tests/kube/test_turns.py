"""Namespaces take turns, and in each of them its objects."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.kube.turns import Bounds, LeftOut, Turns, in_turn

PLACES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=60)


def filled(places: list[tuple[str, str]], bounds: Bounds) -> Turns[tuple[str, str, int]]:
    turns: Turns[tuple[str, str, int]] = Turns(bounds)
    for number, (namespace, name) in enumerate(places):
        if turns.has_room(namespace, name):
            turns.put(namespace, name, (namespace, name, number))
    return turns


@given(PLACES)
def test_every_item_comes_once_in_its_objects_order_and_no_namespace_waits_for_another(
    places: list[tuple[str, str]],
) -> None:
    turns = filled(places, Bounds())
    left = Counter(namespace for namespace, _ in places)
    seen: dict[tuple[str, str], int] = {}
    round_: set[str] = set()
    while turns:
        namespace, name, number = turns.take()
        assert number > seen.get((namespace, name), -1)
        seen[namespace, name] = number
        if namespace in round_:
            # it has its second turn: everybody else who waits has had the first
            assert not {other for other in left if left[other]} - round_
            round_.clear()
        round_.add(namespace)
        left[namespace] -= 1
    assert not +left


@given(PLACES, st.integers(1, 5), st.integers(1, 8), st.integers(1, 20), st.integers(1, 3))
def test_waiting_items_are_bounded_and_every_namespace_has_room_for_some(
    places: list[tuple[str, str]], of_object: int, of_namespace: int, whole: int, least: int
) -> None:
    least = min(least, of_namespace, of_object)
    turns = filled(places, Bounds(whole, of_namespace, of_object, least))
    for namespace in "abc":
        asked = sum(place[0] == namespace for place in places)
        assert min(asked, least) <= turns.of_namespace(namespace) <= of_namespace
    assert len(turns) <= whole + 3 * least
    for _ in range(len(turns)):
        turns.take()
    assert not turns
    with pytest.raises(IndexError):
        turns.take()


def test_an_item_that_is_put_back_is_the_next_one() -> None:
    turns = filled([("a", "x"), ("b", "x"), ("a", "x"), ("a", "y")], Bounds())
    first = turns.take()
    turns.put_back("a", "x", first)
    assert [turns.take()[2] for _ in range(4)] == [0, 1, 3, 2]
    assert not turns


def test_the_namespace_that_was_served_longest_ago_begins() -> None:
    items = ["a1", "a2", "a3", "b1", "c1", "c2"]
    assert in_turn(items, lambda item: item[0], {"a": 5.0, "c": 1.0}) == ["b1", "c1", "a1", "c2", "a2", "a3"]


def test_left_out_items_are_summed_up_in_one_line() -> None:
    left_out = LeftOut()
    assert not left_out
    for namespace in ["big"] * 7000 + ["small"] * 3 + [""]:
        left_out.add(namespace)
    assert left_out.take() == {"count": 7004, "most": "big: 7000, small: 3, cluster-scoped: 1"}
    assert not left_out
