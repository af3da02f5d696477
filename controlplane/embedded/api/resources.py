"""The verbs of the resource API on one target."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from controlplane.embedded.api.answers import StreamAnswer, answer, answer_value
from controlplane.embedded.api.body import LIMIT, PATCH_TYPES, decode_body, decode_json, media_type
from controlplane.embedded.api.options import (
    ListOptions,
    WriteOptions,
    delete_options,
    list_options,
    write_options,
)
from controlplane.embedded.api.scale import to_scale, with_scale
from controlplane.embedded.api.target import Target
from controlplane.embedded.causes import forbidden_field
from controlplane.embedded.cluster import Cluster
from controlplane.embedded.errors import (
    ApiError,
    invalid,
    method_not_allowed,
    too_large,
    unsupported_media_type,
)
from controlplane.embedded.patch.merge import json_patch, merge_patch
from controlplane.embedded.reading.listing import Selection, list_page, wait_for
from controlplane.embedded.reading.rendering import Form, negotiate, render_list, render_object
from controlplane.embedded.reading.watching import error_line, open_watch
from controlplane.embedded.schema.builtin_types import builtin_types
from controlplane.embedded.storage.watcher import Stored
from controlplane.embedded.writing.deletion import delete_object
from controlplane.embedded.writing.intake import Write
from controlplane.embedded.writing.patching import apply_object, patch_object

_RETURNS_OBJECT = ("pods", "services", "serviceaccounts")


async def read_body(request: Request) -> bytes:
    """The whole body; 413 above the limit of kube-apiserver."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LIMIT:
            raise too_large()
        chunks.append(chunk)
    return b"".join(chunks)


