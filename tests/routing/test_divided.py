"""How requests are divided while a cluster returns, or lacks endpoints."""

from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.model.actions import Failback, Share, Split, SplitMode
from proxy.routing.schedule import MAX_PERIOD, schedule
from proxy.routing.shares import PriorityLevel, Usable, capacity, divided, priority_levels

BACK = Usable(live=2, ramp=0.25)
UP, DOWN, AWAY = Usable(live=2), Usable(ejected=2), Usable()
WEIGHTS = Split(SplitMode.WEIGHTS, (Share("a", 80), Share("b", 20)))
HALVES = Split(SplitMode.WEIGHTS, (Share("a", 50), Share("b", 50)))
STANDBY = Split(SplitMode.WEIGHTS, (Share("a", 100), Share("b", 0)))
BESIDE = Split(SplitMode.WEIGHTS, (Share("a", 50), Share("b", 50), Share("c", 0), Share("d", 0, priority=1)))
ALONE = Split(SplitMode.WEIGHTS, (Share("a", 100), Share("b", 0)), failover=False)
COUNTED = Split(SplitMode.ENDPOINTS, (Share("a"), Share("b")))


def some(live: int, expected: int, ramp: float = 1.0) -> Usable:
    return Usable(live, ejected=expected - live, ramp=ramp, capacity=capacity(live, expected))


def parts(split: Split, endpoints: dict[str, Usable]) -> dict[str, Fraction]:
    """Each cluster's part of the requests."""
    found = divided(split, priority_levels(split, endpoints), endpoints)
    return {cluster: Fraction(weight, sum(found.values())) for cluster, weight in found.items()}


def wanted(percent: dict[str, float]) -> dict[str, Fraction]:
    return {cluster: Fraction(round(part * 1000), 100_000) for cluster, part in percent.items()}


@pytest.mark.parametrize(
    ("split", "a", "b", "expected"),
    [
        (WEIGHTS, UP, UP, {"a": 80, "b": 20}),
        (WEIGHTS, BACK, UP, {"a": 50, "b": 50}),  # 20 of 80, beside 20
        (HALVES, UP, BACK, {"a": 80, "b": 20}),
        (WEIGHTS, BACK, BACK, {"a": 80, "b": 20}),  # nobody to spare them
        (WEIGHTS, BACK, DOWN, {"a": 100}),
        (COUNTED, BACK, UP, {"a": 20, "b": 80}),
        (STANDBY, BACK, UP, {"a": 25, "b": 75}),  # what stood in hands over bit by bit
        (STANDBY, BACK, DOWN, {"a": 100}),
        (STANDBY, BACK, Usable(reserve=2), {"a": 100}),  # what drains is no help
        (STANDBY, UP, BACK, {"a": 100}),
        (ALONE, BACK, UP, {"a": 100}),  # nobody else is allowed to serve
        (WEIGHTS, AWAY, AWAY, {}),
    ],
)
def test_a_cluster_that_returns_takes_a_part_of_its_share(
    split: Split, a: Usable, b: Usable, expected: dict[str, float]
) -> None:
    assert parts(split, {"a": a, "b": b}) == wanted(expected)


def test_weights_of_whole_clusters_are_as_they_were_written() -> None:
    endpoints = {"a": some(8, 10), "b": UP}
    assert divided(WEIGHTS, priority_levels(WEIGHTS, endpoints), endpoints) == {"a": 80, "b": 20}


@pytest.mark.parametrize(
    ("live", "expected", "carries"),
    [(3, 3, 1.0), (72, 100, 1.0), (70, 100, 0.98), (2, 4, 0.7), (1, 10, 0.14), (0, 4, 1.0), (0, 0, 1.0)],
)
def test_live_endpoints_decide_the_capacity_of_a_cluster(live: int, expected: int, carries: float) -> None:
    assert capacity(live, expected) == pytest.approx(carries)


@pytest.mark.parametrize(
    ("split", "endpoints", "expected"),
    [
        (HALVES, {"a": some(1, 4), "b": UP}, {"a": 100 * 7 / 27, "b": 100 * 20 / 27}),
        (HALVES, {"a": some(2, 4), "b": some(2, 4)}, {"a": 50, "b": 50}),  # nobody to take it
        (HALVES, {"a": some(1, 4), "b": some(2, 4)}, {"a": 100 / 3, "b": 200 / 3}),
        (
            HALVES,
            {"a": some(2, 4, ramp=0.5), "b": UP},
            {"a": 100 / 3, "b": 200 / 3},
        ),  # the smaller of the two
        (COUNTED, {"a": some(1, 4), "b": some(2, 2)}, {"a": 100 / 3, "b": 200 / 3}),  # fewer count for less
        (STANDBY, {"a": some(2, 4), "b": UP}, {"a": 70, "b": 30}),
        (
            STANDBY,
            {"a": some(2, 4), "b": some(1, 4)},
            {"a": 70, "b": 30},
        ),  # a standby counts by its endpoints
        (ALONE, {"a": some(2, 4), "b": UP}, {"a": 100}),
        (BESIDE, {"a": some(1, 2), "b": UP, "c": UP}, {"a": 100 * 7 / 17, "b": 100 * 10 / 17}),  # b is whole
        (BESIDE, {"a": some(1, 2), "b": some(1, 4), "c": UP}, {"a": 140 / 3, "b": 70 / 3, "c": 30}),
        (BESIDE, {"a": some(1, 2), "b": DOWN, "c": BACK, "d": UP}, {"a": 70, "c": 25, "d": 5}),
        (BESIDE, {"a": some(1, 2), "b": DOWN, "d": UP}, {"a": 70, "d": 30}),
    ],
)
def test_a_cluster_that_lacks_endpoints_leaves_the_rest(
    split: Split, endpoints: dict[str, Usable], expected: dict[str, float]
) -> None:
    found = parts(split, endpoints)
    assert {cluster: float(100 * part) for cluster, part in found.items()} == pytest.approx(expected)


