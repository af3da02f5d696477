"""A data plane in the test's own process, for what depends on its time constants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proxy.configuration import SnapshotChange
from proxy.dataplane import DataPlane
from proxy.downstream.guards.descriptors import DescriptorBudget
from proxy.downstream.h1.connection import ClientConnection
from proxy.downstream.listener import Listeners
from proxy.model.channel import parts_of
from proxy.model.snapshot import Snapshot


@asynccontextmanager
async def serving(snapshot: Snapshot) -> AsyncIterator[DataPlane]:
    """Serve `snapshot`; fails when a callback raises."""
    loop = asyncio.get_running_loop()
    raised: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: raised.append(context))
    plane = DataPlane(loop, None)
    listeners = Listeners(plane, DescriptorBudget(1024), opens_sockets=True)
    plane.wheel.start()
    plane.upstream.start(plane.wheel)
    await plane.apply(SnapshotChange(snapshot, parts_of(snapshot)))
    await listeners.apply(snapshot.listeners)
    try:
        yield plane
    finally:
        listeners.stop_accepting()
        for client in [client for listener in listeners for client in listener.connections]:
            assert isinstance(client, ClientConnection)
            client.transport.abort()
        for endpoint in plane.upstream.services.endpoints():
            endpoint.retire()
        await plane.upstream.close()
        plane.wheel.stop()
    assert raised == [], raised
