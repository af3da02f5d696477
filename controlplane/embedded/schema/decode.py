"""Reads a client's object against a schema: unknown fields, wrong types, pruning, defaults."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import field

from controlplane.embedded.schema.node import UNSET, Schema

_GO_TYPES = {
    "string": "string",
    "int": "int32",
    "number": "float64",
    "bool": "bool",
    "bytes": "[]uint8",
    "time": "string",
    "microtime": "string",
    "quantity": "string",
    "intstr": "string",
}


class WrongType(Exception):
    """A value whose JSON type the field cannot hold; the message has the form of Go's decoder."""


class Decoder(msgspec.Struct):
    """Collects the unknown fields of one object; custom resources are read without `strict_types`."""

    unknown: list[str] = field(default_factory=list)
    strict_types: bool = True

    def decode(self, schema: Schema, value: Any, path: str = "", owner: str = "") -> Any:
        """A pruned deep copy of `value`."""
        match schema.type:
            case "object" | "any" if isinstance(value, dict):
                return self._object(schema, value, path)
            case "map" if isinstance(value, dict):
                items = schema.element()
                kept = {
                    key: self.decode(items, item, f"{path}.{key}", owner)
                    for key, item in value.items()
                    if item is not None or items.nullable or not self.strict_types
                }
                if items.type == "string":
                    kept.update(
                        {key: "" for key, item in value.items() if item is None and self.strict_types}
                    )
                return kept
            case "list" if isinstance(value, list):
                items = schema.element()
                return [self.decode(items, item, f"{path}[{n}]", owner) for n, item in enumerate(value)]
            case "any":
                return copy_json(value)
        return self._scalar(schema, value, path, owner) if self.strict_types else copy_json(value)

    def _object(self, schema: Schema, value: dict[str, Any], path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            child = schema.fields.get(key)
            where = f"{path}.{key}" if path else key
            if child is None:
                if schema.items is not None:
                    result[key] = self.decode(schema.items, item, where, schema.name)
                elif schema.preserve:
                    result[key] = copy_json(item)
                else:
                    self.unknown.append(where)
            elif item is None:
                if not self.strict_types and child.default is UNSET:
                    result[key] = None
            else:
                decoded = self.decode(child, item, where, schema.name)
                if decoded or not self.strict_types or not _omitted_when_empty(schema, key, child):
                    result[key] = decoded
        return result

    def _scalar(self, schema: Schema, value: Any, path: str, owner: str) -> Any:
        if _fits(schema.type, value):
            if schema.type == "quantity":
                return str(value)
            if schema.type == "bytes":
                _check_base64(value)
            return int(value) if schema.type == "int" else value
        got = _json_type(value)
        want = {"object": owner or "object", "list": "[]", "map": "map[string]string"}.get(schema.type)
        want = want or _GO_TYPES[schema.type]
        if schema.type == "object":
            want = f"v1.{schema.name}" if schema.name else "map[string]interface {}"
        elif schema.type == "list":
            inner = schema.element()
            want = "[]" + (f"v1.{inner.name}" if inner.name else _GO_TYPES.get(inner.type, "object"))
        raise WrongType(f"json: cannot unmarshal {got} into Go struct field {owner}.{path} of type {want}")


def _omitted_when_empty(schema: Schema, key: str, child: Schema) -> bool:
    """Empty lists and maps are not stored, except where the Go type has no omitempty."""
    return child.type in ("list", "map") and schema.name not in ("EndpointSlice", "SliceEndpoint")


def _fits(kind: str, value: Any) -> bool:
    match kind:
        case "string" | "time" | "microtime" | "bytes":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int":
            if isinstance(value, float):
                return value.is_integer()
            return isinstance(value, int) and not isinstance(value, bool)
        case "number" | "quantity" | "intstr":
            if isinstance(value, bool):
                return False
            allowed = (
                (int, float) if kind == "number" else (str, int) if kind == "intstr" else (str, int, float)
            )
            return isinstance(value, allowed)
    return False


def _check_base64(value: str) -> None:
    try:
        base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise WrongType("illegal base64 data at input byte 0") from None


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "number" if not isinstance(value, float) or value.is_integer() else f"number {value}"


def copy_json(value: Any) -> Any:
    """A deep copy of JSON data; several times faster than copy.deepcopy."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value


def apply_defaults(schema: Schema, value: Any) -> None:
    """Fills structural defaults in place; a null where null is not allowed becomes the default."""
    if isinstance(value, dict):
        for key, child in schema.fields.items():
            if child.default is not UNSET and (
                key not in value or (value[key] is None and not child.nullable)
            ):
                value[key] = copy_json(child.default)
        for key, item in value.items():
            apply_defaults(schema.child(key), item)
    elif isinstance(value, list):
        for item in value:
            apply_defaults(schema.element(), item)