healths = st.integers(0, 20).flatmap(lambda n: st.builds(some, st.just(n), st.integers(n, 20)))
written = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 100), st.integers(0, 2)),
    unique_by=lambda share: share[0],
    min_size=1,
).map(lambda shares: Split(SplitMode.WEIGHTS, tuple(Share(*share) for share in shares)))
pictures = st.fixed_dictionaries(dict.fromkeys("abcd", healths))


@given(written, pictures)
def test_every_request_goes_somewhere_and_only_to_live_clusters_if_any_is(
    split: Split, seen: dict[str, Usable]
) -> None:
    found = parts(split, seen)
    anybody = any(seen[share.cluster].total for share in split.shares)
    assert sum(found.values()) == (1 if anybody else 0)
    assert all(part > 0 for part in found.values())
    live = any(seen[cluster].live for cluster in found)
    assert not live or all(seen[cluster].live for cluster in found)


@given(written, st.integers(1, 20))
def test_when_all_serve_each_has_its_weight(split: Split, count: int) -> None:
    endpoints = dict.fromkeys("abcd", some(count, count))
    named = [share for share in split.shares if share.weight]
    first = min((share.priority for share in split.shares), default=0)
    meant: PriorityLevel = {share.cluster: share.weight for share in named if share.priority == first}
    assert not meant or divided(split, priority_levels(split, endpoints), endpoints) == meant


@given(written, pictures, st.sampled_from("abcd"))
def test_one_more_endpoint_never_means_less(split: Split, seen: dict[str, Usable], one: str) -> None:
    usable = seen[one]
    if not usable.ejected:
        return
    better = some(usable.live + 1, usable.total)
    if not usable.live and any(seen[share.cluster].live for share in split.shares):
        assert one not in parts(split, seen)
    elif usable.live:
        assert parts(split, {**seen, one: better}).get(one, 0) >= parts(split, seen).get(one, 0)


@given(written, pictures)
def test_a_schedule_of_the_weights_is_not_too_long_and_leaves_no_cluster_out(
    split: Split, seen: dict[str, Usable]
) -> None:
    found = divided(split, priority_levels(split, seen), seen)
    order = schedule(list(found.values()))
    assert len(order) <= MAX_PERIOD + len(found)
    assert set(order) == set(range(len(found)))


def test_a_later_tier_gives_way_bit_by_bit() -> None:
    """No step of one endpoint moves more than the endpoint is worth."""
    split = replace(BESIDE, shares=BESIDE.shares[:3])
    seen = [parts(split, {"a": some(n, 100), "b": some(35, 100), "c": UP}).get("c", 0) for n in range(1, 101)]
    assert all(0 <= before - after <= Fraction(2, 100) for before, after in pairwise(seen))
    assert seen[-1] == 0


asked = st.fixed_dictionaries(
    dict.fromkeys(
        "abcd",
        st.builds(
            lambda usable, part: msgspec.structs.replace(
                usable, parts={"ns/web": part} if part < 1.0 else {}
            ),
            healths,
            st.integers(0, 8).map(lambda eighths: eighths / 8),
        ),
    )
)


@given(written, asked)
def test_a_cluster_that_is_out_gets_nothing_unless_no_other_serves(
    split: Split, seen: dict[str, Usable]
) -> None:
    asking = replace(split, failback=Failback("ns/web", manual=True))
    out = {cluster for cluster, usable in seen.items() if usable.parts.get("ns/web") == 0.0}
    listed = {cluster for level in priority_levels(asking, seen) for cluster in level}
    named = {share.cluster for share in split.shares}
    others_serve = any(seen[cluster].live for cluster in named - out)
    assert not (listed & out and others_serve)
    assert set(parts(asking, seen)) <= listed
    if not others_serve:
        assert listed == {cluster for level in priority_levels(split, seen) for cluster in level}
    other = replace(split, failback=Failback("ns/other", manual=True))
    assert parts(other, seen) == parts(split, seen)
