"""The ASGI application: authentication, error answers, and which handler serves which path."""

from __future__ import annotations

import logging
import traceback

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from controlplane.embedded.api.answers import answer, answer_error, answer_value
from controlplane.embedded.api.body import decode_body
from controlplane.embedded.api.resources import ResourceRequest, read_body
from controlplane.embedded.api.target import read_target
from controlplane.embedded.auth import PUBLIC, REVIEWS, Tokens, review
from controlplane.embedded.cluster import Cluster
from controlplane.embedded.discovery import VERSION, Discovery
from controlplane.embedded.errors import ApiError, method_not_allowed, unauthorized, unknown_path
from controlplane.embedded.openapi.documents import Documents
from controlplane.embedded.openapi.protobuf import MEDIA_TYPE
from controlplane.embedded.schema.builtin_types import builtin_types

_log = logging.getLogger("fleetgate.embedded")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Api:
    """The HTTP API of one cluster."""

    def __init__(self, cluster: Cluster, tokens: Tokens) -> None:
        self._cluster = cluster
        self._tokens = tokens
        self._discovery = Discovery(cluster.registry)
        self._documents = Documents(cluster.registry)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=_METHODS)])

    async def _serve(self, request: Request) -> Response:
        try:
            return await self._route(request)
        except ApiError as error:
            return answer_error(error)
        except ClientDisconnect:
            raise
        except Exception as error:
            _log.error("%s %s failed:\n%s", request.method, request.url.path, traceback.format_exc())
            return answer_error(
                ApiError(500, "InternalError", f"Internal error occurred: {type(error).__name__}")
            )

    async def _route(self, request: Request) -> Response:
        path = request.url.path.rstrip("/") or "/"
        first, *rest = path.strip("/").split("/")
        public = f"/{first}" in PUBLIC
        if not public and not self._tokens.accepts(request.headers.get("authorization")):
            raise unauthorized()
        match first:
            case "livez" | "readyz" | "healthz":
                return _health(request, first)
            case "version" if not rest:
                return answer_value(VERSION)
            case "api":
                return await self._core(request, rest)
            case "apis":
                return await self._groups(request, rest)
            case "openapi":
                return self._openapi(request, rest)
            case "" if request.method == "GET":
                return answer_value({"paths": self._paths()})
        raise unknown_path()

    def _paths(self) -> list[str]:
        groups = [f"/apis/{group}" for group in self._discovery.groups()]
        return [
            "/api",
            "/api/v1",
            "/apis",
            *groups,
            "/healthz",
            "/livez",
            "/openapi/v2",
            "/openapi/v3",
            "/readyz",
            "/version",
        ]

    async def _core(self, request: Request, rest: list[str]) -> Response:
        if not rest:
            return self._list_groups(request, [""])
        if rest[0] != "v1":
            raise unknown_path()
        if len(rest) == 1:
            return answer_value(self._discovery.resource_list("", "v1"))
        return await self._resource(request, "", "v1", rest[1:])

    async def _groups(self, request: Request, rest: list[str]) -> Response:
        if not rest:
            return self._list_groups(request, self._discovery.groups())
        group = rest[0]
        versions = self._discovery.versions(group)
        if not versions or (len(rest) > 1 and rest[1] not in versions):
            raise unknown_path()
        if len(rest) == 1:
            return answer_value({"kind": "APIGroup", "apiVersion": "v1", **self._discovery.group(group)})
        if len(rest) == 2:
            return answer_value(self._discovery.resource_list(group, rest[1]))
        found = next((row for row in REVIEWS if row[0] == group and row[1] == rest[-1]), None)
        if found is not None:
            return await self._review(request, found[2])
        return await self._resource(request, group, rest[1], rest[2:])

    def _list_groups(self, request: Request, groups: list[str]) -> Response:
        """Aggregated discovery for clients that ask for it, the classic document for the rest."""
        for clause in request.headers.get("accept", "").split(","):
            if "as=APIGroupDiscoveryList" in clause:
                version = "v2beta1" if "v=v2beta1" in clause else "v2"
                response = answer_value(self._discovery.aggregated(groups, version))
                response.headers["content-type"] = (
                    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
                )
                return response
            if clause.strip().startswith("application/json"):
                break
        return answer_value(
            self._discovery.api_versions() if groups == [""] else self._discovery.group_list()
        )

    async def _resource(self, request: Request, group: str, version: str, rest: list[str]) -> Response:
        target = read_target(self._cluster.registry, group, version, rest)
        return await ResourceRequest(self._cluster, target, request).serve()

    async def _review(self, request: Request, kind: str) -> Response:
        if request.method != "POST":
            raise method_not_allowed()
        raw = await read_body(request)
        body, _ = decode_body(raw, request.headers.get("content-type"), builtin_types()[kind])
        return answer_value(review(kind, body, self._tokens), status=201)

    def _openapi(self, request: Request, rest: list[str]) -> Response:
        if rest == ["v2"]:
            protobuf = "proto-openapi" in request.headers.get("accept", "")
            response = answer(self._documents.v2(protobuf=protobuf))
            if protobuf:
                response.headers["content-type"] = MEDIA_TYPE
            return response
        if rest == ["v3"]:
            return answer_value(self._documents.index())
        text = self._documents.v3("/".join(rest[1:])) if rest[:1] == ["v3"] else None
        if text is None:
            raise unknown_path()
        return answer(text)


def _health(request: Request, name: str) -> Response:
    if "verbose" in request.query_params:
        return PlainTextResponse(f"[+]ping ok\n[+]store ok\n{name} check passed\n")
    return PlainTextResponse("ok")
