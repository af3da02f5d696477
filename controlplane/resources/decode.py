"""Bytes of one object to its typed view. An object that cannot be read harms no other one."""

import re
from functools import cache
from typing import Any, TypeVar

import msgspec

from controlplane.resources.kinds import Kind
from controlplane.resources.view import Malformed

T = TypeVar("T")

_PROBLEM = re.compile(r"^(?P<problem>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)


def decode(kind: Kind[T], raw: bytes | msgspec.Raw) -> T | Malformed:
    """Return the view of the JSON object `raw`, or the mistake in it. Never raises."""
    try:
        view: T = _decoder(kind).decode(raw)
        return view
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _decode_without_nulls(kind, raw)


@cache
def _decoder(kind: Kind[Any]) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind.type)


def _decode_without_nulls(kind: Kind[T], raw: bytes | msgspec.Raw) -> T | Malformed:
    """Decode again with null fields removed: to Kubernetes null and absent are the same.

    Go writes an empty list as null where it is not marked omitempty (`endpoints` of an EndpointSlice).
    """
    value: Any = None
    try:
        value = msgspec.json.decode(raw)
        return msgspec.convert(_without_nulls(value), kind.type)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return Malformed(kind.kind, *_identity(value), _one_line(error))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _identity(value: Any) -> tuple[str, str, str]:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict):
        return "", "", ""
    namespace, name, uid = (metadata.get(key) for key in ("namespace", "name", "uid"))
    return _text(namespace), _text(name), _text(uid)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _one_line(error: Exception) -> str:
    found = _PROBLEM.match(" ".join(str(error).split()))
    assert found is not None  # the expression matches every string
    problem = found["problem"].replace("`", "")
    path = (found["path"] or "").lstrip(".")
    return f"{path}: {problem[:1].lower()}{problem[1:]}" if path else problem
