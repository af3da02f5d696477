"""Field ownership and server-side apply."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.embedded.ownership.apply import OwnershipConflict, merge, server_side_apply
from controlplane.embedded.ownership.fields import (
    changed,
    from_fields_v1,
    owned_by_config,
    shown_path,
    to_fields_v1,
)  # fmt: skip
from controlplane.embedded.ownership.managed import (
    Entry,
    Managed,
    Owner,
    after_update,
    read_managed,
    write_managed,
)
from controlplane.embedded.schema.builtin_types import kind_schema

DEPLOYMENT = kind_schema("Deployment")
CONFIG = kind_schema("ConfigMap")
ME, OTHER = Owner("me", "Apply", "v1"), Owner("other", "Apply", "v1")
PATHS = st.frozensets(
    st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"']), min_size=1, max_size=4).map(tuple)
)


def _keep(paths: Any) -> frozenset[Any]:
    return frozenset(paths)


def _apply(live: Any, config: Any, managed: Managed, owner: Owner = ME, *, force: bool = False) -> Any:
    return server_side_apply(CONFIG, live, config, managed, owner, _keep, force=force, now="now")


def _web(**container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", **container}]}}}}


@given(PATHS)
def test_field_sets_survive_the_fields_v1_form(paths: Any) -> None:
    assert frozenset(from_fields_v1(to_fields_v1(paths))) == paths


def test_a_configuration_owns_its_leaves_and_its_list_items() -> None:
    owned = {
        shown_path(path)
        for path in owned_by_config(DEPLOYMENT, _web(image="a", ports=[{"containerPort": 80}]))
    }
    item = '.spec.template.spec.containers[name="web"]'
    port = f'{item}.ports[containerPort=80,protocol="TCP"]'
    assert owned == {item, f"{item}.name", f"{item}.image", port, f"{port}.containerPort"}


def test_changes_name_added_modified_and_removed_fields() -> None:
    added, modified, removed = changed(CONFIG, {"data": {"a": "1", "b": "2"}}, {"data": {"a": "9", "c": "3"}})
    assert added == {("f:data", "f:c")}
    assert modified == {("f:data", "f:a")}
    assert removed == {("f:data", "f:b")}


def test_lists_merge_by_key_and_keep_what_others_added() -> None:
    live = _web(image="a", env=[{"name": "X", "value": "1"}])
    merged = merge(DEPLOYMENT, live, _web(image="b", env=[{"name": "Y", "value": "2"}]))
    container = merged["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "b"
    assert [variable["name"] for variable in container["env"]] == ["X", "Y"]


def test_a_field_no_longer_applied_goes_away_unless_another_manager_owns_it() -> None:
    live, managed = _apply({}, {"data": {"a": "1", "b": "2"}}, {})
    live, managed = _apply(live, {"data": {"b": "2", "c": "3"}}, managed, OTHER)
    live, managed = _apply(live, {"data": {}}, managed)
    assert live["data"] == {"b": "2", "c": "3"}
    assert managed[OTHER].fields == {("f:data", "f:b"), ("f:data", "f:c")}


def test_a_different_value_of_a_field_of_another_is_a_conflict_until_forced() -> None:
    live, managed = _apply({}, {"data": {"a": "1"}}, {}, OTHER)
    with pytest.raises(OwnershipConflict) as caught:
        _apply(live, {"data": {"a": "2"}}, managed)
    assert caught.value.conflicts == [('"other"', ".data.a")]
    live, managed = _apply(live, {"data": {"a": "2"}}, managed, force=True)
    assert live["data"] == {"a": "2"}
    assert set(managed) == {ME}


def test_the_same_value_is_shared() -> None:
    live, managed = _apply({}, {"data": {"a": "1"}}, {}, OTHER)
    _, managed = _apply(live, {"data": {"a": "1"}}, managed)
    assert managed[ME].fields == managed[OTHER].fields


def test_the_live_object_is_left_alone() -> None:
    live, managed = _apply({}, {"data": {"a": "1", "b": "2"}}, {})
    _apply(live, {"data": {"a": "1"}}, managed)
    assert live == {"data": {"a": "1", "b": "2"}}


def test_an_update_takes_over_what_it_changes() -> None:
    managed = {OTHER: Entry(frozenset({("f:data", "f:a"), ("f:data", "f:b")}), "before")}
    writer = Owner("kubectl", "Update", "v1")
    result = after_update(
        managed, CONFIG, {"data": {"a": "1", "b": "2"}}, {"data": {"a": "9"}}, writer, _keep, "now"
    )
    assert result == {writer: Entry(frozenset({("f:data", "f:a")}), "now")}


def test_managed_fields_are_read_as_written() -> None:
    managed = {
        Owner("m", "Update", "v1", "status"): Entry(frozenset({("f:status",), ("f:status", "f:x")}), "t")
    }
    assert read_managed({"managedFields": write_managed(managed)}) == managed


def test_fields_no_longer_applied_leave_no_empty_shells() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]
    service = kind_schema("Service")
    first = {"spec": {"ports": ports, "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}}
    live, managed = server_side_apply(service, {}, first, {}, ME, _keep, force=False, now="now")
    live["spec"]["ports"][1]["targetPort"] = 81
    second = {"spec": {"ports": [{"name": "c", "port": 80}]}}
    live, _ = server_side_apply(service, live, second, managed, ME, _keep, force=False, now="now")
    assert live == {"spec": {"ports": [{"name": "c", "port": 80}]}}
