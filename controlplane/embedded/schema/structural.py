"""Builds a Schema from the openAPIV3Schema of a CustomResourceDefinition version."""

from __future__ import annotations

from typing import Any

from controlplane.embedded.schema.builtin_types import builtin_types
from controlplane.embedded.schema.node import UNSET, Schema

_TYPES = {"integer": "int", "number": "number", "boolean": "bool", "string": "string"}


def structural_schema(raw: dict[str, Any] | None, *, root: bool = True) -> Schema:
    """The schema of a custom resource; without a schema all fields are preserved."""
    node = _node(raw or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    return _rooted(node) if root else node


def _rooted(node: Schema) -> Schema:
    node.fields["apiVersion"] = Schema("string")
    node.fields["kind"] = Schema("string")
    node.fields["metadata"] = builtin_types()["ObjectMeta"]
    return node


def _node(raw: dict[str, Any]) -> Schema:
    preserve = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
    common: dict[str, Any] = {
        "preserve": preserve,
        "nullable": bool(raw.get("nullable")),
        "default": raw.get("default", UNSET),
        "embedded": bool(raw.get("x-kubernetes-embedded-resource")),
    }
    if raw.get("x-kubernetes-int-or-string"):
        return Schema("intstr", **common)
    kind = raw.get("type", "")
    if kind == "array":
        return _list(raw, common)
    if kind == "object" or (not kind and raw.get("properties")):
        return _object(raw, common)
    if kind in _TYPES:
        return Schema(_TYPES[kind], **common)
    return Schema("any", **{**common, "preserve": True})


def _list(raw: dict[str, Any], common: dict[str, Any]) -> Schema:
    return Schema(
        "list",
        items=_node(raw.get("items") or {"x-kubernetes-preserve-unknown-fields": True}),
        list_type=raw.get("x-kubernetes-list-type", "atomic"),
        keys=tuple(raw.get("x-kubernetes-list-map-keys", ())),
        **common,
    )


def _object(raw: dict[str, Any], common: dict[str, Any]) -> Schema:
    properties = raw.get("properties") or {}
    more = raw.get("additionalProperties")
    node = Schema(
        "object" if properties or not more else "map",
        fields={key: _node(value) for key, value in properties.items()},
        required=set(raw.get("required", ())),
        atomic=raw.get("x-kubernetes-map-type") == "atomic",
        **common,
    )
    if isinstance(more, dict):
        node.items = _node(more)
    elif more:
        node.items = Schema("any", preserve=True)
    if node.embedded:
        _rooted(node)
    return node
