"""Stores new and changed objects: the one path every write takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from controlplane.embedded.causes import immutable
from controlplane.embedded.errors import (
    STALE,
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from controlplane.embedded.ownership.fields import FieldSet, Path
from controlplane.embedded.ownership.managed import (
    Managed,
    Owner,
    after_update,
    read_managed,
    tracked,
    write_managed,
)
from controlplane.embedded.registry.metadata import validate_metadata, validate_metadata_update
from controlplane.embedded.registry.registry import Registry
from controlplane.embedded.registry.resource import Object, Resource
from controlplane.embedded.storage.store import Store
from controlplane.embedded.storage.watcher import Stored
from controlplane.embedded.writing.intake import Write, decode_object, now, place, stamp

_KEPT = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "generation",
)
# Called after a write with (resource, key, old or None, new or None).
Hook = Callable[[Resource, tuple[str, str], Stored | None, Stored | None], None]


class Writer:
    """Creates and updates objects; the `hooks` get every stored change."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self.hooks: list[Hook] = []

    def read(self, resource: Resource, namespace: str, name: str) -> Stored:
        stored = self.store.get(resource.store_key, (namespace, name))
        if stored is None:
            raise not_found(resource.plural, resource.group, name)
        return stored

    def view(self, resource: Resource, stored: Stored) -> Object:
        return stored.view(resource.api_version, resource.from_storage)

    def create(self, write: Write, body: Any, managed: Managed | None = None, name: str = "") -> Stored:
        """Stores a new object. `managed` is given by apply, which has worked it out already."""
        resource, strategy = write.resource, write.resource.strategy
        self.check_namespace(write)
        obj = decode_object(write, body)
        if obj["metadata"].get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        place(write, obj, name)
        self._warn_deprecated(write)
        stamp(obj, generation=strategy.generation)
        if resource.status and not strategy.status_on_create:
            obj.pop("status", None)
        obj = resource.to_storage(obj)
        strategy.default(obj)
        causes = validate_metadata(resource, obj["metadata"])
        if not causes:
            strategy.prepare(obj, None, self.store)
        self._refuse(resource, obj, [*causes, *strategy.validate(obj, None)])
        key = (write.namespace, obj["metadata"]["name"])
        if self.store.get(resource.store_key, key) is not None:
            raise already_exists(resource.plural, resource.group, key[1])
        if managed is None:
            managed = self._owned(write, {"metadata": {}, "spec": {}, "status": {}}, obj, {}, "")
        _set_owners(obj, managed)
        return self._commit(write, key, None, obj)

    def update(
        self,
        write: Write,
        name: str,
        change: Callable[[Object], Any],
        subresource: str = "",
        managed: Managed | None = None,
    ) -> Stored:
        """Replaces an object by `change(current)`; a write that changes nothing keeps the version."""
        resource = write.resource
        stored = self.read(resource, write.namespace, name)
        current = self.view(resource, stored)
        obj = decode_object(write, change(current))
        place(write, obj, name)
        self._warn_deprecated(write)
        if write.patch and subresource == "status" and resource.custom:
            obj["metadata"].pop("uid", None)  # kube-apiserver keeps the old metadata without looking at it
        self._check_preconditions(write, obj, stored)
        old = stored.object
        given = self._given_owners(obj, old) if managed is None else managed
        obj = resource.to_storage(obj)
        self._keep(resource, obj, old, subresource)
        resource.strategy.default(obj)
        if subresource != "finalize":
            resource.strategy.prepare(obj, old, self.store)
        self._bump(resource, obj, old)
        validate = (
            resource.strategy.validate_status if subresource == "status" else resource.strategy.validate
        )
        self._refuse(
            resource,
            obj,
            [*validate_metadata_update(resource, obj["metadata"], old["metadata"]), *validate(obj, old)],
        )
        if managed is None:
            given = self._owned(write, old, obj, given, subresource)
        _set_owners(obj, given)
        if _same(obj, old):
            return stored
        return self._commit(write, (write.namespace, name), stored, obj)

    def check_namespace(self, write: Write) -> None:
        """A namespaced object needs a namespace that exists and is not going away."""
        if not write.resource.namespaced:
            return
        found = self.store.get("namespaces", ("", write.namespace))
        if found is None:
            raise not_found("namespaces", "", write.namespace)
        if found.object["metadata"].get("deletionTimestamp"):
            cause = (
                f"unable to create new content in namespace {write.namespace} because it is being terminated"
            )
            details = [
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {write.namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ]
            raise forbidden(write.resource.plural, write.resource.group, "", cause, causes=details)

    def narrow(self, write: Write, subresource: str) -> Callable[[Iterable[Path]], FieldSet]:
        return partial(tracked, subresource=subresource, has_status=write.resource.status)

    def _owned(self, write: Write, old: Object, new: Object, managed: Managed, subresource: str) -> Managed:
        owner = Owner(write.options.manager, "Update", write.resource.api_version, subresource)
        view = write.resource.from_storage
        narrow = self.narrow(write, subresource)
        return after_update(managed, write.resource.schema, view(old), view(new), owner, narrow, now())

    def _given_owners(self, obj: Object, old: Object) -> Managed:
        """managedFields a client sent replace the stored ones; an empty list (or entry) resets them."""
        given = obj["metadata"].get("managedFields")
        return read_managed(old["metadata"] if given is None else obj["metadata"])

    def _check_preconditions(self, write: Write, obj: Object, stored: Stored) -> None:
        resource = write.resource
        meta, old = obj["metadata"], stored.object["metadata"]
        version = meta.get("resourceVersion", "")
        if version in ("", "0"):
            if not resource.strategy.allow_unconditional_update:
                cause = Cause(
                    "FieldValueInvalid",
                    "metadata.resourceVersion",
                    "Invalid value: 0x0: must be specified for an update",
                )
                raise invalid(resource.kind, resource.group, meta["name"], [cause])
        elif version != str(stored.version):
            raise conflict(resource.plural, resource.group, meta["name"], STALE)
        if meta.get("uid") not in (None, "", old["uid"]):
            if write.patch:  # only a PUT names the object it means by its uid
                raise invalid(
                    resource.kind, resource.group, meta["name"], [immutable("metadata.uid", meta["uid"])]
                )
            cause_text = (
                f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {old['uid']}"
            )
            raise conflict(resource.plural, resource.group, meta["name"], cause_text)

    def _keep(self, resource: Resource, obj: Object, old: Object, subresource: str) -> None:
        """Take the fields that this endpoint may not change from the stored object."""
        if subresource == "status":
            status = obj.get("status")
            sent = obj["metadata"]
            obj.clear()
            obj.update({**old, "metadata": {**old["metadata"], "managedFields": sent.get("managedFields")}})
            obj.pop("status", None)
            if status is not None:
                obj["status"] = status
        elif resource.status:
            obj.pop("status", None)
            if "status" in old:
                obj["status"] = old["status"]
        for name in _KEPT:
            obj["metadata"].pop(name, None)
            if name in old["metadata"]:
                obj["metadata"][name] = old["metadata"][name]
        obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]

    def _bump(self, resource: Resource, obj: Object, old: Object) -> None:
        if not resource.strategy.generation:
            return
        hidden = ("metadata", "status") if resource.status or not resource.custom else ("metadata",)
        if any(obj.get(key) != old.get(key) for key in (obj.keys() | old.keys()) - set(hidden)):
            obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def _refuse(self, resource: Resource, obj: Object, causes: list[Cause]) -> None:
        if causes:
            meta = obj["metadata"]
            raise invalid(
                resource.kind, resource.group, meta.get("name") or meta.get("generateName", ""), causes
            )

    def _warn_deprecated(self, write: Write) -> None:
        if write.resource.deprecated:
            write.warnings.append(write.resource.deprecated)

    def _commit(self, write: Write, key: tuple[str, str], old: Stored | None, obj: Object) -> Stored:
        if write.options.dry_run:
            return Stored(obj, old.version if old is not None else 0)
        meta = obj["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not _held(write.resource, obj):
            return self.remove(write.resource, key, obj)
        new = self.store.put(write.resource.store_key, key, obj)
        self.tell(write.resource, key, old, new)
        return new

    def remove(self, resource: Resource, key: tuple[str, str], final: Object) -> Stored:
        """Takes an object out of the store."""
        old = self.store.get(resource.store_key, key)
        last = self.store.remove(resource.store_key, key, final)
        self.tell(resource, key, old, None)
        return last

    def tell(self, resource: Resource, key: tuple[str, str], old: Stored | None, new: Stored | None) -> None:
        for hook in self.hooks:
            hook(resource, key, old, new)


def _set_owners(obj: Object, managed: Managed) -> None:
    obj["metadata"].pop("managedFields", None)
    if managed:
        obj["metadata"]["managedFields"] = write_managed(managed)


def _held(resource: Resource, obj: Object) -> bool:
    """A namespace is also kept by the finalizers of its spec."""
    return resource.store_key == "namespaces" and bool((obj.get("spec") or {}).get("finalizers"))


def _same(new: Object, old: Object) -> bool:
    """Equal but for the times of managedFields entries."""
    if {key: value for key, value in new.items() if key != "metadata"} != {
        key: value for key, value in old.items() if key != "metadata"
    }:
        return False
    return _comparable(new["metadata"]) == _comparable(old["metadata"])


def _comparable(meta: Object) -> Object:
    entries = [{**entry, "time": ""} for entry in meta.get("managedFields") or ()]
    return {**meta, "managedFields": entries, "resourceVersion": ""}
