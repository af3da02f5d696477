"""Request bodies: JSON and YAML with duplicate fields noticed, protobuf for builtin kinds."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from controlplane.embedded.errors import bad_request, unsupported_media_type
from controlplane.embedded.schema.node import Schema
from controlplane.embedded.schema.protobuf import MEDIA_TYPE, ProtobufError, decode_message, unwrap

JSON = "application/json"
YAML = "application/yaml"
_YAML_TYPES = (YAML, "application/x-yaml", "text/yaml")
LIMIT = 3 * 1024 * 1024
MAX_DEPTH = 1000
"""Levels of nested YAML: no object has as many, and the composer has a stack of a few megabytes."""
PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}


def media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def decode_body(raw: bytes, content_type: str | None, schema: Schema | None = None) -> tuple[Any, list[str]]:
    """(value, duplicate fields); an empty content type counts as JSON, protobuf needs the `schema`."""
    kind = media_type(content_type)
    if kind in ("", JSON):
        return decode_json(raw)
    if kind in _YAML_TYPES:
        return decode_yaml(raw)
    if kind == MEDIA_TYPE and schema is not None:
        return _decode_protobuf(raw, schema), []
    raise unsupported_media_type((JSON, YAML, *((MEDIA_TYPE,) if schema is not None else ())))


def _decode_protobuf(raw: bytes, schema: Schema) -> dict[str, Any]:
    try:
        version, kind, message = unwrap(raw)
        return {"apiVersion": version, "kind": kind, **decode_message(schema, message)}
    except ProtobufError as error:
        raise bad_request(f"couldn't get version/kind; protobuf error: {error}") from None


def decode_json(raw: bytes) -> tuple[Any, list[str]]:
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    duplicates.append(key)
                seen.add(key)
        return result

    try:
        return json.loads(raw, object_pairs_hook=pairs, parse_constant=_no_constant), duplicates
    except RecursionError:
        raise bad_request("the body of the request is nested too deeply") from None
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"invalid literal {name}")


def decode_yaml(raw: bytes) -> tuple[Any, list[str]]:
    import yaml

    duplicates: list[str] = []
    _check_yaml_depth(raw)
    loader = _yaml_loader()(raw)
    loader.duplicates = duplicates
    try:
        return _json_keys(loader.get_single_data()), duplicates
    except RecursionError:
        raise bad_request("the body of the request is nested too deeply") from None
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise bad_request(f"error converting YAML to JSON: yaml: {text}") from None
    finally:
        loader.dispose()


def _check_yaml_depth(raw: bytes) -> None:
    import yaml

    from controlplane.yamldepth import too_deep

    try:
        if too_deep(raw, MAX_DEPTH, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) is not None:
            raise bad_request("the body of the request is nested too deeply")
    except yaml.YAMLError:
        return  # the composer raises the error


@cache
def _yaml_loader() -> Any:
    """A safe loader that keeps timestamps as text, as JSON has none, and notes duplicate keys."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        duplicates: list[str]

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key, _ in node.value:
                name = key.value
                if name in seen and key.tag != "tag:yaml.org,2002:merge":
                    self.duplicates.append(str(name))
                seen.add(name)
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return Loader


def _json_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _json_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_keys(item) for item in value]
    return value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)
