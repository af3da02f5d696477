"""The OpenAPI v3 document of each group version, and the v2 document of all groups."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from controlplane.embedded.openapi.protobuf import encode_document
from controlplane.embedded.openapi.schemas import Models
from controlplane.embedded.registry.registry import Registry
from controlplane.embedded.registry.resource import Resource

_VALIDATION = {"name": "fieldValidation", "in": "query"}
_INFO = {"title": "Kubernetes", "version": "v1.32.4"}


class Documents:
    """Encoded documents, made anew when the served kinds change."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._v3: dict[str, bytes] = {}
        self._v2: dict[bool, bytes] = {}

    def index(self) -> dict[str, Any]:
        """The answer to /openapi/v3: every document with a hash, so that clients can cache it."""
        self._refresh()
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_digest(text)}"}
            for path, text in self._v3.items()
        }
        return {"paths": paths}

    def v3(self, path: str) -> bytes | None:
        self._refresh()
        return self._v3.get(path)

    def v2(self, *, protobuf: bool) -> bytes:
        self._refresh()
        if protobuf not in self._v2:
            document = self.v2_document()
            self._v2[protobuf] = encode_document(document) if protobuf else msgspec.json.encode(document)
        return self._v2[protobuf]

    def v2_document(self) -> dict[str, Any]:
        definitions: dict[str, Any] = {}
        paths: dict[str, Any] = {}
        for (group, version), resources in self._group_versions().items():
            models = Models(group, version, "#/definitions/")
            for resource in resources:
                models.add(resource)
                paths.update(_paths(resource, v3=False))
            definitions.update(models.schemas)
        return {"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": definitions}

    def _refresh(self) -> None:
        if self._generation == self._registry.generation:
            return
        self._generation = self._registry.generation
        self._v2 = {}
        self._v3 = {}
        for (group, version), resources in self._group_versions().items():
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            self._v3[path] = msgspec.json.encode(_document(group, version, resources))

    def _group_versions(self) -> dict[tuple[str, str], list[Resource]]:
        found: dict[tuple[str, str], list[Resource]] = {}
        for resource in self._registry.resources():
            found.setdefault((resource.group, resource.version), []).append(resource)
        return found


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest().upper()[:64]


def _document(group: str, version: str, resources: list[Resource]) -> dict[str, Any]:
    models = Models(group, version, "#/components/schemas/")
    paths: dict[str, Any] = {}
    for resource in resources:
        models.add(resource)
        paths.update(_paths(resource, v3=True))
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": models.schemas}}


def _paths(resource: Resource, *, v3: bool) -> dict[str, Any]:
    """Just enough of each path for clients to see which kind it serves and that it validates fields."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    parameter = {**_VALIDATION, "schema": {"type": "string"}} if v3 else {**_VALIDATION, "type": "string"}

    def operation(action: str, *parameters: dict[str, Any]) -> dict[str, Any]:
        return {
            "parameters": list(parameters),
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
        }

    collection = {"get": operation("list"), "post": operation("post", parameter)}
    item = {
        "get": operation("get"),
        "put": operation("put", parameter),
        "patch": operation("patch", parameter),
        "delete": operation("delete"),
    }
    base = f"{root}{scope}/{resource.plural}"
    return {base: collection, base + "/{name}": item}
