"""The controllers as a process of their own: what happens to pods when the API server, or they, die."""

import asyncio
import ssl
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.controller.conftest import NAMESPACE, deployment, kill, service, until


class Member:
    """An API server and a node, each a process."""

    def __init__(self, directory: Path) -> None:
        self.kubeconfig = directory / "kubeconfig"
        self.processes: dict[str, Process] = {}

    async def start(self) -> None:
        module = ("controlplane.embedded", "--name", "member", "--kubeconfig", str(self.kubeconfig))
        await self._spawn("server", *module)

        async def written() -> bool:
            return self.kubeconfig.exists()

        await until(written, "a kubeconfig")
        config = ("--cluster", "member", "--kubeconfig", str(self.kubeconfig))
        await self._spawn("node", "controlplane.embedded.workloads", *config)

    async def _spawn(self, name: str, *module: str) -> None:
        self.processes[name] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *module, stdout=DEVNULL
        )

    async def stop(self) -> None:
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    def client(self) -> httpx.AsyncClient:
        config = yaml.safe_load(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the certificate is not what is tested here
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        headers = {"Authorization": f"Bearer {user['token']}"}
        return httpx.AsyncClient(base_url=cluster["server"], headers=headers, trust_env=False, verify=context)


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    found = Member(tmp_path)
    await found.start()
    yield found
    await found.stop()


async def deploy(api: httpx.AsyncClient) -> list[str]:
    """Deploy web-demo and return the addresses of its two pods."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    (await api.post("/api/v1/namespaces", json=namespace)).raise_for_status()
    (await api.post(f"/api/v1/namespaces/{NAMESPACE}/services", json=service())).raise_for_status()
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    (await api.post(path, json=deployment(failureThreshold=1))).raise_for_status()
    addresses: list[str] = []

    async def ready() -> bool:
        nonlocal addresses
        slices = (await api.get("/apis/discovery.k8s.io/v1/endpointslices")).json()["items"]
        endpoints = [each for item in slices for each in item["endpoints"]]
        addresses = [each["addresses"][0] for each in endpoints if each["conditions"]["ready"]]
        return len(addresses) == 2

    await until(ready, "two ready pods")
    return addresses


async def answers(address: str) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=1.0) as client:
        try:
            return (await client.get(f"http://{address}:8080/")).status_code == 200
        except httpx.TransportError:
            return False


async def test_pods_go_on_when_their_api_server_is_killed(member: Member) -> None:
    async with member.client() as api:
        addresses = await deploy(api)
    kill(member.processes["server"].pid)
    await member.processes["server"].wait()
    await asyncio.sleep(2.0)  # more than one probe period
    assert member.processes["node"].returncode is None
    for address in addresses:
        assert await answers(address)


async def test_pods_end_with_their_node_even_when_that_is_killed(member: Member) -> None:
    async with member.client() as api:
        addresses = await deploy(api)
    kill(member.processes["node"].pid)
    await member.processes["node"].wait()

    async def dead() -> bool:
        return not any([await answers(address) for address in addresses])

    await until(dead, "dead pods")
