"""Schema nodes as OpenAPI schema objects."""

from __future__ import annotations

from typing import Any

from controlplane.embedded.openapi.descriptions import described
from controlplane.embedded.registry.resource import Resource
from controlplane.embedded.schema.node import UNSET, Schema, named_types

_META_TYPES = frozenset(
    {
        "ObjectMeta",
        "ManagedFieldsEntry",
        "OwnerReference",
        "LabelSelector",
        "LabelSelectorRequirement",
        "Condition",
        "ListMeta",
    }
)
_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int32"},
    "number": {"type": "number", "format": "double"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "quantity": {"type": "string"},
    "intstr": {"type": "string", "format": "int-or-string"},
    "any": {"type": "object"},
}
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"


def model_name(group: str, version: str, name: str) -> str:
    """`io.k8s.api.apps.v1.DeploymentSpec`; the types of meta/v1 are shared by all groups."""
    if name in _META_TYPES:
        return f"io.k8s.apimachinery.pkg.apis.meta.v1.{name}"
    if "." in group and not group.endswith(".k8s.io"):
        return ".".join([*reversed(group.split(".")), version, name])
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{name}"


class Models:
    """The component schemas of one group version; `prefix` is where references point."""

    def __init__(self, group: str, version: str, prefix: str) -> None:
        self.group = group
        self.version = version
        self.schemas: dict[str, Any] = {}
        self._prefix = prefix
        # OpenAPI 3.0 ignores all members beside a $ref; Kubernetes' v2 document keeps them all the same.
        self._v3 = prefix.startswith("#/components/")

    def add(self, resource: Resource) -> None:
        """The kind, its list, and every type below them."""
        name = self.name(resource.kind)
        for type_name, node in named_types(resource.schema).items():
            if type_name != resource.schema.name:
                self.schemas.setdefault(self.name(type_name), self._object(node))
        body = self._custom(resource) if resource.raw_schema is not None else self._object(resource.schema)
        gvk = {"group": self.group, "version": self.version, "kind": resource.kind}
        self.schemas[name] = {**body, "x-kubernetes-group-version-kind": [gvk]}
        items = {"type": "array", "items": {"$ref": self._prefix + name}}
        text = {"type": "string"}
        self.schemas[self.name(resource.list_name)] = {
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": text,
                "kind": text,
                "items": items,
                "metadata": {"$ref": self._prefix + LIST_META},
            },
            "x-kubernetes-group-version-kind": [{**gvk, "kind": resource.list_name}],
        }
        self.schemas.setdefault(
            LIST_META, {"type": "object", "properties": {"resourceVersion": text, "continue": text}}
        )

    def name(self, type_name: str) -> str:
        return model_name(self.group, self.version, type_name)

    def _custom(self, resource: Resource) -> dict[str, Any]:
        """A CRD's own schema, with the metadata every kind has."""
        meta = self.name("ObjectMeta")
        raw = {"type": "object", **(resource.raw_schema or {})}
        properties = {
            **(raw.get("properties") or {}),
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": self._prefix + meta},
        }
        return {**raw, "properties": properties}

    def _object(self, node: Schema) -> dict[str, Any]:
        result: dict[str, Any] = {"type": "object"}
        text = described(node.name, "")
        if text:
            result["description"] = text
        if node.required:
            result["required"] = sorted(node.required)
        if node.fields:
            result["properties"] = {
                key: self._field(node.name, key, child) for key, child in node.fields.items()
            }
        if node.atomic:
            result["x-kubernetes-map-type"] = "atomic"
        return result

    def _field(self, owner: str, key: str, node: Schema) -> dict[str, Any]:
        result = self._node(node)
        text = described(owner, key)
        if "$ref" in result and self._v3 and (text or node.retain_keys or node.atomic):
            result = {"allOf": [result]}
        if text:
            result["description"] = text
        strategy = [name for name, used in (("merge", node.merges), ("retainKeys", node.retain_keys)) if used]
        if strategy:
            result["x-kubernetes-patch-strategy"] = ",".join(strategy)
        if node.merge_key:
            result["x-kubernetes-patch-merge-key"] = node.merge_key
        return result

    def _node(self, node: Schema) -> dict[str, Any]:
        if node.name:
            return {"$ref": self._prefix + self.name(node.name)}
        if node.type == "list":
            result: dict[str, Any] = {"type": "array", "items": self._node(node.element())}
            result["x-kubernetes-list-type"] = node.list_type
            if node.keys:
                result["x-kubernetes-list-map-keys"] = list(node.keys)
            return result
        if node.type == "map":
            result = {"type": "object", "additionalProperties": self._node(node.element())}
            return {**result, "x-kubernetes-map-type": "atomic"} if node.atomic else result
        result = dict(_SCALARS[node.type])
        if node.default is not UNSET:
            result["default"] = node.default
        return result
