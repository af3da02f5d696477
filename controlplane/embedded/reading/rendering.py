"""How answers look: objects, lists, tables and metadata only, by what the client accepts."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.embedded.api.body import JSON, YAML
from controlplane.embedded.errors import not_acceptable
from controlplane.embedded.reading.listing import Page
from controlplane.embedded.registry.resource import Resource
from controlplane.embedded.storage.watcher import Stored
from controlplane.embedded.tables.render import partial, table

encode = msgspec.json.Encoder().encode
_META = "meta.k8s.io"


class Form(msgspec.Struct, frozen=True):
    """`shape`: "", Table, PartialObjectMetadata or PartialObjectMetadataList, in `version` of meta.k8s.io."""

    shape: str = ""
    version: str = f"{_META}/v1"
    include: str = "Metadata"
    yaml: bool = False


def negotiate(accept: str, include: str = "") -> Form:
    """The first form of the Accept header this server has; raises 406 without one."""
    for clause in accept.split(","):
        kind, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(parameter.partition("=")[::2] for parameter in parameters)
        if kind in (YAML, "text/yaml") and not options.get("as"):
            return Form(yaml=True)
        if kind not in ("", "*/*", "application/*", JSON) or options.get("stream"):
            continue
        shape = options.get("as", "")
        if not shape:
            return Form()
        known = shape in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        if known and options.get("g") == _META and options.get("v") in ("v1", "v1beta1"):
            return Form(shape, f"{_META}/{options['v']}", include or "Metadata")
    raise not_acceptable((JSON, YAML))


def render_object(resource: Resource, stored: Stored, form: Form) -> bytes:
    if form.shape == "Table":
        view = _view(resource, stored)
        metadata = {"resourceVersion": view["metadata"].get("resourceVersion", "")}
        return encode(table(resource, [_rows_view(resource, stored)], metadata, form.include, form.version))
    if form.shape:
        return encode(partial(stored.object, form.version))
    return stored.text(resource.api_version, resource.from_storage)


def _view(resource: Resource, stored: Stored) -> dict[str, Any]:
    return stored.view(resource.api_version, resource.from_storage)


def _rows_view(resource: Resource, stored: Stored) -> dict[str, Any]:
    """Columns of builtin kinds read the stored form (events are stored as core/v1)."""
    return stored.object if not resource.custom else _view(resource, stored)


def list_metadata(page: Page) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
    if page.token:
        metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    return metadata


def render_list(resource: Resource, page: Page, form: Form) -> bytes:
    metadata = list_metadata(page)
    if form.shape == "Table":
        views = [_rows_view(resource, stored) for stored in page.items]
        return encode(table(resource, views, metadata, form.include, form.version))
    if form.shape:
        items = [partial(stored.object, form.version) for stored in page.items]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": form.version, "metadata": metadata}
        return encode({**head, "items": items})
    head = {"kind": resource.list_name, "apiVersion": resource.api_version, "metadata": metadata}
    texts = [stored.text(resource.api_version, resource.from_storage) for stored in page.items]
    return encode(head)[:-1] + b',"items":[' + b",".join(texts) + b"]}"


def render_event(resource: Resource, kind: str, stored: Stored, form: Form, *, first: bool) -> bytes:
    """One line of a watch; the columns of a Table come with the first event only."""
    if form.shape == "Table":
        metadata = {"resourceVersion": str(stored.version)}
        view = _rows_view(resource, stored)
        body = encode(table(resource, [view], metadata, form.include, form.version, head=first))
    else:
        body = render_object(resource, stored, form)
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def render_bookmark(resource: Resource, version: int, form: Form, *, initial: bool, first: bool) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    if form.shape == "Table":
        empty = table(resource, [], {"resourceVersion": str(version)}, form.include, form.version, head=first)
        row = {
            "cells": [],
            "object": {"kind": "PartialObjectMetadata", "apiVersion": form.version, "metadata": metadata},
        }
        body = {**empty, "rows": [row]} if initial else empty
    elif form.shape:
        body = {"kind": "PartialObjectMetadata", "apiVersion": form.version, "metadata": metadata}
    else:
        body = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return encode({"type": "BOOKMARK", "object": body}) + b"\n"
