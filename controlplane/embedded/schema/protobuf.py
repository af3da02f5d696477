"""Reads the protobuf form of builtin kinds, which kubectl's typed commands and Go clients send.

Only requests: answers are JSON, which every client that sends protobuf accepts. A body is the four bytes
`k8s\\0` and a
runtime.Unknown message that wraps the object. Go writes fields held by value even when they are empty, so
empty scalars are dropped, except where the Go type is a pointer and zero is a value of its own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from controlplane.embedded.schema.node import Schema

MAGIC = b"k8s\x00"
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_POINTERS = frozenset(
    {
        "allowPrivilegeEscalation",
        "allocateLoadBalancerNodePorts",
        "automountServiceAccountToken",
        "blockOwnerDeletion",
        "controller",
        "defaultMode",
        "enableServiceLinks",
        "gracePeriodSeconds",
        "immutable",
        "leaseDurationSeconds",
        "leaseTransitions",
        "optional",
        "orphanDependents",
        "priority",
        "privileged",
        "progressDeadlineSeconds",
        "readOnlyRootFilesystem",
        "ready",
        "replicas",
        "revisionHistoryLimit",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "serving",
        "started",
        "terminating",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
    }
)
Field = tuple[int, Any]


class ProtobufError(ValueError):
    """The bytes are not the message they should be."""


def unwrap(raw: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, message) of an enveloped object."""
    if not raw.startswith(MAGIC):
        raise ProtobufError("the body does not start with the protobuf envelope of Kubernetes")
    fields = dict(_fields(raw[len(MAGIC) :]))
    names = dict(_fields(_bytes(fields.get(1, b""))))
    return _text(names.get(1, b"")), _text(names.get(2, b"")), _bytes(fields.get(2, b""))


def decode_message(schema: Schema, raw: bytes) -> dict[str, Any]:
    """A message as the JSON object it stands for."""
    return _message(schema, raw, 0)


def _message(schema: Schema, raw: bytes, depth: int) -> dict[str, Any]:
    """`depth` counts the messages that JSON flattens into this object."""
    by_number: dict[int, list[str]] = {}
    for name, numbers in schema.numbers.items():
        by_number.setdefault(numbers[depth] if len(numbers) > depth else -1, []).append(name)
    result: dict[str, Any] = {}
    for number, value in _fields(raw):
        names = by_number.get(number, ())
        if not names:
            continue
        if len(schema.numbers[names[0]]) > depth + 1:
            inner = Schema(
                "object", fields=schema.fields, numbers={name: schema.numbers[name] for name in names}
            )
            result.update(_message(inner, _bytes(value), depth + 1))
        else:
            _set(result, names[0], schema.fields[names[0]], value)
    return result


def _set(result: dict[str, Any], name: str, schema: Schema, value: Any) -> None:
    match schema.type:
        case "list":
            result.setdefault(name, []).extend(_elements(schema.element(), value))
        case "map":
            entry = dict(_fields(_bytes(value)))
            result.setdefault(name, {})[_text(entry.get(1, b""))] = _map_value(
                schema.element(), entry.get(2, b"")
            )
        case _:
            read = _value(schema, value)
            if read not in (None, "", 0, False) or (name in _POINTERS and read is not None):
                result[name] = read


def _elements(schema: Schema, value: Any) -> list[Any]:
    if schema.type == "int" and isinstance(value, bytes):
        return [_signed(number) for number in _packed(value)]
    return [_value(schema, value)]


def _map_value(schema: Schema, value: Any) -> Any:
    """A list as a map value is a message with the items in field 1."""
    if schema.type == "list":
        return [_value(schema.element(), item) for number, item in _fields(_bytes(value)) if number == 1]
    return _value(schema, value)


def _value(schema: Schema, value: Any) -> Any:
    match schema.type:
        case "object":
            return _message(schema, _bytes(value), 0)
        case "string":
            return _text(value)
        case "bool":
            return bool(value)
        case "int":
            return _signed(value)
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "time" | "microtime":
            return _time(_bytes(value), micro=schema.type == "microtime")
        case "quantity":
            return _text(dict(_fields(_bytes(value))).get(1, b""))
        case "intstr":
            fields = dict(_fields(_bytes(value)))
            return _text(fields.get(3, b"")) if fields.get(1) else _signed(fields.get(2, 0))
    embedded = dict(_fields(_bytes(value))).get(1, b"")
    return msgspec.json.decode(_bytes(embedded)) if embedded else None


def _time(raw: bytes, *, micro: bool) -> str | None:
    fields = dict(_fields(raw))
    if not fields.get(1):
        return None
    moment = datetime.fromtimestamp(_signed(fields[1]), UTC)
    fraction = f".{_signed(fields.get(2, 0)) // 1000:06d}" if micro else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ProtobufError("a length-delimited field was expected")


def _text(value: Any) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise ProtobufError("a string is not UTF-8") from None


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise ProtobufError("an integer was expected")
    return value - (1 << 64) if value >> 63 else value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result & (1 << 64) - 1, at
        shift += 7
    raise ProtobufError("a varint does not end")


def _packed(raw: bytes) -> Iterator[int]:
    at = 0
    while at < len(raw):
        number, at = _varint(raw, at)
        yield number


def _fields(raw: bytes) -> Iterator[Field]:
    """(number, value): an int for varints and fixed sizes, bytes for the rest."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        match key & 7:
            case 0:
                value, at = _varint(raw, at)
                yield key >> 3, value
                continue
            case 2:
                size, at = _varint(raw, at)
            case 1 | 5:
                size = 8 if key & 7 == 1 else 4
            case _:
                raise ProtobufError(f"wire type {key & 7} is not used by Kubernetes")
        if at + size > len(raw):
            raise ProtobufError("a field is longer than the message")
        part = raw[at : at + size]
        at += size
        yield key >> 3, part if key & 7 == 2 else int.from_bytes(part, "little")
