"""A status writer on a fake Fleet."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controlplane.kube.client import open_client
from controlplane.kube.events import EventRecorder
from controlplane.kube.lease import LeaderElector
from controlplane.kube.store import StoredStatus
from controlplane.report.statuses import StatusWriter
from controlplane.resources.kinds import INGRESSES, Kind
from controlplane.translate.model import ObjectStatus
from tests.support.clock import FakeClock
from tests.support.fakeapi import FakeApi
from tests.support.objects import ingress
from tests.support.waiting import until


class Desk:
    """The writer, and what it works with. The store of the fake API server is its watch cache."""

    def __init__(self, api: FakeApi, clock: FakeClock) -> None:
        self.api, self.clock = api, clock
        self.elector: LeaderElector
        self.recorder: EventRecorder
        self.writer: StatusWriter
        self.frozen: dict[str, StoredStatus] | None = None  # a watch that lags

    def current(self, kind: Kind[Any], namespace: str, name: str) -> StoredStatus | None:
        key = f"{namespace}/{name}" if namespace else name
        if self.frozen is not None:
            return self.frozen.get(key)
        item = self.api.store.objects[kind.plural].get(key)
        if item is None:
            return None
        meta = item["metadata"]
        status = json.dumps(item["status"]).encode() if "status" in item else b""
        return StoredStatus(meta["uid"], meta["resourceVersion"], status, meta.get("generation", 0))

    def add(self, name: str, generation: int = 1, **extra: Any) -> str:
        """Store an Ingress and return its uid."""
        stored = self.api.store.put("ingresses", ingress(name, generation=generation, **extra))
        return str(stored["metadata"]["uid"])

    def status(self, name: str) -> Any:
        return self.api.store.objects["ingresses"][f"demo/{name}"].get("status")

    async def idle(self) -> None:
        """Wait until the writer has seen the newest submission and rests."""
        await until(lambda: not self.writer._woken.is_set())
        await asyncio.sleep(0.05)


def served(name: str, uid: str, port: int = 8001, generation: int = 1) -> ObjectStatus:
    entry = {"hostname": "gw.example", "ports": [{"port": port, "protocol": "TCP"}]}
    return ObjectStatus(INGRESSES, "demo", name, uid, {"loadBalancer": {"ingress": [entry]}}, generation)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = FakeClock()
    async with FakeApi() as api:
        made = Desk(api, clock)
        client = await open_client(api.kubeconfig(), clock=clock.clock)
        # The lease runs on a clock of its own: on the other one every sleep would be a jump in time.
        made.elector = LeaderElector(client, "kube-system", "fleetgate", "me")
        made.recorder = EventRecorder(client, "me", clock=clock.clock)
        made.writer = StatusWriter(client, made.recorder, made.elector, made.current, clock=clock.clock)
        tasks = [asyncio.create_task(work.run()) for work in (made.elector, made.recorder, made.writer)]
        yield made
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results
