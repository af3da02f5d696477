"""How requests are divided while a cluster returns."""

import pytest

from proxy.model.actions import Share, Split, SplitMode
from proxy.routing.shares import Usable, divided, tiers

BACK = Usable(live=2, level=0.25)
UP, DOWN, AWAY = Usable(live=2), Usable(ejected=2), Usable()
WEIGHTS = Split(SplitMode.WEIGHTS, (Share("a", 80), Share("b", 20)))
STANDBY = Split(SplitMode.WEIGHTS, (Share("a", 100), Share("b", 0)))
ALONE = Split(SplitMode.WEIGHTS, (Share("a", 100), Share("b", 0)), failover=False)
COUNTED = Split(SplitMode.ENDPOINTS, (Share("a"), Share("b")))


@pytest.mark.parametrize(
    ("split", "a", "b", "expected"),
    [
        (WEIGHTS, UP, UP, {"a": 80, "b": 20}),
        (WEIGHTS, BACK, UP, {"a": 20_000, "b": 20_000}),  # 20 of 80, beside 20
        (WEIGHTS, UP, BACK, {"a": 80_000, "b": 5_000}),
        (WEIGHTS, BACK, BACK, {"a": 20_000, "b": 5_000}),  # nobody to spare them
        (WEIGHTS, BACK, DOWN, {"a": 20_000}),
        (COUNTED, BACK, UP, {"a": 500, "b": 2000}),
        (STANDBY, BACK, UP, {"a": 25_000, "b": 75_000}),  # what stood in hands over bit by bit
        (STANDBY, BACK, DOWN, {"a": 25_000}),
        (STANDBY, UP, BACK, {"a": 100}),
        (ALONE, BACK, UP, {"a": 25_000}),  # nobody else is allowed to serve
        (WEIGHTS, AWAY, AWAY, {}),
    ],
)
def test_a_cluster_that_returns_takes_a_part_of_its_share(
    split: Split, a: Usable, b: Usable, expected: dict[str, int]
) -> None:
    endpoints = {"a": a, "b": b}
    assert divided(tiers(split, endpoints), endpoints) == expected
