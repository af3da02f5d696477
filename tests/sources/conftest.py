"""A Fleet with two possible members, each a fake API server."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.kube.client import open_client
from controlplane.sources.fleet import Fleet
from controlplane.translate.registrations import Owner
from tests.support.clock import FakeClock
from tests.support.fakeapi import FakeApi


def secret(name: str, cluster: str, kubeconfig: str, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "clusters",
            "labels": {"fleetgate.io/cluster": cluster},
            "creationTimestamp": created,
        },
        "data": {"kubeconfig": base64.b64encode(kubeconfig.encode()).decode()},
    }


class World:
    """The API servers, and a Fleet that may be running."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.api, self.one, self.two = FakeApi(), FakeApi(), FakeApi()
        self.clock = clock
        self.changes = 0
        self.owners: dict[str, Owner] = {}  # as on disk
        self._folder = folder

    def kubeconfig(self, api: FakeApi, token: str = "t0ken") -> str:
        return yaml.safe_dump(api.kubeconfig(token))

    def file(self, name: str, content: str) -> Path:
        path = self._folder / name
        path.write_text(content)
        return path

    def register(self, cluster: str, api: FakeApi, token: str = "t0ken") -> None:
        self.api.store.put("secrets", secret(cluster, cluster, self.kubeconfig(api, token)))

    def changed(self) -> None:
        self.changes += 1


Start = Callable[..., Any]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(auto=False)


@pytest.fixture
async def world(tmp_path: Path, clock: FakeClock) -> AsyncIterator[World]:
    made = World(tmp_path, clock)
    async with made.api, made.one, made.two:
        yield made


@pytest.fixture
async def start(world: World) -> AsyncIterator[Start]:
    """Start a Fleet; at the end of the test it must leave no task behind."""
    before = asyncio.all_tasks()
    running: list[asyncio.Task[None]] = []
    clients = []

    async def begin(**flags: Path) -> Fleet:
        client = await open_client(world.api.kubeconfig(), clock=world.clock.clock)
        clients.append(client)
        fleet = Fleet(
            client,
            flags,
            world.changed,
            namespace="clusters",
            on_owners=world.owners.update,
            clock=world.clock.clock,
        )
        fleet.remember(dict(world.owners))
        running.append(asyncio.create_task(fleet.run()))
        async with asyncio.timeout(5):
            await fleet.synced.wait()
        return fleet

    yield begin
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for client in clients:
        await client.close()
    left = {task for task in asyncio.all_tasks() - before if "FakeApi" not in repr(task)}
    assert left == {asyncio.current_task()}
