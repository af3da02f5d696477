"""The OpenAPI v2 document in the protobuf form of gnostic: kubectl reads /openapi/v2 in no other.

kubectl asks for it when a kind is in none of the v3 documents, before it says that the kind is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
_TEXTS = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}
_OPERATION_EXTENSIONS, _SCHEMA_EXTENSIONS = 13, 31


def encode_document(document: dict[str, Any]) -> bytes:
    """`document` is a swagger 2.0 object with info, paths and definitions."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(_message(2, _named(path, _path_item(item))) for path, item in document["paths"].items())
    definitions = _properties(document["definitions"])
    return _text(1, document["swagger"]) + _message(2, info) + _message(8, paths) + _message(9, definitions)


def _path_item(item: dict[str, Any]) -> bytes:
    return b"".join(_message(_METHODS[method], _operation(operation)) for method, operation in item.items())


def _operation(operation: dict[str, Any]) -> bytes:
    parameters = b"".join(_message(8, _parameter(parameter)) for parameter in operation["parameters"])
    return parameters + _extensions(operation, _OPERATION_EXTENSIONS)


def _parameter(parameter: dict[str, Any]) -> bytes:
    """A query parameter inside its three wrappers."""
    query = _text(2, parameter["in"]) + _text(4, parameter["name"]) + _text(6, parameter["type"])
    return _message(1, _message(2, _message(3, query)))


def _schema(schema: dict[str, Any]) -> bytes:
    parts = [_text(number, schema[name]) for name, number in _TEXTS.items() if schema.get(name)]
    parts += [_text(19, name) for name in schema.get("required", ())]
    if isinstance(schema.get("additionalProperties"), dict):
        parts.append(_message(21, _message(1, _schema(schema["additionalProperties"]))))
    if schema.get("type"):
        parts.append(_message(22, _text(1, schema["type"])))
    if isinstance(schema.get("items"), dict):
        parts.append(_message(23, _message(1, _schema(schema["items"]))))
    parts += [_message(24, _schema(part)) for part in schema.get("allOf", ())]
    if schema.get("properties"):
        parts.append(_message(25, _properties(schema["properties"])))
    return b"".join(parts) + _extensions(schema, _SCHEMA_EXTENSIONS)


def _properties(schemas: dict[str, Any]) -> bytes:
    return _each(schemas.items(), lambda item: _message(1, _named(item[0], _schema(item[1]))))


def _extensions(owner: dict[str, Any], number: int) -> bytes:
    """Extensions carry their value as YAML text, of which JSON is a part."""
    found = [(name, value) for name, value in owner.items() if name.startswith("x-")]
    return _each(
        found, lambda item: _message(number, _named(item[0], _message(2, msgspec.json.encode(item[1]))))
    )


def _each(items: Iterable[Any], encode: Callable[[Any], bytes]) -> bytes:
    return b"".join(encode(item) for item in items)


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _message(2, value)


def _text(number: int, value: str) -> bytes:
    return _message(number, value.encode())


def _message(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
