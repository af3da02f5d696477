"""A worker that runs out of descriptors: no busy loop, no lost client, and it recovers."""

import asyncio
import resource
from pathlib import Path
from time import monotonic

import h11

from tests.dataplane.conftest import Connect
from tests.dataplane.test_connection_limits import active, shed, works
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.waiting import until_async
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

LIMIT = 256


def slow(connection: Connection, request: h11.Request) -> bytes:
    return b"" if request.target == b"/slow" else ok(connection, request)


async def pauses(worker: WorkerProcess) -> int:
    return sum(count.count for count in (await worker.stats()).pauses)


def descriptors(worker: WorkerProcess) -> int:
    assert worker.process is not None
    return len(list(Path(f"/proc/{worker.process.pid}/fd").iterdir()))


async def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    async with WorkerProcess(descriptors=(200, 300)) as worker:
        assert worker.process is not None
        assert resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE) == (300, 300)


async def test_busy_clients_are_served_while_a_crowd_waits_at_the_door(port: int, connect: Connect) -> None:
    async with (
        WorkerProcess(descriptors=(LIMIT, LIMIT), complains="accepting paused") as worker,
        Origin(slow) as origin,
    ):
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        regular = asyncio.create_task(keep_asking(await connect()))
        busy: list[RawClient] = []
        for _ in range(LIMIT):
            busy.append(await connect())
            await busy[-1].send(request("/slow"))
        await until_async(lambda: paused(worker), 10, "accepting is paused")
        used, started = worker.cpu_s(), monotonic()
        await asyncio.sleep(2)
        assert not regular.done()
        regular.cancel()
        assert worker.cpu_s() - used < 0.5 * (monotonic() - started)
        assert descriptors(worker) < LIMIT - 16
        in_flight = len(origin.requests)
        for connection in origin.connections:
            assert connection.transport is not None
            connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        origin.answer = ok
        assert [(await client.final_response())[0] for client in busy[: in_flight // 2]] == [200] * (
            in_flight // 2
        )
        for client in busy[: in_flight // 2]:
            await client.close()
        assert (await busy[-1].final_response())[0] == 200  # had waited in the queue all the time
        for client in busy:
            await client.close()
        late = await connect()
        assert await works(late)


async def keep_asking(client: RawClient) -> None:
    """Ask fifty times a second; return when there is no good answer."""
    while await works(client):
        await asyncio.sleep(0.02)


async def paused(worker: WorkerProcess) -> bool:
    return await pauses(worker) > 0


async def test_idle_clients_make_room_for_new_ones(port: int, connect: Connect) -> None:
    async with (
        WorkerProcess(descriptors=(LIMIT, LIMIT), complains="accepting paused") as worker,
        Origin() as origin,
    ):
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        idle = [await connect() for _ in range(LIMIT + 50)]
        await until_async(lambda: paused(worker), 10, "accepting is paused")
        late = await connect()
        async with asyncio.timeout(15):  # usually 3.5 s; idle connections are open for 65 s else
            assert await works(late)
        assert (await shed(worker))["descriptors"] > 0
        assert await active(worker) < LIMIT - 32
        for connection in idle:
            await connection.close()
        await until_async(lambda: alone(worker), 5, "the idle ones are gone")
        assert await works(late)


async def alone(worker: WorkerProcess) -> bool:
    return await active(worker) == 1