class ResourceRequest:
    """One request on one target; `serve` answers it."""

    def __init__(self, cluster: Cluster, target: Target, request: Request) -> None:
        self.cluster = cluster
        self.writer = cluster.writer
        self.target = target
        self.resource = target.resource
        self.request = request
        self.warnings: list[str] = []
        query = request.query_params
        self.form = negotiate(request.headers.get("accept", ""), query.get("includeObject", ""))

    async def serve(self) -> Response:
        method, target = self.request.method, self.target
        if target.subresource == "scale":
            return await self._scale(method)
        if target.name:
            calls = {"GET": self._get, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        else:
            calls = {"GET": self._list, "POST": self._create, "DELETE": self._delete_collection}
        call = calls.get(method)
        if call is None or (target.subresource and method == "DELETE"):
            raise method_not_allowed()
        if not target.name and method == "POST" and target.namespace is None:
            raise method_not_allowed()
        return await call()

    def _write(self, kind: str, duplicates: list[str] | None = None) -> Write:
        options = self._options(kind)
        return Write(
            self.resource, self.target.namespace or "", options, self.warnings, tuple(duplicates or ())
        )

    def _options(self, kind: str) -> WriteOptions:
        return write_options(self.request.query_params, self.request.headers.get("user-agent", ""), kind)

    def _answer(self, stored: Stored, status: int = 200) -> Response:
        body = render_object(self.resource, stored, self.form)
        return answer(body, status=status, warnings=self.warnings, yaml=self.form.yaml)

    async def _get(self) -> Response:
        options = list_options(self.request.query_params)  # kube-apiserver ignores "watch" on one object
        await wait_for(self.cluster.store, options.version or 0)
        return self._answer(self.writer.read(self.resource, self.target.namespace or "", self.target.name))

    async def _list(self) -> Response:
        options = list_options(self.request.query_params)
        if options.watch:
            return await self._watch(options)
        selection = Selection(self.resource, self._namespace(), options)
        page = await list_page(self.cluster.store, selection, options)
        return answer(
            render_list(self.resource, page, self.form), warnings=self.warnings, yaml=self.form.yaml
        )

    def _namespace(self) -> str | None:
        return self.target.namespace if self.resource.namespaced else None

    async def _watch(self, options: ListOptions) -> Response:
        selection = Selection(self.resource, self._namespace(), options)
        try:
            watch = await open_watch(self.cluster.store, selection, options)
        except ApiError as error:
            return answer(error_line(error))
        return StreamAnswer(watch.lines(self.form), watch.close)

    async def _create(self) -> Response:
        body, duplicates = await self._decoded()
        return self._answer(self.writer.create(self._write("CreateOptions", duplicates), body), 201)

    async def _decoded(self) -> tuple[Any, list[str]]:
        schema = self.resource.schema if self.resource.schema.numbers else None
        return decode_body(await read_body(self.request), self.request.headers.get("content-type"), schema)

    async def _put(self) -> Response:
        body, duplicates = await self._decoded()
        write = self._write("UpdateOptions", duplicates)
        key = (write.namespace, self.target.name)
        exists = self.cluster.store.get(self.resource.store_key, key) is not None
        if not exists and self.resource.strategy.create_on_update and not self.target.subresource:
            return self._answer(self.writer.create(write, body, name=self.target.name), 201)
        return self._answer(
            self.writer.update(write, self.target.name, lambda _: body, self.target.subresource)
        )

    async def _patch(self) -> Response:
        kind = PATCH_TYPES.get(media_type(self.request.headers.get("content-type")))
        if kind is None:
            raise unsupported_media_type(PATCH_TYPES)
        raw = await read_body(self.request)
        write = self._write("PatchOptions")
        if write.options.force and kind != "apply":
            cause = forbidden_field("force", "may not be specified for non-apply patch")
            raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
        name, subresource = self.target.name, self.target.subresource
        if kind == "apply":
            stored, new = apply_object(self.writer, write, name, raw, subresource)
            return self._answer(stored, 201 if new else 200)
        return self._answer(patch_object(self.writer, write, name, kind, raw, subresource))

    async def _delete_body(self) -> Any:
        raw = await read_body(self.request)
        schema = builtin_types()["DeleteOptions"]
        return decode_body(raw, self.request.headers.get("content-type"), schema)[0] if raw else {}

    async def _delete(self) -> Response:
        options = delete_options(self.request.query_params, await self._delete_body())
        key = (self.target.namespace or "", self.target.name)
        stored, gone = delete_object(self.writer, self.resource, key, options)
        if not gone or self.resource.store_key in _RETURNS_OBJECT:
            return self._answer(stored)
        details = {
            "name": self.target.name,
            "kind": self.resource.plural,
            "uid": stored.object["metadata"]["uid"],
        }
        if self.resource.group:
            details["group"] = self.resource.group
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }
        return answer_value(status)

    async def _delete_collection(self) -> Response:
        if self.target.namespace is None:
            raise method_not_allowed()
        options = delete_options(self.request.query_params, await self._delete_body())
        selecting = list_options(self.request.query_params)
        page = await list_page(
            self.cluster.store, Selection(self.resource, self._namespace(), selecting), selecting
        )
        for stored in page.items:
            meta = stored.object["metadata"]
            delete_object(self.writer, self.resource, (meta.get("namespace", ""), meta["name"]), options)
        return answer(render_list(self.resource, page, Form()))

    async def _scale(self, method: str) -> Response:
        resource, name = self.resource, self.target.name
        stored = self.writer.read(resource, self.target.namespace or "", name)
        current = to_scale(resource, self.writer.view(resource, stored))
        if method == "GET":
            return answer_value(current)
        if method not in ("PUT", "PATCH"):
            raise method_not_allowed()
        scaled = await self._scaled(method, current)
        write = self._write("UpdateOptions")
        changed = self.writer.update(write, name, lambda obj: with_scale(resource, obj, scaled), "scale")
        return answer_value(to_scale(resource, self.writer.view(resource, changed)), warnings=self.warnings)

    async def _scaled(self, method: str, current: Any) -> Any:
        raw = await read_body(self.request)
        if method == "PUT":
            return decode_body(raw, self.request.headers.get("content-type"), builtin_types()["Scale"])[0]
        kind = PATCH_TYPES.get(media_type(self.request.headers.get("content-type")))
        if kind not in ("json", "merge", "strategic"):
            raise unsupported_media_type(PATCH_TYPES)
        patch = decode_json(raw)[0]
        return json_patch(current, patch) if kind == "json" else merge_patch(current, patch)
