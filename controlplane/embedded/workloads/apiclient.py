"""A small client of one API server, for the controllers that run beside it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import msgspec

Object = dict[str, Any]
"""A Kubernetes object as decoded JSON: the controllers pass on fields they do not know."""

MERGE_PATCH = "application/merge-patch+json"
WATCH_TIMEOUT_S = 300
CLOSE_S = 2.0


class Resource(msgspec.Struct, frozen=True):
    """A namespaced resource of the API."""

    prefix: str
    plural: str
    api_version: str
    kind: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        parts = [self.prefix, f"namespaces/{namespace}" if namespace else "", self.plural, name, subresource]
        return "/".join(part for part in parts if part)


PODS: Final = Resource("/api/v1", "pods", "v1", "Pod")
SERVICES: Final = Resource("/api/v1", "services", "v1", "Service")
DEPLOYMENTS: Final = Resource("/apis/apps/v1", "deployments", "apps/v1", "Deployment")
REPLICA_SETS: Final = Resource("/apis/apps/v1", "replicasets", "apps/v1", "ReplicaSet")
ENDPOINT_SLICES: Final = Resource(
    "/apis/discovery.k8s.io/v1", "endpointslices", "discovery.k8s.io/v1", "EndpointSlice"
)


class ApiFailure(Exception):
    """The API server refused a request. `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class WorkloadClient:
    """Requests to one API server. Raises ApiFailure, and httpx.TransportError when it cannot be reached."""

    def __init__(self, url: str, token: str, tls: ssl.SSLContext | None = None) -> None:
        headers = {"User-Agent": "fleetgate-workloads", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            verify=tls if tls is not None else True,
            trust_env=False,  # the token must never go to a proxy
            timeout=httpx.Timeout(10.0, read=30.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        )
        self._pending: set[asyncio.Task[httpx.Response]] = set()

    async def close(self) -> None:
        """Close all connections; requests under way have CLOSE_S to finish."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=CLOSE_S)
        await self._http.aclose()

    async def list(self, resource: Resource) -> Object:
        return await self._send("GET", resource.path())

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        return await self._send("GET", resource.path(namespace, name))

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        return await self._send("POST", resource.path(namespace), body)

    async def replace(self, resource: Resource, body: Object, subresource: str = "") -> Object:
        """Write `body` over the object of that name. A stale resourceVersion is ApiFailure 409."""
        meta = body["metadata"]
        path = resource.path(meta["namespace"], meta["name"], subresource)
        return await self._send("PUT", path, body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Object, subresource: str = ""
    ) -> Object:
        path = resource.path(namespace, name, subresource)
        return await self._send("PATCH", path, body, content_type=MERGE_PATCH)

    async def delete(
        self, resource: Resource, namespace: str, name: str, uid: str, grace_s: int | None = None
    ) -> Object:
        """Delete exactly the object with that uid, not a successor of the same name."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        return await self._send("DELETE", resource.path(namespace, name), options)

    @asynccontextmanager
    async def watch(self, resource: Resource, version: str) -> AsyncIterator[AsyncIterator[Object]]:
        """Open a watch that begins after `version`; yields an iterator over its events."""
        params: Mapping[str, str] = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_TIMEOUT_S),
        }
        timeout = httpx.Timeout(10.0, read=WATCH_TIMEOUT_S + 30.0)
        async with self._http.stream("GET", resource.path(), params=params, timeout=timeout) as response:
            if response.status_code != 200:
                raise _failure(response.status_code, await response.aread())
            yield (msgspec.json.decode(line) async for line in response.aiter_lines() if line)

    async def _send(
        self, method: str, path: str, body: Object | None = None, content_type: str = "application/json"
    ) -> Object:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": content_type}
        task = asyncio.create_task(self._http.request(method, path, content=content, headers=headers))
        self._pending.add(task)
        task.add_done_callback(self._done)
        # A write that was begun is finished: cut off, it may or may not have happened, and a connection
        # whose TLS handshake is cut off is leaked by httpcore.
        response = await asyncio.shield(task)
        if response.status_code >= 300:
            raise _failure(response.status_code, response.content)
        decoded: Object = msgspec.json.decode(response.content)
        return decoded

    def _done(self, task: asyncio.Task[httpx.Response]) -> None:
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()  # marks the exception as seen: the caller may be gone


def _failure(status: int, content: bytes) -> ApiFailure:
    try:
        message = str(msgspec.json.decode(content)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message = content[:200].decode("utf-8", "replace")
    return ApiFailure(status, message)
