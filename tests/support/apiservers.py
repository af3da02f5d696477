"""A Fleet and two member clusters on embedded API servers in this loop, seen as a client of their API."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from controlplane.embedded.demo import MANIFESTS
from controlplane.embedded.server import EmbeddedServer
from tests.support.embedded import gone, running_server

Json = dict[str, Any]

MEMBERS = ("cluster-1", "cluster-2")

_PATHS = {
    "AlbConfig": "/apis/alibabacloud.com/v1/albconfigs",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses",
    "IngressClass": "/apis/networking.k8s.io/v1/ingressclasses",
    "MseIngressConfig": "/apis/mse.alibabacloud.com/v1alpha1/mseingressconfigs",
    "Namespace": "/api/v1/namespaces",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "Service": "/api/v1/namespaces/{namespace}/services",
}


class ApiServers:
    """`kubeconfigs` and the methods know the servers as "fleet", "cluster-1" and "cluster-2"."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._kubeconfigs = {name: directory / f"{name}.kubeconfig" for name in ("fleet", *MEMBERS)}
        self._clients: dict[str, httpx.AsyncClient] = {}

    @property
    def kubeconfigs(self) -> dict[str, Path]:
        return self._kubeconfigs

    @property
    def members(self) -> dict[str, Path]:
        return {name: self.kubeconfigs[name] for name in MEMBERS}

    def add(self, name: str, server: EmbeddedServer, client: httpx.AsyncClient) -> None:
        self.kubeconfigs[name].write_text(server.kubeconfig())
        self._clients[name] = client

    async def create(self, server: str, manifests: str, namespace: str = "default") -> None:
        """Create the objects of YAML text; `namespace` is of those that name none."""
        for manifest in yaml.safe_load_all(manifests):
            place = manifest["metadata"].get("namespace", namespace)
            path = _PATHS[manifest["kind"]].format(namespace=place)
            answer = await self._clients[server].post(path, json=manifest)
            assert answer.status_code == 201, answer.text

    async def get(self, server: str, kind: str, name: str, namespace: str = "default") -> Json:
        path = _PATHS[kind].format(namespace=namespace)
        answer = await self._clients[server].get(f"{path}/{name}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def delete_namespace(self, server: str, name: str) -> None:
        """Return when everything in it is gone."""
        client = self._clients[server]
        assert (await client.delete(f"/api/v1/namespaces/{name}")).status_code == 200
        await gone(client, f"/api/v1/namespaces/{name}")


@asynccontextmanager
async def api_servers(directory: Path) -> AsyncIterator[ApiServers]:
    """Start the three; the Fleet knows the gateway's own kinds."""
    servers = ApiServers(directory)
    async with AsyncExitStack() as stack:
        for name in servers.kubeconfigs:
            server, client = await stack.enter_async_context(running_server())
            servers.add(name, server, client)
            if name == "fleet":
                server.apply([MANIFESTS / "crds"])
        yield servers
