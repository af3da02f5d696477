"""A Fleet and two member clusters on fake API servers, with real HTTP origins as their pods."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from controlplane.admin.health import readiness
from controlplane.gateway.gateway import Gateway
from controlplane.gateway.settings import Settings
from controlplane.kube.client import open_client
from tests.support.fakeapi import FakeApi
from tests.support.origin import Connection, Origin
from tests.support.translation import endpoint_slice, gateway, service
from tests.support.waiting import until

Json = dict[str, Any]

HOST = "shop.example.com"
MEMBERS = ("cluster-1", "cluster-2")
PLURALS = {
    "AlbConfig": "albconfigs",
    "MseIngressConfig": "mseingressconfigs",
    "EndpointSlice": "endpointslices",
    "Ingress": "ingresses",
    "IngressClass": "ingressclasses",
    "ServerGroup": "servergroups",
    "Service": "services",
}


class Rig(Protocol):
    """What a gateway is started on: a Fleet and its members, by their kubeconfigs."""

    directory: Path

    @property
    def kubeconfigs(self) -> dict[str, Path]: ...

    @property
    def members(self) -> dict[str, Path]: ...


class Clusters:
    """`port` is the listener of the gateway; `apis` and `origins` are by cluster."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self.fleet = FakeApi()
        self.apis = {cluster: FakeApi() for cluster in MEMBERS}
        self.origins = {cluster: Origin(answer_with(cluster)) for cluster in MEMBERS}

    @property
    def kubeconfigs(self) -> dict[str, Path]:
        return {cluster: self.directory / f"{cluster}.kubeconfig" for cluster in ("fleet", *MEMBERS)}

    @property
    def members(self) -> dict[str, Path]:
        return {cluster: self.kubeconfigs[cluster] for cluster in MEMBERS}

    def apply(self, manifest: Json, api: FakeApi | None = None) -> None:
        (api or self.fleet).store.put(PLURALS[manifest["kind"]], manifest)

    def ingress(self, name: str = "web", path: str = "/", generation: int = 1, **annotations: str) -> None:
        """Put an Ingress for the service `web` on the Fleet; annotation keys without their prefix."""
        backend = {"service": {"name": "web", "port": {"number": 80}}}
        prefix = "alb.ingress.kubernetes.io/"
        self.apply(
            {
                "kind": "Ingress",
                "metadata": {
                    "namespace": "shop",
                    "name": name,
                    "generation": generation,
                    "annotations": {
                        prefix + key.replace("__", "."): value for key, value in annotations.items()
                    },
                },
                "spec": {
                    "ingressClassName": "alb",
                    "rules": [
                        {
                            "host": HOST,
                            "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]},
                        }
                    ],
                },
            }
        )

    def pods(self, cluster: str, *, ready: bool = True) -> None:
        """Put the service's endpoints: the origin of this cluster, ready or not."""
        endpoints = [{"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}]
        port = {"name": "", "port": self.origins[cluster].port, "protocol": "TCP"}
        self.apply(endpoint_slice("shop/web", endpoints, ports=[port]), self.apis[cluster])


def answer_with(cluster: str) -> Any:
    def answer(_connection: Connection, _request: object) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(cluster), cluster.encode())

    return answer


@asynccontextmanager
async def clusters(directory: Path, port: int) -> AsyncIterator[Clusters]:
    """Start everything, with one Ingress and one pod in each cluster."""
    rig = Clusters(directory, port)
    async with AsyncExitStack() as stack:
        for api in (rig.fleet, *rig.apis.values()):
            await stack.enter_async_context(api)
        for origin in rig.origins.values():
            await stack.enter_async_context(origin)
        apis = {"fleet": rig.fleet, **rig.apis}
        for cluster, path in rig.kubeconfigs.items():
            path.write_text(json.dumps(apis[cluster].kubeconfig()))
        for manifest in gateway(port):
            rig.apply(manifest)
        for cluster in MEMBERS:
            rig.apply(service("shop/web"), rig.apis[cluster])
            rig.pods(cluster)
        rig.ingress()
        yield rig


@asynccontextmanager
async def gateway_on(rig: Rig, **settings: Any) -> AsyncIterator[Gateway]:
    """Run a gateway in this process, with real workers."""
    told: Json = {
        "state_dir": rig.directory / "state",
        "workers": 1,
        "fleet_kubeconfig": rig.kubeconfigs["fleet"],
        "members": rig.members,
        "address": "gateway.example.com",
        "access_log": "off",
        "allow_loopback_endpoints": True,
        "grace_s": 3.0,
    }
    chosen = Settings(**(told | settings))
    running = Gateway(chosen, await open_client(chosen.fleet_kubeconfig))
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def ready(running: Gateway, deadline_s: float = 15.0) -> None:
    await until(lambda: all(check.passed for check in readiness(running.state())), deadline_s, "ready")


async def ask(port: int, path: str = "/", deadline_s: float = 5.0) -> tuple[int, str]:
    """Send one request through the gateway; return status and body."""
    async with asyncio.timeout(deadline_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        return int(head.split()[1]), body.decode()
