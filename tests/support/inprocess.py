"""A data plane in the test's own process, for what depends on its time constants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proxy.dataplane import DataPlane, SnapshotChange
from proxy.downstream.guards.descriptors import DescriptorBudget
from proxy.downstream.h1.connection import ClientConnection
from proxy.downstream.listener import Listeners
from proxy.model.channel import parts_of
from proxy.model.snapshot import Snapshot
from proxy.timers import TICK_S


@asynccontextmanager
async def serving(snapshot: Snapshot) -> AsyncIterator[DataPlane]:
    """Serve `snapshot`; fails when a callback raises."""
    loop = asyncio.get_running_loop()
    raised: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: raised.append(context))
    plane = DataPlane(loop, None)
    listeners = Listeners(plane, DescriptorBudget(1024), opens_sockets=True)
    plane.wheel.start()
    plane.wheel.schedule(plane.services.recovery, plane.wheel.now + TICK_S)
    plane.wheel.schedule(plane.offered_load, plane.wheel.now + TICK_S)
    plane.wheel.schedule(plane.corroboration, plane.wheel.now + TICK_S)
    await plane.apply(SnapshotChange(snapshot, parts_of(snapshot)))
    await listeners.apply(snapshot.listeners)
    try:
        yield plane
    finally:
        listeners.stop_accepting()
        for client in [client for listener in listeners for client in listener.connections]:
            assert isinstance(client, ClientConnection)
            client.transport.abort()
        for endpoint in plane.services.endpoints():
            endpoint.retire()
        plane.prober.stop()
        await plane.connector.close()
        plane.stalls.stop()
        plane.wheel.stop()
    assert raised == [], raised
