"""Sets of field paths, and their FieldsV1 form.

A path is a tuple of FieldsV1 path elements: `f:name`, `k:{"name":"x"}`,
    `v:"x"`. A set is a frozenset of paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from controlplane.embedded.schema.node import Schema, list_key

Path = tuple[str, ...]
FieldSet = frozenset[Path]
_json = msgspec.json.Encoder(order="sorted")


def element_of(schema: Schema, item: Any) -> str:
    """The path element of a list item under list type map or set."""
    if schema.list_type == "map" and isinstance(item, dict):
        key = dict(zip(schema.keys, list_key(schema, item), strict=True))
        return "k:" + _json.encode({name: value for name, value in key.items() if _plain(value)}).decode()
    return "v:" + _json.encode(item).decode()


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def children_of(schema: Schema, value: Any) -> Iterator[tuple[str, Schema, Any]]:
    """The parts apply looks into: (path element, schema, value); none for scalars and atomic values."""
    if not schema.granular:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"f:{key}", schema.child(key), item
    elif isinstance(value, list) and schema.type == "list":
        for item in value:
            yield element_of(schema, item), schema.element(), item


def owned_by_config(schema: Schema, value: Any, path: Path = ()) -> Iterator[Path]:
    """The fields an applied configuration claims: its leaves, and the list items themselves."""
    parts = list(children_of(schema, value))
    if not parts:
        if path:
            yield path
        return
    for element, child, item in parts:
        if element[0] in "kv":
            yield (*path, element)
            if element[0] == "v" or not isinstance(item, dict):
                continue
        yield from owned_by_config(child, item, (*path, element))


def all_paths(schema: Schema, value: Any, path: Path = ()) -> Iterator[Path]:
    """Every path of a value, containers included."""
    if path:
        yield path
    for element, child, item in children_of(schema, value):
        yield from all_paths(child, item, (*path, element))


def changed(schema: Schema, old: Any, new: Any, path: Path = ()) -> tuple[set[Path], set[Path], set[Path]]:
    """(added, modified, removed) between two values; added and removed name containers and leaves."""
    added: set[Path] = set()
    modified: set[Path] = set()
    removed: set[Path] = set()
    _compare(schema, old, new, path, (added, modified, removed))
    return added, modified, removed


_ABSENT = object()


def _compare(
    schema: Schema, old: Any, new: Any, path: Path, into: tuple[set[Path], set[Path], set[Path]]
) -> None:
    if old is new or old == new:
        return
    before = {element: (child, item) for element, child, item in children_of(schema, old)}
    after = {element: (child, item) for element, child, item in children_of(schema, new)}
    if type(old) is not type(new) or not (schema.granular and isinstance(new, dict | list)):
        into[1].add(path)
        return
    if not before and not after:
        into[1].add(path)
        return
    for element, (child, item) in after.items():
        was = before.pop(element, (child, _ABSENT))[1]
        if was is _ABSENT:
            into[0].update(all_paths(child, item, (*path, element)))
        else:
            _compare(child, was, item, (*path, element), into)
    for element, (child, item) in before.items():
        into[2].update(all_paths(child, item, (*path, element)))


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The nested FieldsV1 object; "." marks a path that is a member and has members below."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for element in path[:-1]:
            if not node.get(element) and element in node:
                node[element]["."] = {}
            node = node.setdefault(element, {})
        node.setdefault(path[-1], {})
    return root


def from_fields_v1(fields: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    for key, below in fields.items():
        if key == ".":
            yield path
        elif not below:
            yield (*path, key)
        else:
            yield from from_fields_v1(below, (*path, key))


def shown_path(path: Path) -> str:
    """`.spec.containers[name="web"].image`, the form of conflict messages."""
    parts = []
    for element in path:
        kind, rest = element[0], element[2:]
        if kind == "f":
            parts.append(f".{rest}")
        elif kind == "v":
            parts.append(f"[={rest}]")
        else:
            pairs = msgspec.json.decode(rest)
            parts.append(
                "["
                + ",".join(f"{key}={_json.encode(value).decode()}" for key, value in sorted(pairs.items()))
                + "]"
            )
    return "".join(parts)


def below(paths: Iterable[Path], prefix: Path) -> bool:
    """Whether any path lies at or under `prefix`."""
    length = len(prefix)
    return any(path[:length] == prefix for path in paths)
