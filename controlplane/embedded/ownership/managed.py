"""metadata.managedFields: the owners of fields, read, updated after a write, written back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from controlplane.embedded.ownership.fields import FieldSet, Path, changed, from_fields_v1, to_fields_v1
from controlplane.embedded.schema.node import Schema

_SERVER_SET = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
)
_UNTRACKED: frozenset[Path] = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *((("f:metadata", f"f:{name}")) for name in _SERVER_SET),
    }
)
# Structs that Go writes by value: they are always present, so no manager comes to own them as such.
_BY_VALUE = frozenset({"f:metadata", "f:spec", "f:status", "f:template", "f:strategy", "f:containers"})


class Owner(msgspec.Struct, frozen=True):
    """The identity of one managedFields entry."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def shown(self) -> str:
        """As conflict messages name it."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


class Entry(msgspec.Struct, frozen=True):
    fields: FieldSet
    time: str = ""


Managed = dict[Owner, Entry]


def read_managed(metadata: dict[str, Any]) -> Managed:
    result: Managed = {}
    for raw in metadata.get("managedFields") or ():
        if not raw.get("operation"):
            continue
        owner = Owner(
            raw.get("manager", ""), raw["operation"], raw.get("apiVersion", ""), raw.get("subresource", "")
        )
        result[owner] = Entry(frozenset(from_fields_v1(raw.get("fieldsV1") or {})), raw.get("time", ""))
    return result


def write_managed(managed: Managed) -> list[dict[str, Any]]:
    """The managedFields list, Apply entries first, then by time, as kube-apiserver sorts it."""
    ordered = sorted(managed.items(), key=lambda item: (item[0].operation, item[1].time, item[0].manager))
    return [_entry(owner, entry) for owner, entry in ordered]


def _entry(owner: Owner, entry: Entry) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "manager": owner.manager,
        "operation": owner.operation,
        "apiVersion": owner.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(entry.fields),
    }
    if owner.subresource:
        raw["subresource"] = owner.subresource
    return raw


def tracked(paths: Iterable[Path], *, subresource: str, has_status: bool) -> FieldSet:
    """The paths without those that the server sets, and without the half this endpoint does not write."""
    hidden = "f:spec" if subresource == "status" else "f:status" if has_status else ""
    return frozenset(path for path in paths if path not in _UNTRACKED and path[0] != hidden)


def after_update(
    managed: Managed,
    schema: Schema,
    old: dict[str, Any],
    new: dict[str, Any],
    owner: Owner,
    narrow: Callable[[Iterable[Path]], FieldSet],
    now: str,
) -> Managed:
    """Ownership after a PUT, POST or patch: the writer alone owns the changed fields."""
    added, modified, removed = changed(schema, old, new)
    touched = narrow(_without_by_value(added) | modified)
    result: Managed = {}
    for other, entry in managed.items():
        kept = entry.fields - removed if other == owner else entry.fields - touched - removed
        if kept:
            result[other] = replace(entry, fields=kept)
    before = result.get(owner, Entry(frozenset()))
    fields = before.fields | touched
    if fields:
        result[owner] = before if fields == before.fields else Entry(fields, now)
    if owner in result and owner in managed and result[owner].fields != managed[owner].fields:
        result[owner] = Entry(fields, now)
    return result


def _without_by_value(paths: set[Path]) -> set[Path]:
    parents = {path[:-1] for path in paths}
    return {path for path in paths if not (path[-1] in _BY_VALUE and path in parents)}
