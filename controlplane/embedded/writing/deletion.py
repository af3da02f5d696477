"""DELETE: preconditions, finalizers, propagation to dependents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controlplane.embedded.api.options import DeleteOptions
from controlplane.embedded.errors import conflict, forbidden
from controlplane.embedded.registry.resource import Object, Resource
from controlplane.embedded.storage.store import Key
from controlplane.embedded.storage.watcher import Stored
from controlplane.embedded.writing.intake import now
from controlplane.embedded.writing.writer import Writer

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""Finalizer of a definition that is being deleted, until its custom resources are gone."""


def delete_object(
    writer: Writer, resource: Resource, key: Key, options: DeleteOptions
) -> tuple[Stored, bool]:
    """(last state, gone?): an object with finalizers stays until they are removed."""
    stored = writer.read(resource, *key)
    _check(resource, key, stored, options)
    if resource.store_key == "namespaces" and key[1] in IMMORTAL:
        raise forbidden("namespaces", "", key[1], "this namespace may not be deleted")
    obj = _with_policy(writer, stored, options.policy)
    if resource.store_key == DEFINITIONS and "deletionTimestamp" not in obj["metadata"]:
        finalizers = [*(obj["metadata"].get("finalizers") or ()), CLEANUP]
        obj = {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}
    if options.dry_run:
        return stored, not obj["metadata"].get("finalizers")
    if obj["metadata"].get("finalizers") or _has_spec_finalizers(resource, obj):
        return _mark(writer, resource, key, stored, obj), False
    return writer.remove(resource, key, stored.object), True


def _check(resource: Resource, key: Key, stored: Stored, options: DeleteOptions) -> None:
    uid = stored.object["metadata"]["uid"]
    if options.uid and options.uid != uid:
        text = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {uid}"
        raise conflict(resource.plural, resource.group, key[1], text)
    if options.version and options.version != str(stored.version):
        text = (
            f"Precondition failed: ResourceVersion in precondition: {options.version}, "
            f"ResourceVersion in object meta: {stored.version}"
        )
        raise conflict(resource.plural, resource.group, key[1], text)


def _with_policy(writer: Writer, stored: Stored, policy: str) -> Object:
    """The object with the garbage collection finalizer its propagation policy asks for."""
    meta = stored.object["metadata"]
    wanted = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy)
    finalizers = [item for item in meta.get("finalizers") or () if item not in (FOREGROUND, ORPHAN)]
    if wanted and next(dependents(writer, meta["uid"]), None) is not None:
        finalizers.append(wanted)
    kept = {key: value for key, value in meta.items() if key != "finalizers"}
    return {**stored.object, "metadata": {**kept, **({"finalizers": finalizers} if finalizers else {})}}


def _has_spec_finalizers(resource: Resource, obj: Object) -> bool:
    return resource.store_key == "namespaces" and bool((obj.get("spec") or {}).get("finalizers"))


def _mark(writer: Writer, resource: Resource, key: Key, stored: Stored, obj: Object) -> Stored:
    """Sets deletionTimestamp once; a second delete can change only the finalizers."""
    meta = dict(obj["metadata"])
    if "deletionTimestamp" not in meta:
        meta["deletionTimestamp"] = now()
        meta["deletionGracePeriodSeconds"] = 0
        if "generation" in meta:
            meta["generation"] += 1
    obj = {**obj, "metadata": meta}
    if resource.store_key == "namespaces":
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    if obj == stored.object:
        return stored
    new = writer.store.put(resource.store_key, key, obj)
    writer.tell(resource, key, stored, new)
    return new


def dependents(writer: Writer, uid: str) -> Iterator[tuple[Resource, Key, Stored]]:
    """Objects that name `uid` as an owner."""
    for bucket, resource in writer.registry.stored().items():
        for key, stored in tuple(writer.store.bucket(bucket).objects.items()):
            if any(
                owner.get("uid") == uid for owner in stored.object["metadata"].get("ownerReferences") or ()
            ):
                yield resource, key, stored


def edit(writer: Writer, resource: Resource, key: Key, change: Any) -> None:
    """A server-side change of an object (finalizers, owners, status) outside any request."""
    stored = writer.store.get(resource.store_key, key)
    if stored is None:
        return
    obj = change(stored.object)
    meta = obj["metadata"]
    if (
        meta.get("deletionTimestamp")
        and not meta.get("finalizers")
        and not _has_spec_finalizers(resource, obj)
    ):
        writer.remove(resource, key, obj)
    elif obj != stored.object:
        writer.tell(resource, key, stored, writer.store.put(resource.store_key, key, obj))


def without_finalizer(obj: Object, name: str) -> Object:
    meta = obj["metadata"]
    kept = [item for item in meta.get("finalizers") or () if item != name]
    rest = {key: value for key, value in meta.items() if key != "finalizers"}
    return {**obj, "metadata": {**rest, **({"finalizers": kept} if kept else {})}}
