"""One node of a schema: the properties of a field for decoding, patching, apply and OpenAPI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import field
from msgspec.structs import replace

SCALARS = frozenset({"string", "int", "number", "bool", "bytes", "time", "microtime", "quantity", "intstr"})
UNSET: Any = object()


class Schema(msgspec.Struct, eq=False):
    """`type` is object, map, list, any or one of SCALARS; `items` is what a map or list holds; `numbers`
    are the protobuf field numbers (two where the JSON form flattens a message)."""

    type: str
    name: str = ""
    fields: dict[str, Schema] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    items: Schema | None = None
    list_type: str = "atomic"
    keys: tuple[str, ...] = ()
    atomic: bool = False
    merge_key: str = ""
    merges: bool = False
    retain_keys: bool = False
    preserve: bool = False
    embedded: bool = False
    nullable: bool = False
    default: Any = UNSET

    def child(self, key: str) -> Schema:
        """The schema of one field or entry; ANY where none is known."""
        found = self.fields.get(key)
        if found is not None:
            return found
        return self.items if self.type in ("map", "object") and self.items is not None else ANY

    def element(self) -> Schema:
        return self.items if self.items is not None else ANY

    @property
    def granular(self) -> bool:
        """Whether apply merges below this node instead of replacing it."""
        if self.atomic:
            return False
        return self.type in ("object", "map", "any") or (self.type == "list" and self.list_type != "atomic")

    def marked(self, **changes: Any) -> Schema:
        """A copy for one field; it shares `fields` and `required`, which may still be filled."""
        return replace(self, **changes)


ANY = Schema("any", preserve=True)


def list_key(schema: Schema, item: Any) -> tuple[Any, ...]:
    """The identity of a list element under list type map or set."""
    if schema.list_type == "set" or not isinstance(item, dict):
        return (item if not isinstance(item, dict | list) else repr(item),)
    return tuple(item.get(key, schema.element().child(key).default) for key in schema.keys)


def named_types(root: Schema, seen: dict[str, Schema] | None = None) -> dict[str, Schema]:
    """Every named type that can be reached from `root`."""
    found = {} if seen is None else seen
    if root.name:
        if root.name in found:
            return found
        found[root.name] = root
    for child in _children(root):
        named_types(child, found)
    return found


def _children(schema: Schema) -> Iterator[Schema]:
    yield from schema.fields.values()
    if schema.items is not None:
        yield schema.items
