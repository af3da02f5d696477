"""apiextensions.k8s.io/v1 CustomResourceDefinition: defaults and validation."""

from __future__ import annotations

from typing import Any

from controlplane.embedded.causes import immutable, invalid_value, not_supported, required
from controlplane.embedded.errors import Cause
from controlplane.embedded.registry.names import dns1035, label, subdomain
from controlplane.embedded.registry.resource import Object
from controlplane.embedded.storage.store import Store

SCOPES = ("Cluster", "Namespaced")
_COLUMN_TYPES = ("integer", "number", "string", "boolean", "date")
_TYPES = ("array", "boolean", "integer", "number", "object", "string")


def default_definition(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    names.setdefault("singular", names.get("kind", "").lower())
    names.setdefault("listKind", f"{names.get('kind', '')}List")
    spec.setdefault("conversion", {}).setdefault("strategy", "None")


def prepare_definition(obj: Object, old: Object | None, store: Store) -> None:
    if old is None:
        stored = [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")]
        names = {"kind": "", "plural": ""}
        obj["status"] = {"conditions": [], "acceptedNames": names, "storedVersions": stored}


def validate_definition(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj["spec"]
    names = spec.get("names") or {}
    causes = _validate_names(obj, spec, names)
    versions = spec.get("versions") or []
    if not versions:
        causes.append(required("spec.versions", "must have exactly one version marked as storage version"))
    elif sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        causes.append(invalid_value("spec.versions", [], detail))
    for n, version in enumerate(versions):
        causes += _validate_version(f"spec.versions[{n}]", version)
    if old is not None:
        before = old["spec"]
        for field in ("group", "scope"):
            if spec.get(field) != before.get(field):
                causes.append(immutable(f"spec.{field}", spec.get(field)))
        for field in ("kind", "plural"):
            if names.get(field) != before["names"].get(field):
                causes.append(immutable(f"spec.names.{field}", names.get(field)))
    return causes


def _validate_names(obj: Object, spec: Object, names: Object) -> list[Cause]:
    causes: list[Cause] = []
    group, plural, kind = spec.get("group", ""), names.get("plural", ""), names.get("kind", "")
    if not group:
        causes.append(required("spec.group"))
    elif "." not in group:
        causes.append(invalid_value("spec.group", group, "should be a domain with at least one dot"))
    else:
        causes += [invalid_value("spec.group", group, error) for error in subdomain(group)]
    if not plural:
        causes.append(required("spec.names.plural"))
    else:
        causes += [invalid_value("spec.names.plural", plural, error) for error in dns1035(plural)]
    if not kind:
        causes.append(required("spec.names.kind"))
    else:
        detail = "may have mixed case, but should otherwise match: "
        causes += [invalid_value("spec.names.kind", kind, detail + error) for error in dns1035(kind.lower())]
    expected = f"{plural}.{group}"
    name = obj["metadata"].get("name")
    if name != expected:
        causes.append(invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    scope = spec.get("scope")
    if scope not in SCOPES:
        causes.append(not_supported("spec.scope", scope or "", SCOPES) if scope else required("spec.scope"))
    return causes


def _validate_version(field: str, version: Object) -> list[Cause]:
    name = version.get("name", "")
    causes = [invalid_value(f"{field}.name", name, error) for error in label(name)]
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    where = f"{field}.schema.openAPIV3Schema"
    if schema is None:
        causes.append(required(where, "schemas are required"))
    else:
        if schema.get("type") != "object":
            shown = schema.get("type", "")
            causes.append(
                invalid_value(f"{where}.type", shown, "must be object")
                if shown
                else required(f"{where}.type", "must not be empty at the root")
            )
        causes += _validate_schema(where, schema)
    for n, column in enumerate(version.get("additionalPrinterColumns") or ()):
        causes += _validate_column(f"{field}.additionalPrinterColumns[{n}]", column)
    scale = (version.get("subresources") or {}).get("scale")
    if scale is not None:
        for path in ("specReplicasPath", "statusReplicasPath"):
            if not scale.get(path):
                causes.append(required(f"{field}.subresources.scale.{path}"))
    return causes


def _validate_column(field: str, column: Object) -> list[Cause]:
    causes = [required(f"{field}.{name}") for name in ("name", "jsonPath") if not column.get(name)]
    kind = column.get("type", "")
    if kind not in _COLUMN_TYPES:
        detail = f"must be one of {','.join(_COLUMN_TYPES)}"
        causes.append(
            invalid_value(f"{field}.type", kind, detail) if kind else required(f"{field}.type", detail)
        )
    return causes


def _validate_schema(field: str, schema: Any) -> list[Cause]:
    """The structural rules that people run into: every node has a type, lists have items and map keys."""
    causes: list[Cause] = []
    loose = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string")
    kind = schema.get("type", "")
    if not kind and not loose:
        causes.append(required(f"{field}.type", "must not be empty for specified object fields"))
    elif kind and kind not in _TYPES:
        causes.append(not_supported(f"{field}.type", kind, _TYPES))
    if schema.get("properties") and schema.get("additionalProperties"):
        detail = "additionalProperties and properties are mutual exclusive"
        causes.append(Cause("FieldValueForbidden", f"{field}.additionalProperties", f"Forbidden: {detail}"))
    if kind == "array" and not isinstance(schema.get("items"), dict):
        causes.append(required(f"{field}.items", "must be specified"))
    if schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        detail = "must not be empty if x-kubernetes-list-type is map"
        causes.append(required(f"{field}.x-kubernetes-list-map-keys", detail))
    for name, child in (schema.get("properties") or {}).items():
        if not (field.endswith("openAPIV3Schema") and name == "metadata"):
            causes += _validate_schema(f"{field}.properties[{name}]", child)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            causes += _validate_schema(f"{field}.{name}", schema[name])
    return causes
