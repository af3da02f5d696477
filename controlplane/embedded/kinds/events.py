"""Events: stored as core/v1, shown as core/v1 and as events.k8s.io/v1."""

from __future__ import annotations

from controlplane.embedded.causes import invalid_value, not_supported, required
from controlplane.embedded.errors import Cause
from controlplane.embedded.registry.resource import Object

# core/v1 name, events.k8s.io/v1 name
_RENAMED = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


def to_core(event: Object) -> Object:
    """An events.k8s.io/v1 Event as core/v1."""
    return _renamed(event, {new: old for old, new in _RENAMED}, "v1")


def from_core(event: Object) -> Object:
    """A core/v1 Event as events.k8s.io/v1."""
    result = _renamed(event, dict(_RENAMED), "events.k8s.io/v1")
    empty = [name for name in ("reportingController", "reportingInstance") if result.get(name) == ""]
    return {key: value for key, value in result.items() if key not in empty}


def _renamed(event: Object, names: dict[str, str], api_version: str) -> Object:
    result = {names.get(key, key): value for key, value in event.items()}
    result["apiVersion"] = api_version
    return result


def default_event(obj: Object) -> None:
    obj.setdefault("involvedObject", {})
    for name in ("reportingComponent", "reportingInstance"):
        obj.setdefault(name, "")
    obj.setdefault("source", {})
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        obj.setdefault(name, None)


def validate_event(obj: Object, old: Object | None) -> list[Cause]:
    """Core events without an eventTime are checked as leniently as kube-apiserver checks the old API."""
    meta, involved = obj["metadata"], obj["involvedObject"]
    causes: list[Cause] = []
    expected = involved.get("namespace") or "default"
    if meta.get("namespace") != expected:
        detail = "does not match event.namespace"
        causes.append(invalid_value("involvedObject.namespace", involved.get("namespace", ""), detail))
    if not obj.get("eventTime"):
        return causes
    if not obj.get("reportingComponent"):
        causes.append(required("reportingController"))
    if not obj.get("reportingInstance"):
        causes.append(required("reportingInstance"))
    if not obj.get("action"):
        causes.append(required("action"))
    if not obj.get("reason"):
        causes.append(required("reason"))
    if obj.get("type") not in ("Normal", "Warning"):
        causes.append(not_supported("type", obj.get("type", ""), ("Normal", "Warning")))
    return causes
