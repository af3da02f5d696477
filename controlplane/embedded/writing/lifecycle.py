"""The work of a cluster's controllers behind the API: namespace contents, garbage collection, custom kinds.

The work runs in its own loop callbacks, as it is asynchronous in a cluster too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from controlplane.embedded.api.options import DeleteOptions
from controlplane.embedded.custom.resources import custom_resources
from controlplane.embedded.errors import ApiError
from controlplane.embedded.registry.resource import Object, Resource
from controlplane.embedded.storage.store import Key
from controlplane.embedded.storage.watcher import Stored
from controlplane.embedded.writing.deletion import (
    CLEANUP,
    DEFINITIONS,
    FOREGROUND,
    ORPHAN,
    delete_object,
    dependents,
    edit,
    without_finalizer,
)
from controlplane.embedded.writing.intake import now
from controlplane.embedded.writing.writer import Writer


class Lifecycle:
    """The controllers, as a hook of the Writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        writer.hooks.append(self.after_write)

    def after_write(self, resource: Resource, key: Key, old: Stored | None, new: Stored | None) -> None:
        if resource.store_key == DEFINITIONS:
            self._definition_changed(resource, key, new)
        if resource.store_key == "namespaces" and new is not None and _deleting(new.object):
            self._soon(self._empty_namespace, key[1])
        if new is None and old is not None:
            self._soon(self._collect, old.object["metadata"]["uid"])
            self._removed(resource, key, old)
        elif new is not None and _deleting(new.object):
            self._soon(self._finalize, resource, key)

    def _soon(self, call: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().call_soon(call, *args)

    def _removed(self, resource: Resource, key: Key, old: Stored) -> None:
        if resource.namespaced:
            namespace = self._writer.store.get("namespaces", ("", key[0]))
            if namespace is not None and _deleting(namespace.object):
                self._soon(self._empty_namespace, key[0])
        if resource.custom:
            definition = self._writer.store.get(DEFINITIONS, ("", resource.full_name))
            if definition is not None and _deleting(definition.object):
                self._soon(self._clean_definition, resource.full_name)
        for owner in old.object["metadata"].get("ownerReferences") or ():
            self._soon(self._finish_foreground, owner.get("uid"))

    def _delete_all(self, resource: Resource, namespace: str | None) -> int:
        """Deletes the objects of a kind (in one namespace, or all); the number that remain."""
        bucket = self._writer.store.bucket(resource.store_key)
        keys = [key for key in bucket.objects if namespace is None or key[0] == namespace]
        remaining = 0
        for key in keys:
            try:
                remaining += not delete_object(self._writer, resource, key, DeleteOptions())[1]
            except ApiError:
                continue
        return remaining

    def _empty_namespace(self, name: str) -> None:
        stored = self._writer.store.get("namespaces", ("", name))
        if stored is None or not _deleting(stored.object):
            return
        served = self._writer.registry.stored().values()
        left = sum(self._delete_all(resource, name) for resource in served if resource.namespaced)
        if not left:
            namespaces = self._writer.registry.stored()["namespaces"]
            edit(self._writer, namespaces, ("", name), lambda obj: {**obj, "spec": {}})

    def _collect(self, uid: str) -> None:
        """Background deletion: dependents go when none of their owners is left."""
        for resource, key, stored in list(dependents(self._writer, uid)):
            owners = stored.object["metadata"]["ownerReferences"]
            if all(self._owner(owner, key[0]) is None for owner in owners):
                self._delete(resource, key, DeleteOptions(uid=stored.object["metadata"]["uid"]))

    def _owner(self, reference: Object, namespace: str) -> Stored | None:
        resource = self._writer.registry.find_kind(reference.get("apiVersion", ""), reference.get("kind", ""))
        if resource is None:
            return None
        found = self._writer.store.get(
            resource.store_key, (namespace if resource.namespaced else "", reference.get("name", ""))
        )
        return (
            found if found is not None and found.object["metadata"]["uid"] == reference.get("uid") else None
        )

    def _delete(self, resource: Resource, key: Key, options: DeleteOptions) -> None:
        try:
            delete_object(self._writer, resource, key, options)
        except ApiError:
            return

    def _finalize(self, resource: Resource, key: Key) -> None:
        """The garbage collector's own finalizers: foreground and orphan deletion."""
        stored = self._writer.store.get(resource.store_key, key)
        if stored is None:
            return
        finalizers = stored.object["metadata"].get("finalizers") or ()
        uid = stored.object["metadata"]["uid"]
        if ORPHAN in finalizers:
            for child, child_key, _ in list(dependents(self._writer, uid)):
                edit(self._writer, child, child_key, lambda obj: _without_owner(obj, uid))
            edit(self._writer, resource, key, lambda obj: without_finalizer(obj, ORPHAN))
        elif FOREGROUND in finalizers:
            for child, child_key, _ in list(dependents(self._writer, uid)):
                self._delete(child, child_key, DeleteOptions(policy="Foreground"))
            self._finish_foreground(uid)

    def _finish_foreground(self, uid: str | None) -> None:
        """Lets an owner go once no dependent blocks it any more."""
        if uid is None or any(_blocks(stored.object, uid) for _, _, stored in dependents(self._writer, uid)):
            return
        for bucket, resource in self._writer.registry.stored().items():
            for key, stored in tuple(self._writer.store.bucket(bucket).objects.items()):
                meta = stored.object["metadata"]
                if meta["uid"] == uid and FOREGROUND in (meta.get("finalizers") or ()):
                    edit(self._writer, resource, key, lambda obj: without_finalizer(obj, FOREGROUND))

    def _definition_changed(self, resource: Resource, key: Key, new: Stored | None) -> None:
        registry, store = self._writer.registry, self._writer.store
        if new is None:
            for served in registry.served_by(key[1]):
                store.drop(served.store_key)
            registry.serve(key[1], ())
        elif _deleting(new.object):
            self._soon(self._clean_definition, key[1])
        else:
            registry.serve(key[1], custom_resources(new.object))
            edit(self._writer, resource, key, _established)

    def _clean_definition(self, name: str) -> None:
        served = self._writer.registry.served_by(name)
        if served and self._delete_all(served[0], None):
            return
        definitions = self._writer.registry.stored()[DEFINITIONS]
        edit(self._writer, definitions, ("", name), lambda obj: without_finalizer(obj, CLEANUP))


def _deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def _blocks(obj: Object, uid: str) -> bool:
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == uid and owner.get("blockOwnerDeletion") for owner in owners)


def _without_owner(obj: Object, uid: str) -> Object:
    meta = obj["metadata"]
    owners = [owner for owner in meta.get("ownerReferences") or () if owner.get("uid") != uid]
    rest = {key: value for key, value in meta.items() if key != "ownerReferences"}
    return {**obj, "metadata": {**rest, **({"ownerReferences": owners} if owners else {})}}


def _established(obj: Object) -> Object:
    """The status of a definition whose names are accepted and which is served."""
    time = now()
    conditions = [
        {
            "type": "NamesAccepted",
            "status": "True",
            "lastTransitionTime": time,
            "reason": "NoConflicts",
            "message": "no conflicts found",
        },
        {
            "type": "Established",
            "status": "True",
            "lastTransitionTime": time,
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]
    stored = [version["name"] for version in obj["spec"]["versions"] if version.get("storage")]
    before = [name for name in (obj["status"].get("storedVersions") or ()) if name not in stored]
    status = {
        "conditions": obj["status"].get("conditions") or conditions,
        "acceptedNames": obj["spec"]["names"],
        "storedVersions": [*before, *stored],
    }
    return {**obj, "status": status}
