"""The scale subresource: autoscaling/v1 Scale as a view of any kind that has one."""

from __future__ import annotations

from typing import Any

from controlplane.embedded.causes import invalid_value
from controlplane.embedded.errors import bad_request, invalid
from controlplane.embedded.registry.resource import Object, Resource, Scale
from controlplane.embedded.schema.decode import copy_json
from controlplane.embedded.tables.cells import selector_text
from controlplane.embedded.tables.jsonpath import find, set_path


def to_scale(resource: Resource, obj: Object) -> Object:
    scale = _paths(resource)
    meta = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": _first(scale.status, obj, 0)}
    selector = _first(scale.selector, obj, "") if scale.selector else ""
    if selector:
        status["selector"] = selector if isinstance(selector, str) else selector_text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": _first(scale.spec, obj, 0)},
        "status": status,
    }


def with_scale(resource: Resource, obj: Object, scaled: Any) -> Object:
    """`obj` with the replicas (and the resourceVersion, as a precondition) of a Scale."""
    if not isinstance(scaled, dict) or scaled.get("kind", "Scale") != "Scale":
        raise bad_request("the body of the request must be an autoscaling/v1 Scale")
    replicas = (scaled.get("spec") or {}).get("replicas", 0)
    name = obj["metadata"]["name"]
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request(f"Scale: spec.replicas must be an integer, not {replicas!r}")
    if replicas < 0:
        detail = "must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", name, [invalid_value("spec.replicas", replicas, detail)])
    result: Object = copy_json(obj)
    set_path(result, _paths(resource).spec, replicas)
    meta = scaled.get("metadata") or {}
    result["metadata"]["resourceVersion"] = meta.get("resourceVersion") or obj["metadata"]["resourceVersion"]
    return result


def _paths(resource: Resource) -> Scale:
    if resource.scale is None:
        raise ValueError(f"{resource.plural} has no scale subresource")
    return resource.scale


def _first(path: str, obj: Object, default: Any) -> Any:
    found = find(path, obj)
    return found[0] if found else default
