"""The rolling update as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.embedded.workloads.rollout import Limits, Plan, SetCount, limits, plan, template_hash


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"replicas": 4}, Limits(1, 1)),
        ({"replicas": 3}, Limits(1, 0)),
        (
            {"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}}},
            Limits(0, 1),
        ),
        ({"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}, Limits(0, 1)),
        ({"replicas": 2, "strategy": {"type": "Recreate"}}, Limits(0, 0, recreate=True)),
    ],
)
def test_bounds_round_as_kubernetes_rounds_them(spec: dict[str, object], expected: Limits) -> None:
    assert limits(spec) == expected


def test_without_old_pods_all_pods_are_made_at_once() -> None:
    assert plan(5, SetCount(0, 0, 0), (), Limits(1, 1)) == Plan(5, ())


def test_a_new_template_starts_with_the_surge_and_keeps_the_old_pods() -> None:
    assert plan(2, SetCount(0, 0, 0), (SetCount(2, 2, 2),), Limits(1, 0)) == Plan(1, (2,))


def test_old_pods_go_as_new_ones_become_available() -> None:
    assert plan(2, SetCount(1, 1, 1), (SetCount(2, 2, 2),), Limits(1, 0)) == Plan(1, (1,))


def test_old_pods_that_do_not_serve_go_first() -> None:
    assert plan(2, SetCount(1, 0, 1), (SetCount(2, 1, 2),), Limits(1, 0)) == Plan(1, (1,))


def test_scaling_to_zero_takes_every_pod_of_every_set() -> None:
    assert plan(0, SetCount(2, 2, 2), (SetCount(1, 1, 1),), Limits(0, 1)) == Plan(0, (0,))


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    bounds = Limits(0, 0, recreate=True)
    assert plan(2, SetCount(0, 0, 0), (SetCount(0, 0, 1),), bounds) == Plan(0, (0,))
    assert plan(2, SetCount(0, 0, 0), (SetCount(0, 0, 0),), bounds) == Plan(2, (0,))


@given(
    replicas=st.integers(0, 12),
    old=st.integers(0, 12),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
)
def test_a_rollout_ends_and_never_has_too_few_or_too_many_pods(
    replicas: int, old: int, surge: int, unavailable: int
) -> None:
    bounds = Limits(surge, unavailable if surge or unavailable else 1)
    new, before = 0, old
    for _ in range(60):
        step = plan(replicas, SetCount(new, new, new), (SetCount(before, before, before),), bounds)
        (after,) = step.old
        if after < before:
            assert new + after >= min(new + before, replicas - bounds.unavailable)
        if step.new > new:
            assert step.new + before <= replicas + bounds.surge
        new, before = step.new, after
    assert (new, before) == (replicas, 0)


def test_equal_templates_have_equal_names() -> None:
    one = template_hash({"metadata": {"labels": {"a": "1"}}, "spec": {}})
    assert one == template_hash({"spec": {}, "metadata": {"labels": {"a": "1"}}})
    assert one != template_hash({"metadata": {"labels": {"a": "2"}}, "spec": {}})
