"""Server-side apply: merge a configuration into the live object, drop fields that it no longer names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from controlplane.embedded.ownership.fields import (
    FieldSet,
    Path,
    changed,
    children_of,
    element_of,
    owned_by_config,
    shown_path,
)
from controlplane.embedded.ownership.managed import Entry, Managed, Owner
from controlplane.embedded.schema.decode import copy_json
from controlplane.embedded.schema.node import Schema


class OwnershipConflict(Exception):
    """Fields that other managers own would change; `conflicts` are (owner, path) as shown to users."""

    def __init__(self, conflicts: list[tuple[str, str]]) -> None:
        super().__init__(f"{len(conflicts)} conflicts")
        self.conflicts = conflicts


def server_side_apply(
    schema: Schema,
    live: dict[str, Any],
    config: dict[str, Any],
    managed: Managed,
    owner: Owner,
    narrow: Callable[[Iterable[Path]], FieldSet],
    *,
    force: bool,
    now: str,
    yielding: FieldSet = frozenset(),
) -> tuple[dict[str, Any], Managed]:
    """The merged object and its owners; raises OwnershipConflict unless `force`.

    Fields of `yielding` may be taken from any owner.
    """
    claimed = narrow(owned_by_config(schema, config))
    merged = merge(schema, live, config)
    previous = _previous(managed, owner)
    others = {other: entry for other, entry in managed.items() if other not in previous}
    dropped = frozenset().union(*(managed[own].fields for own in previous)) - claimed
    _prune(schema, merged, dropped, others, claimed)
    added, modified, _ = changed(schema, live, merged)
    touched = narrow(added | modified)
    conflicts = [
        (other.shown(), shown_path(path))
        for other, entry in others.items()
        for path in sorted((entry.fields & touched) - yielding)
    ]
    if conflicts and not force:
        raise OwnershipConflict(conflicts)
    result = {other: replace(entry, fields=entry.fields - touched) for other, entry in others.items()}
    result = {other: entry for other, entry in result.items() if entry.fields}
    if claimed:
        before = managed.get(owner)
        result[owner] = before if before is not None and before.fields == claimed else Entry(claimed, now)
    return merged, result


def _previous(managed: Managed, owner: Owner) -> list[Owner]:
    """This manager's own Apply entries, of any API version."""
    return [
        own
        for own in managed
        if own.operation == "Apply" and own.manager == owner.manager and own.subresource == owner.subresource
    ]


def merge(schema: Schema, live: Any, config: Any) -> Any:
    """`config` over `live`; values that are atomic by the schema are replaced."""
    if not schema.granular or type(live) is not type(config):
        return copy_json(config)
    if isinstance(config, dict):
        result = dict(live)
        for key, value in config.items():
            result[key] = merge(schema.child(key), live[key], value) if key in live else copy_json(value)
        return result
    if isinstance(config, list) and schema.type == "list":
        return _merge_list(schema, live, config)
    return copy_json(config)


def _merge_list(schema: Schema, live: list[Any], config: list[Any]) -> list[Any]:
    """Applied items in their order; items only the live list has keep their places."""
    old = {element_of(schema, item): item for item in live}
    new = {element_of(schema, item): item for item in config}
    merged = iter(
        [
            merge(schema.element(), old[key], item) if key in old else copy_json(item)
            for key, item in new.items()
        ]
    )
    result = [next(merged) if key in new else item for key, item in old.items()]
    return result + list(merged)


def _prune(schema: Schema, merged: Any, dropped: FieldSet, others: Managed, claimed: FieldSet) -> None:
    kept: set[Path] = set()
    for fields in (claimed, *(entry.fields for entry in others.values())):
        for path in fields:
            kept.update(path[:length] for length in range(1, len(path) + 1))
    # Parents first: an item whose key fields went before it could not be found any more.
    for path in sorted(dropped, key=len):
        if path not in kept:
            _remove(schema, merged, path, (), kept)


def _remove(schema: Schema, value: Any, path: Path, parent: Path, kept: set[Path]) -> None:
    """Removes one path and the containers it leaves empty, copying the containers on the way: `merged`
    shares structure with the live object."""
    element, rest = path[0], path[1:]
    here = (*parent, element)
    if rest:
        for name, child, item in children_of(schema, value):
            if name == element:
                fresh = (
                    dict(item) if isinstance(item, dict) else list(item) if isinstance(item, list) else item
                )
                _remove(child, fresh, rest, here, kept)
                if fresh or here in kept:
                    _replace(schema, value, name, fresh)
                else:
                    _drop(schema, value, name)
                return
    else:
        _drop(schema, value, element)


def _drop(schema: Schema, value: Any, element: str) -> None:
    if isinstance(value, dict):
        value.pop(element[2:], None)
    elif isinstance(value, list):
        value[:] = [item for item in value if element_of(schema, item) != element]


def _replace(schema: Schema, value: Any, element: str, fresh: Any) -> None:
    if isinstance(value, dict):
        value[element[2:]] = fresh
    else:
        value[:] = [fresh if element_of(schema, item) == element else item for item in value]
