"""Reads the builtin type tables (builtin/*.txt).

A line at the margin names a type (`!atomic`: apply replaces it whole); the indented words are its fields,
`name#number:type` (the number is the one of the protobuf form), with `*` for required, `[T]` list,
    `{T}` map, `=value` default and the marks `!set`,
`!map(keys)` (apply), `!merge`, `!merge(key)`, `!retain` (strategic merge), `!atomic`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from controlplane.embedded.schema.node import ANY, SCALARS, Schema

_FIELD = re.compile(
    r"(?P<name>[^:*#]+)(?P<required>\*?)(?:#(?P<numbers>[\d.]+))?:(?P<type>[\[{\]}\w]+)(?:=(?P<default>\w+))?(?P<marks>!\S+)?"
)
_MARK = re.compile(r"!(\w+)(?:\(([\w,]+)\))?")


@cache
def builtin_types() -> dict[str, Schema]:
    """All builtin types by name."""
    lines: list[tuple[str, list[str]]] = []
    for path in sorted((Path(__file__).parent / "builtin").glob("*.txt")):
        for line in path.read_text().splitlines():
            if line.startswith("  "):
                lines[-1][1].extend(line.split())
            elif not line.startswith("#"):
                lines.append((line, []))
    types: dict[str, Schema] = {}
    for head, _ in lines:
        name, _, mark = head.partition(" ")
        types[name] = Schema("object", name=name, atomic=mark == "!atomic")
    for head, words in lines:
        _fill(types[head.split(" ")[0]], words, types)
    return types


@cache
def kind_schema(type_name: str) -> Schema:
    """The schema of a top-level kind: the type's fields with apiVersion and kind."""
    root = builtin_types()[type_name]
    fields = {"apiVersion": Schema("string"), "kind": Schema("string"), **root.fields}
    return root.marked(fields=fields)


def _fill(schema: Schema, words: list[str], types: dict[str, Schema]) -> None:
    for word in words:
        match = _FIELD.fullmatch(word)
        if match is None:
            raise ValueError(f"type table: {schema.name}: cannot read {word!r}")
        node = _node(match["type"], types)
        if match["default"]:
            node = node.marked(default=match["default"])
        if match["marks"]:
            node = _marked(node, match["marks"])
        schema.fields[match["name"]] = node
        if match["required"]:
            schema.required.add(match["name"])
        if match["numbers"]:
            schema.numbers[match["name"]] = tuple(int(number) for number in match["numbers"].split("."))


def _node(text: str, types: dict[str, Schema]) -> Schema:
    if text.startswith("["):
        return Schema("list", items=_node(text[1:-1], types))
    if text.startswith("{"):
        return Schema("map", items=_node(text[1:-1], types))
    if text == "any":
        return ANY
    return Schema(text) if text in SCALARS else types[text]


def _marked(node: Schema, marks: str) -> Schema:
    for mark, argument in _MARK.findall(marks):
        match mark:
            case "set":
                node = node.marked(list_type="set")
            case "map":
                node = node.marked(list_type="map", keys=tuple(argument.split(",")))
            case "merge":
                node = node.marked(merges=True, merge_key=argument)
            case "retain":
                node = node.marked(retain_keys=True)
            case "atomic":
                node = node.marked(atomic=True)
    return node
