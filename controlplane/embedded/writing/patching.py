"""PATCH: the patch types on top of Writer."""

from __future__ import annotations

from typing import Any

from controlplane.embedded.api.body import decode_json, decode_yaml
from controlplane.embedded.causes import required
from controlplane.embedded.errors import (
    STALE,
    ApiError,
    apply_conflict,
    bad_request,
    conflict,
    invalid,
    not_found,
    unsupported_media_type,
)
from controlplane.embedded.ownership.apply import OwnershipConflict, server_side_apply
from controlplane.embedded.ownership.managed import Managed, Owner, read_managed
from controlplane.embedded.ownership.upgrade import MANAGER, client_side_fields, with_last_applied
from controlplane.embedded.patch.merge import PatchError, json_patch, merge_patch
from controlplane.embedded.patch.strategic import strategic_merge
from controlplane.embedded.registry.resource import Object
from controlplane.embedded.schema.decode import Decoder, WrongType
from controlplane.embedded.storage.watcher import Stored
from controlplane.embedded.writing.intake import Write, now, place
from controlplane.embedded.writing.writer import Writer

_CUSTOM_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
)


def patch_object(writer: Writer, write: Write, name: str, kind: str, raw: bytes, subresource: str) -> Stored:
    """Applies a json, merge or strategic patch to a stored object."""
    body, duplicates = decode_json(raw)
    write = Write(
        write.resource,
        write.namespace,
        write.options,
        write.warnings,
        tuple(duplicates),
        raw.decode(errors="replace"),
    )
    if kind == "strategic" and write.resource.custom:
        raise unsupported_media_type(_CUSTOM_TYPES)
    if kind != "json" and not isinstance(body, dict):
        raise bad_request("the patch must be a JSON object")
    return writer.update(write, name, lambda current: patched(write, kind, current, body), subresource)


def patched(write: Write, kind: str, current: Object, body: Any) -> Any:
    """`current` with the patch applied; errors are those of the API."""
    resource = write.resource
    try:
        if kind == "json":
            return json_patch(current, body)
        if kind == "strategic":
            return strategic_merge(resource.schema, current, body)
        return merge_patch(current, body)
    except PatchError as error:
        if error.malformed:
            raise bad_request(str(error)) from None
        text = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", text, details={}) from None


def apply_object(
    writer: Writer, write: Write, name: str, raw: bytes, subresource: str
) -> tuple[Stored, bool]:
    """Server-side apply; the second value says whether the object is new."""
    config, duplicates = decode_yaml(raw)
    write = Write(write.resource, write.namespace, write.options, write.warnings, tuple(duplicates))
    _check_config(write, config)
    stored = writer.store.get(write.resource.store_key, (write.namespace, name))
    if stored is None:
        return _apply_new(writer, write, name, config, subresource), True
    current = writer.view(write.resource, stored)
    _check_version(write, name, config, stored)
    merged, managed = _merge(writer, write, name, config, current, subresource)
    return writer.update(write, name, lambda _: merged, subresource, managed), False


def _check_config(write: Write, config: Any) -> None:
    if not write.options.explicit_manager:
        cause = required("fieldManager", "is required for apply patch")
        raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
    if not isinstance(config, dict) or not config.get("kind") or not config.get("apiVersion"):
        raise bad_request(
            "error decoding YAML: Object 'Kind' or 'apiVersion' is missing in the applied configuration"
        )
    if config["apiVersion"] != write.resource.api_version or config["kind"] != write.resource.kind:
        raise bad_request(
            f"Incorrect version specified in apply patch. Specified patch version: {config['apiVersion']}, "
            f"expected: {write.resource.api_version}"
        )
    if (config.get("metadata") or {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")


def _check_version(write: Write, name: str, config: Object, stored: Stored) -> None:
    version = (config.get("metadata") or {}).get("resourceVersion")
    if version and version != str(stored.version):
        raise conflict(write.resource.plural, write.resource.group, name, STALE)


def _apply_new(writer: Writer, write: Write, name: str, config: Object, subresource: str) -> Stored:
    meta = config.get("metadata") or {}
    if subresource or meta.get("uid"):
        raise not_found(write.resource.plural, write.resource.group, name)
    if meta.get("resourceVersion"):
        raise conflict(write.resource.plural, write.resource.group, name, STALE)
    _, managed = _merge(writer, write, name, config, {}, subresource)
    return writer.create(write, config, managed, name)


def _merge(
    writer: Writer, write: Write, name: str, config: Object, current: Object, subresource: str
) -> tuple[Object, Managed]:
    """The merged object with its owners. The configuration is read without defaults: it does not own fields
    that it does not name."""
    resource, options = write.resource, write.options
    clean = _clean(write, config)
    place(write, clean, name)
    owner = Owner(options.manager, "Apply", resource.api_version, subresource)
    managed = read_managed(current.get("metadata") or {})
    narrow = writer.narrow(write, subresource)
    upgrades = options.manager == MANAGER
    yielding = client_side_fields(resource.schema, resource.api_version, current) if upgrades else frozenset()
    try:
        merged, owners = server_side_apply(
            resource.schema,
            current,
            clean,
            managed,
            owner,
            narrow,
            force=options.force,
            now=now(),
            yielding=yielding,
        )
    except OwnershipConflict as error:
        raise apply_conflict(error.conflicts) from None
    if upgrades:
        merged = with_last_applied(merged, config)
    metadata = {key: value for key, value in merged["metadata"].items() if key != "managedFields"}
    metadata["resourceVersion"] = (current.get("metadata") or {}).get("resourceVersion", "")
    return {**merged, "metadata": metadata}, owners


def _clean(write: Write, config: Object) -> Object:
    """The configuration read strictly: apply refuses fields the schema does not know."""
    decoder = Decoder(strict_types=not write.resource.custom)
    try:
        clean: Object = decoder.decode(write.resource.schema, config)
    except WrongType as error:
        raise _untyped(write, config, str(error)) from None
    if decoder.unknown:
        raise _untyped(write, config, f".{decoder.unknown[0]}: field not declared in schema")
    clean.setdefault("metadata", {})
    return clean


def _untyped(write: Write, config: Object, problem: str) -> ApiError:
    resource = write.resource
    name = (config.get("metadata") or {}).get("name", "")
    where = f"{write.namespace}/{name}; {resource.api_version}, Kind={resource.kind}"
    return ApiError(500, "", f"failed to create typed patch object ({where}): {problem}")
