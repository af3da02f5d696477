"""Merge, strategic merge and JSON patches."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.embedded.patch.merge import PatchError, json_patch, merge_patch
from controlplane.embedded.patch.strategic import strategic_merge
from controlplane.embedded.schema.builtin_types import builtin_types

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)
# RFC 7386, appendix A
RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("original", "patch", "result"), RFC_7386)
def test_merge_patch_does_what_rfc_7386_lists(original: Any, patch: Any, result: Any) -> None:
    assert merge_patch(original, patch) == result


@given(JSON, JSON)
def test_a_merge_patch_applied_twice_changes_nothing_more(original: Any, patch: Any) -> None:
    once = merge_patch(original, patch)
    assert merge_patch(once, patch) == once


def _pod(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containers": list(containers), **more}


A, B, C = ({"name": name, "image": f"{name}:1"} for name in "abc")
STRATEGIC = [
    ("merge by key", _pod(A, B), {"containers": [{"name": "b", "image": "b:2"}]}, _pod(A, {**B,
        "image": "b:2"})),
    ("a new element goes first", _pod(A), {"containers": [B]}, _pod(B, A)),
    ("delete an element", _pod(A, B), {"containers": [{"name": "a", "$patch": "delete"}]}, _pod(B)),
    ("replace the list", _pod(A, B), {"containers": [C, {"$patch": "replace"}]}, _pod(C)),
    ("order", _pod(A, B), {"containers": [C],
        "$setElementOrder/containers": [{"name": n} for n in "cba"]}, _pod(C, B, A)),
    ("only order", _pod(A, B), {"$setElementOrder/containers": [{"name": n} for n in "ba"]}, _pod(B, A)),
    ("order keeps server elements", _pod(A, B), {"$setElementOrder/containers": [{"name": "b"}]}, _pod(A, B)),
    ("null deletes", _pod(A, hostname="x"), {"hostname": None}, _pod(A)),
    ("atomic list", _pod(A, tolerations=[{"key": "x"}]), {"tolerations": [{"key": "y"}]}, _pod(A,
        tolerations=[{"key": "y"}])),
    ("delete a map", _pod(A, securityContext={"runAsUser": 1}),
        {"securityContext": {"$patch": "delete"}}, _pod(A)),
    (
        "replace a map",
        _pod(A, securityContext={"runAsUser": 1}),
        {"securityContext": {"$patch": "replace", "runAsGroup": 2}},
        _pod(A, securityContext={"runAsGroup": 2}),
    ),
    (
        "retain keys of a volume",
        _pod(A, volumes=[{"name": "v", "emptyDir": {}}]),
        {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]},
        _pod(A, volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    ),
    (
        "nested lists",
        _pod({**A, "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}),
        {"containers": [{"name": "a", "env": [{"name": "X", "$patch": "delete"}, {"name": "Z",
            "value": "3"}]}]},
        _pod({**A, "env": [{"name": "Z", "value": "3"}, {"name": "Y", "value": "2"}]}),
    ),
]  # fmt: skip


def _names(text: str) -> list[dict[str, Any]]:
    return [{"name": name} for name in text]


ORDERS = [  # present, patch, order, what kube-apiserver 1.28 makes of it
    ("abc", "d", None, "dabc"),
    ("dabc", "be", None, "dabec"),
    ("dabec", "a", "ca", "dbeca"),
    ("dbeca", "x", "xba", "xdbeca"),
]


@pytest.mark.parametrize(("present", "patch", "order", "result"), ORDERS)
def test_a_strategic_merge_puts_elements_where_kube_apiserver_does(
    present: str, patch: str, order: str | None, result: str
) -> None:
    body: dict[str, Any] = {"containers": _names(patch)}
    if order is not None:
        body["$setElementOrder/containers"] = _names(order)
    merged = strategic_merge(builtin_types()["PodSpec"], {"containers": _names(present)}, body)
    assert merged == {"containers": _names(result)}


def test_a_strategic_merge_orders_strings_in_the_same_way() -> None:
    meta = builtin_types()["ObjectMeta"]
    patch = {"finalizers": ["a.b/z", "a.b/x"]}
    merged = strategic_merge(meta, {"finalizers": ["a.b/x", "a.b/y"]}, patch)
    assert merged == {"finalizers": ["a.b/z", "a.b/x", "a.b/y"]}


@pytest.mark.parametrize(
    ("original", "patch", "result"), [row[1:] for row in STRATEGIC], ids=[row[0] for row in STRATEGIC]
)
def test_strategic_merge_of_a_pod_spec(original: Any, patch: Any, result: Any) -> None:
    assert strategic_merge(builtin_types()["PodSpec"], original, patch) == result


def test_primitive_lists_merge_and_delete() -> None:
    schema = builtin_types()["ObjectMeta"]
    original = {"finalizers": ["a/b", "c/d"]}
    assert strategic_merge(schema, original, {"finalizers": ["e/f"]})["finalizers"] == ["e/f", "a/b", "c/d"]
    patch = {"$deleteFromPrimitiveList/finalizers": ["a/b"]}
    assert strategic_merge(schema, original, patch)["finalizers"] == ["c/d"]


@pytest.mark.parametrize(
    "patch",
    [
        {"containers": [{"image": "no name"}]},
        {"$patch": "explode"},
        {"containers": ["text"]},
        {"strategy": {}, "$retainKeys": ["x"], "y": 1},
    ],
)
def test_malformed_strategic_patches_are_refused(patch: Any) -> None:
    with pytest.raises(PatchError) as caught:
        strategic_merge(builtin_types()["PodSpec"], _pod(A), patch)
    assert caught.value.malformed


def test_json_patch_leaves_the_original_alone() -> None:
    original = {"a": [1, 2]}
    assert json_patch(original, [{"op": "add", "path": "/a/-", "value": 3}]) == {"a": [1, 2, 3]}
    assert original == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("operations", "malformed"),
    [
        ({}, True),
        ([{"op": "fly", "path": "/a"}], True),
        ([{"path": "/a"}], True),
        ([{"op": "test", "path": "/a", "value": 2}], False),
        ([{"op": "remove", "path": "/missing"}], False),
        ([{"op": "add", "path": "/a/b/c", "value": 1}], False),
    ],
)
def test_json_patches_that_cannot_apply_say_so(operations: Any, malformed: bool) -> None:
    with pytest.raises(PatchError) as caught:
        json_patch({"a": 1}, operations)
    assert caught.value.malformed is malformed
