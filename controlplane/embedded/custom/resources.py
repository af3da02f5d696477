"""Resources from a CustomResourceDefinition: one per served version."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from controlplane.embedded.custom.validation import validate_custom
from controlplane.embedded.errors import Cause
from controlplane.embedded.registry.resource import Object, Resource, Scale, Strategy
from controlplane.embedded.schema.structural import structural_schema
from controlplane.embedded.tables.render import custom_columns


def custom_resources(definition: Object) -> tuple[Resource, ...]:
    """The resources a definition serves; versions differ in schema only (conversion strategy None)."""
    spec = definition["spec"]
    stored = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return tuple(_resource(spec, version, stored) for version in spec["versions"] if version.get("served"))


def _resource(spec: Object, version: Object, stored: str) -> Resource:
    group, names, subresources = spec["group"], spec["names"], version.get("subresources") or {}
    raw = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    api_version = f"{group}/{version['name']}"
    preserve = bool(spec.get("preserveUnknownFields"))
    return Resource(
        group=group,
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        schema=structural_schema({**raw, "x-kubernetes-preserve-unknown-fields": True} if preserve else raw),
        columns=custom_columns(version.get("additionalPrinterColumns")),
        strategy=Strategy(
            validate=_validator(raw),
            validate_status=_validator(raw),
            generation=True,
            allow_unconditional_update=False,
        ),
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        status="status" in subresources,
        scale=_scale(subresources.get("scale")),
        selectable=tuple(field["jsonPath"].lstrip(".") for field in version.get("selectableFields", ())),
        custom=True,
        stored_as=f"{group}/{stored}",
        to_storage=partial(_renamed, f"{group}/{stored}"),
        from_storage=partial(_renamed, api_version),
        list_kind=names.get("listKind", ""),
        deprecated=_deprecation(version, api_version, names["kind"]),
        raw_schema=raw,
    )


def _validator(raw: dict[str, Any]) -> Callable[[Object, Object | None], list[Cause]]:
    return lambda obj, old: validate_custom(raw, obj)


def _renamed(api_version: str, obj: Object) -> Object:
    return obj if obj.get("apiVersion") == api_version else {**obj, "apiVersion": api_version}


def _scale(raw: dict[str, Any] | None) -> Scale | None:
    if raw is None:
        return None
    return Scale(raw["specReplicasPath"], raw["statusReplicasPath"], raw.get("labelSelectorPath", ""))


def _deprecation(version: Object, api_version: str, kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    return str(version.get("deprecationWarning") or f"{api_version} {kind} is deprecated")
