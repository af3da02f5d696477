"""An embedded cluster with its controllers, and the ways to look at its pods."""

import asyncio
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.embedded.controller import run_controller
from controlplane.embedded.server import EmbeddedServer
from controlplane.embedded.workloads.apiclient import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    PODS,
    SERVICES,
    WorkloadClient,
)

Object = dict[str, Any]
NAMESPACE = "web-demo"


async def until(probe: Callable[[], Awaitable[bool]], what: str, deadline_s: float = 20.0) -> float:
    """Wait until `probe` holds; return the seconds it took."""
    start = time.monotonic()
    while not await probe():
        assert time.monotonic() - start < deadline_s, f"not within {deadline_s} s: {what}"
        await asyncio.sleep(0.01)
    return time.monotonic() - start


def pids(name: str) -> list[int]:
    """Return the processes of this test's pods whose name begins with `name`."""
    parent = f"--parent={os.getpid()}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if parent in words and any(word.startswith(f"--pod={name}".encode()) for word in words):
            found.append(int(path.parts[2]))
    return found


def deployment(name: str = "web-demo", replicas: int = 2, env: str = "cluster1", **probe: object) -> Object:
    labels = {"app": name}
    container = {
        "name": "web-demo",
        "image": "web-demo",
        "env": [{"name": "ENV_NAME", "value": env}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, **probe},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def service(app: str = "web-demo") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "service1", "namespace": NAMESPACE},
        "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


class Cluster:
    """An embedded API server with controllers, seen as a user of the API sees it."""

    def __init__(self, server: EmbeddedServer, client: WorkloadClient) -> None:
        self.server = server
        self.client = client

    async def deploy(self, item: Object | None = None) -> None:
        await self.client.create(SERVICES, NAMESPACE, service())
        await self.client.create(DEPLOYMENTS, NAMESPACE, item or deployment())

    async def slices(self) -> list[Object]:
        answer = await self.client.list(ENDPOINT_SLICES)
        return list(answer["items"])

    async def endpoints(self) -> list[Object]:
        return [endpoint for item in await self.slices() for endpoint in item.get("endpoints") or []]

    async def pods(self) -> list[Object]:
        return list((await self.client.list(PODS))["items"])

    async def ready(self, count: int) -> bool:
        """Say whether exactly `count` endpoints exist, and all are ready."""
        endpoints = await self.endpoints()
        return len(endpoints) == count and all(each["conditions"]["ready"] for each in endpoints)

    async def until_ready(self, count: int) -> float:
        return await until(lambda: self.ready(count), f"{count} ready endpoints")

    async def scale(self, replicas: int, name: str = "web-demo") -> None:
        await self.client.patch(DEPLOYMENTS, NAMESPACE, name, {"spec": {"replicas": replicas}}, "scale")

    async def deployment(self, name: str = "web-demo") -> Object:
        return await self.client.get(DEPLOYMENTS, NAMESPACE, name)

    async def answers(self, address: str, port: int = 8080) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://{address}:{port}/")).text


@pytest.fixture
async def start_cluster() -> AsyncIterator[Callable[..., Awaitable[Cluster]]]:
    stack: list[Callable[[], Awaitable[None]]] = []

    async def start(name: str = "cluster-test", pod_host: str | None = None) -> Cluster:
        server = EmbeddedServer(name=name, port=0, token="secret")
        await server.start()
        stack.append(server.stop)
        tls = ssl.create_default_context(cadata=server.ca_pem.decode() if server.ca_pem else None)
        client = WorkloadClient(server.url, "secret", tls)
        stack.append(client.close)
        task = asyncio.create_task(
            run_controller(server.url, "secret", cluster=name, pod_host=pod_host, ca_pem=server.ca_pem)
        )

        async def stop_controller() -> None:
            task.cancel()
            await asyncio.wait([task])

        stack.append(stop_controller)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        headers = {"Authorization": "Bearer secret"}
        async with httpx.AsyncClient(trust_env=False, verify=tls, headers=headers) as http:
            (await http.post(f"{server.url}/api/v1/namespaces", json=namespace)).raise_for_status()
        return Cluster(server, client)

    yield start
    for close in reversed(stack):
        await close()


@pytest.fixture
async def cluster(start_cluster: Callable[..., Awaitable[Cluster]]) -> Cluster:
    return await start_cluster()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
