"""Effective shares heal as the data plane's do."""

import pytest

from controlplane.admin.shares import configured, effective
from proxy.model.actions import Share, Split, SplitMode
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
        (WEIGHTED, {"a": Usable(draining=1), "b": DEAD}, {"a": 1, "b": 0, "c": 0}),
        (WEIGHTED, {"a": DEAD, "b": DEAD}, {"a": 0.2, "b": 0.8, "c": 0}),
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
    assert configured(COUNTED, {"a": Usable(live=1, ejected=1), "b": DEAD}) == {"a": 0.5, "b": 0.5}
    assert configured(WEIGHTED, {}) == {"a": 0.2, "b": 0.8, "c": 0}
