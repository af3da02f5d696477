"""Validation of ObjectMeta."""

from __future__ import annotations

from typing import Any

from controlplane.embedded.causes import forbidden_field, immutable, invalid_value, required, shown
from controlplane.embedded.errors import Cause
from controlplane.embedded.registry.names import label_value, qualified_name
from controlplane.embedded.registry.resource import Resource

_ANNOTATIONS_LIMIT = 256 * 1024
_PLAIN_FINALIZERS = frozenset({"orphan", "foregroundDeletion", "kubernetes"})


def validate_metadata(resource: Resource, meta: dict[str, Any]) -> list[Cause]:
    """Field errors of a new object's metadata."""
    causes = []
    name = meta.get("name", "")
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    else:
        causes += [invalid_value("metadata.name", name, error) for error in resource.strategy.name(name)]
    generate = meta.get("generateName", "")
    if generate and (errors := resource.strategy.name(generate.rstrip("-.") or generate)):
        causes += [invalid_value("metadata.generateName", generate, error) for error in errors]
    return causes + _validate_maps(meta) + _validate_references(meta)


def validate_metadata_update(resource: Resource, meta: dict[str, Any], old: dict[str, Any]) -> list[Cause]:
    """Field errors of an update: changes of immutable fields, and the syntax of the others."""
    causes = [
        immutable(f"metadata.{name}", meta.get(name, ""))
        for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp")
        if meta.get(name) != old.get(name)
    ]
    if old.get("deletionTimestamp"):
        added = [item for item in meta.get("finalizers") or () if item not in (old.get("finalizers") or ())]
        if added:
            detail = (
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"{shown(added)}"
            )
            causes.append(forbidden_field("metadata.finalizers", detail))
    return causes + _validate_maps(meta) + _validate_references(meta)


def validate_labels(labels: dict[str, str], field: str) -> list[Cause]:
    causes = []
    for key, value in labels.items():
        causes += [invalid_value(field, key, error) for error in qualified_name(key)]
        causes += [invalid_value(field, value, error) for error in label_value(value)]
    return causes


def _validate_maps(meta: dict[str, Any]) -> list[Cause]:
    causes = validate_labels(meta.get("labels") or {}, "metadata.labels")
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        causes += [invalid_value("metadata.annotations", key, error) for error in qualified_name(key.lower())]
        size += len(key) + len(value)
    if size > _ANNOTATIONS_LIMIT:
        causes.append(
            Cause(
                "FieldValueTooLong",
                "metadata.annotations",
                f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes",
            )
        )
    return causes


def _validate_references(meta: dict[str, Any]) -> list[Cause]:
    causes = []
    for finalizer in meta.get("finalizers") or ():
        causes += [
            invalid_value("metadata.finalizers", finalizer, error) for error in qualified_name(finalizer)
        ]
        if "/" not in finalizer and finalizer not in _PLAIN_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid_value("metadata.finalizers", finalizer, detail))
    controllers = 0
    for owner in meta.get("ownerReferences") or ():
        field = "metadata.ownerReferences"
        for name, detail in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(name):
                causes.append(invalid_value(f"{field}.{name}", owner.get(name, ""), detail))
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        detail = "Only one reference can have Controller set to true"
        causes.append(invalid_value("metadata.ownerReferences", meta["ownerReferences"], detail))
    return causes
