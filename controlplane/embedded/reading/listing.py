"""Lists: which version, which page, which objects."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

import msgspec

from controlplane.embedded.api.options import ListOptions
from controlplane.embedded.errors import ApiError, bad_request, expired, future_version
from controlplane.embedded.registry.resource import Object, Resource
from controlplane.embedded.selectors import field_text
from controlplane.embedded.storage.store import Bucket, Compacted, Key, Store
from controlplane.embedded.storage.watcher import Stored

_ALWAYS = ("metadata.name", "metadata.namespace")
_WAIT = 3.0
_OLD_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a "
    "new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of "
    "the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_OLD_VERSION = "The resourceVersion for the provided list is too old."


class Page(msgspec.Struct, frozen=True):
    """Selected objects in key order; `remaining` is None when a selector makes it unknown."""

    items: list[Stored]
    version: int
    token: str = ""
    remaining: int | None = None


class Selection:
    """The namespace and selectors of a list or watch."""

    def __init__(self, resource: Resource, namespace: str | None, options: ListOptions) -> None:
        self.resource = resource
        self.namespace = namespace
        self._labels = options.labels
        self._fields = options.fields
        self.everything = not options.labels.requirements and not options.fields.terms
        for name, _, _ in options.fields.terms:
            if name not in _ALWAYS and name not in resource.selectable:
                raise bad_request(_not_selectable(resource, name))

    def has(self, key: Key, stored: Stored) -> bool:
        if self.namespace is not None and key[0] != self.namespace:
            return False
        if self.everything:
            return True
        if not self._labels.matches(stored.object["metadata"].get("labels") or {}):
            return False
        view = stored.view(self.resource.api_version, self.resource.from_storage)
        return self._fields.matches(lambda name: read_field(view, name))


def _not_selectable(resource: Resource, name: str) -> str:
    if resource.selectable or resource.custom:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def read_field(view: Object, name: str) -> str:
    """A selectable field; an Event's source is the component that reported it."""
    if name == "source":
        return field_text(view, "source.component") or field_text(view, "reportingComponent")
    text = field_text(view, name)
    return "false" if not text and name in ("spec.unschedulable", "spec.hostNetwork") else text


async def wait_for(store: Store, version: int) -> None:
    """Wait until the store has reached `version`; raises the API's timeout error when it does not."""
    deadline = asyncio.get_running_loop().time() + _WAIT
    while store.version < version:
        if asyncio.get_running_loop().time() >= deadline:
            raise future_version(version, store.version)
        await asyncio.sleep(0.05)


async def list_page(store: Store, selection: Selection, options: ListOptions) -> Page:
    """One page of a list, at the version the options ask for."""
    bucket = store.bucket(selection.resource.store_key)
    start = ""
    limit = options.limit
    if options.token:
        version, start = _read_token(options.token)
        objects, version = _at_token(store, bucket, version, start)
    elif options.version and (options.match == "Exact" or (not options.match and limit)):
        await wait_for(store, options.version)
        version = options.version
        objects = _at(bucket, version)
    else:
        await wait_for(store, options.version or 0)
        objects, version = bucket.objects, store.version
        limit = 0 if options.version == 0 else limit
    return _cut(selection, objects, version, start, limit)


def _cut(selection: Selection, objects: dict[Key, Stored], version: int, start: str, limit: int) -> Page:
    chosen = sorted(
        ((f"{key[0]}/{key[1]}", stored) for key, stored in objects.items() if selection.has(key, stored)),
        key=lambda item: item[0],
    )
    if start:
        chosen = [item for item in chosen if item[0] > start]
    if not limit or len(chosen) <= limit:
        return Page([stored for _, stored in chosen], version)
    page = chosen[:limit]
    remaining = len(chosen) - limit if selection.everything else None
    return Page([stored for _, stored in page], version, _token(version, page[-1][0]), remaining)


def _at(bucket: Bucket, version: int) -> dict[Key, Stored]:
    try:
        return bucket.at(version)
    except Compacted:
        raise expired(_OLD_VERSION) from None


def _at_token(store: Store, bucket: Bucket, version: int, start: str) -> tuple[dict[Key, Stored], int]:
    if version < 0:
        return bucket.objects, store.version
    try:
        return bucket.at(version), version
    except Compacted:
        error = expired(_OLD_TOKEN)
        raise ExpiredToken(error, _token(-1, start)) from None


class ExpiredToken(ApiError):
    """410 with a token that continues inconsistently."""

    def __init__(self, error: ApiError, token: str) -> None:
        super().__init__(error.code, error.reason, error.message)
        self._token = token

    def body(self) -> dict[str, Any]:
        return {**super().body(), "metadata": {"continue": self._token}}


def _token(version: int, start: str) -> str:
    raw = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        raw = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = int(raw["rv"]), str(raw["start"])
    except (binascii.Error, msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise bad_request("continue key is not valid: it was not made by this server") from None
    return version, start
