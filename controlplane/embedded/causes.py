"""Field errors worded as kube-apiserver words them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from controlplane.embedded.errors import Cause


def shown(value: Any) -> str:
    """A value as it appears inside a field error: lists and maps of strings in Go's syntax, else JSON."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "[]string{" + ", ".join(json_text(item) for item in value) + "}"
    if isinstance(value, dict) and value and all(isinstance(item, str) for item in value.values()):
        pairs = (f"{json_text(key)}:{json_text(item)}" for key, item in sorted(value.items()))
        return "map[string]string{" + ", ".join(pairs) + "}"
    return json_text(value)


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {shown(value)}: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    listed = ", ".join(shown(item) for item in supported)
    return Cause(
        "FieldValueNotSupported", field, f"Unsupported value: {shown(value)}: supported values: {listed}"
    )


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {json_text(value)}")


def forbidden_field(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {detail}")


def immutable(field: str, value: Any) -> Cause:
    return invalid_value(field, value, "field is immutable")


def too_many(field: str, count: int, limit: int) -> Cause:
    return Cause("FieldValueTooMany", field, f"Too many: {count}: must have at most {limit} items")


def too_long(field: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")


def wrong_type(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueTypeInvalid", field, f"Invalid value: {shown(value)}: {detail}")
