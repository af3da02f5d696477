"""Checks a custom resource against its openAPIV3Schema, with the messages of kube-apiserver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from controlplane.embedded.causes import (
    duplicate,
    invalid_value,
    not_supported,
    required,
    too_long,
    too_many,
    wrong_type,
)
from controlplane.embedded.errors import Cause

Raw = dict[str, Any]
_SKIPPED = frozenset({"apiVersion", "kind", "metadata"})


def validate_custom(schema: Raw, value: Any) -> list[Cause]:
    """All field errors of a whole custom resource; metadata is checked elsewhere."""
    return list(_validate(schema, value, "", root=True))


def _validate(schema: Raw, value: Any, path: str, *, root: bool = False) -> Iterator[Cause]:
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            yield _type_error(path, value, schema["type"])
        return
    if not _has_type(schema, value):
        yield _type_error(path, value, schema.get("type", "integer or string"))
        return
    enum = schema.get("enum")
    if enum is not None and value not in enum:
        yield not_supported(path, value, enum)
    if isinstance(value, str):
        yield from _string(schema, value, path)
    elif isinstance(value, dict):
        yield from _object(schema, value, path, root)
    elif isinstance(value, list):
        yield from _list(schema, value, path)
    elif not isinstance(value, bool):
        yield from _number(schema, value, path)
    yield from _combined(schema, value, path)


def _has_type(schema: Raw, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    match schema.get("type"):
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, float) and value.is_integer()
            return (isinstance(value, int) or whole) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return True


def type_name(value: Any) -> str:
    """The JSON type as error messages call it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    return "string" if isinstance(value, str) else "object" if isinstance(value, dict) else "array"


def _type_error(path: str, value: Any, wanted: str) -> Cause:
    got = type_name(value)
    return wrong_type(path, got, f'{path} in body must be of type {wanted}: "{got}"')


def _string(schema: Raw, value: str, path: str) -> Iterator[Cause]:
    if len(value) < schema.get("minLength", 0):
        yield invalid_value(
            path, value, f"{path} in body should be at least {schema['minLength']} chars long"
        )
    if len(value) > schema.get("maxLength", len(value)):
        yield too_long(path, schema["maxLength"])
    pattern = schema.get("pattern")
    if pattern and not re.search(_python_pattern(pattern), value):
        yield invalid_value(path, value, f"{path} in body should match '{pattern}'")
    if schema.get("format") in ("date-time", "date") and not _is_date(value):
        kind = schema["format"]
        yield invalid_value(path, value, f'{path} in body must be of type {kind}: "{value}"')


def _python_pattern(pattern: str) -> str:
    """RE2's `\\z` and Go's end-of-text `$` in Python's spelling."""
    return re.sub(r"(?<!\\)\$(?=\)|\||$)", r"\\Z", pattern.replace(r"\z", r"\Z"))


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _number(schema: Raw, value: float, path: str) -> Iterator[Cause]:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        relation = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield invalid_value(path, value, f"{path} in body should be {relation} {low}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        relation = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield invalid_value(path, value, f"{path} in body should be {relation} {high}")
    if step and value % step:
        yield invalid_value(path, value, f"{path} in body should be a multiple of {step}")


def _object(schema: Raw, value: Raw, path: str, root: bool) -> Iterator[Cause]:
    for name in schema.get("required", ()):
        if name not in value and not (root and name in _SKIPPED):
            yield required(_join(path, name))
    count = len(value)
    if count < schema.get("minProperties", 0):
        yield invalid_value(
            path, count, f"{path} in body should have at least {schema['minProperties']} properties"
        )
    if count > schema.get("maxProperties", count):
        yield invalid_value(
            path, count, f"{path} in body should have at most {schema['maxProperties']} properties"
        )
    properties = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    for name, item in value.items():
        if root and name in _SKIPPED:
            continue
        child = properties.get(name, more if isinstance(more, dict) else None)
        if child is not None:
            yield from _validate(child, item, _join(path, name))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _list(schema: Raw, value: list[Any], path: str) -> Iterator[Cause]:
    count = len(value)
    if count < schema.get("minItems", 0):
        yield invalid_value(path, count, f"{path} in body should have at least {schema['minItems']} items")
    if count > schema.get("maxItems", count):
        yield too_many(path, count, schema["maxItems"])
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
    seen: list[Any] = []
    for n, item in enumerate(value):
        yield from _validate(schema.get("items") or {}, item, f"{path}[{n}]")
        if kind == "map" and isinstance(item, dict):
            identity: Any = {key: item[key] for key in keys if key in item}
        elif kind == "set":
            identity = item
        else:
            continue
        if identity in seen:
            yield duplicate(f"{path}[{n}]", identity)
        seen.append(identity)


def _combined(schema: Raw, value: Any, path: str) -> Iterator[Cause]:
    shown = path or "<nil>"
    for part in schema.get("allOf", ()):
        yield from _validate(part, value, path)
    options = schema.get("anyOf")
    if options and not any(_passes(part, value, path) for part in options):
        yield invalid_value(path, value, f'"{shown}" must validate at least one schema (anyOf)')
    options = schema.get("oneOf")
    if options:
        valid = sum(_passes(part, value, path) for part in options)
        if valid != 1:
            found = "none valid" if not valid else f"{valid} valid alternatives"
            detail = f'"{shown}" must validate one and only one schema (oneOf). Found {found}'
            yield invalid_value(path, value, detail)
    if schema.get("not") and _passes(schema["not"], value, path):
        yield invalid_value(path, value, f'"{shown}" must not validate the schema (not)')


def _passes(schema: Raw, value: Any, path: str) -> bool:
    return next(_validate(schema, value, path), None) is None
