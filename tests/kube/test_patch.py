"""A status patch says only what differs, and touches nothing of others."""

from typing import Any

import pytest

from controlplane.kube.patch import status_patch, with_transition_times

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("current", "desired", "patch"),
    [
        ({}, {}, {}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "foreign": 2}, {"a": 1}, {}),
        ({"a": {"x": 1, "gone": 2}}, {"a": {"x": 1}}, {"a": {"gone": None}}),
        ({"loadBalancer": {}}, {"loadBalancer": {"ingress": []}}, {}),
        ({}, {"loadBalancer": {"ingress": []}}, {}),
        (
            {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}},
            {"loadBalancer": {"ingress": []}},
            {"loadBalancer": {"ingress": []}},
        ),
        ({"list": [1, 2]}, {"list": [2, 1]}, {"list": [2, 1]}),
        ({"list": [{"a": 1}]}, {"list": [{"a": 1, "certificates": []}]}, {}),
    ],
)
def test_a_patch_is_the_difference(
    current: dict[str, Any], desired: dict[str, Any], patch: dict[str, Any]
) -> None:
    assert status_patch(current, desired) == patch


def condition(kind: str, status: str, message: str = "", at: str | None = None) -> dict[str, str]:
    made = {"type": kind, "status": status, "message": message}
    return made | {"lastTransitionTime": at} if at else made


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    current = {"conditions": [condition("A", "True", "old", OLD), condition("B", "True", "", OLD)]}
    desired = {"conditions": [condition("A", "True", "new"), condition("B", "False"), condition("C", "True")]}
    assert with_transition_times(current, desired, NEW)["conditions"] == [
        condition("A", "True", "new", OLD),
        condition("B", "False", "", NEW),
        condition("C", "True", "", NEW),
    ]


def test_conditions_of_others_are_kept() -> None:
    current = {"conditions": [condition("Foreign", "True", "", OLD)]}
    made = with_transition_times(current, {"conditions": [condition("A", "True")]}, NEW)
    assert [item["type"] for item in made["conditions"]] == ["A", "Foreign"]
