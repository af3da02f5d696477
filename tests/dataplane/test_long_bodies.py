"""Long bodies go through memory that is used again: everybody gets the bytes that are theirs."""

import asyncio
import hashlib

import h11

from tests.dataplane.test_slow_clients import narrow
from tests.support.origin import Connection, Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

SIZE = 3 << 20


def body(name: bytes) -> bytes:
    """Return bytes of which no two blocks, of one name or of two, are alike."""
    blocks = (hashlib.sha256(b"%b %d" % (name, number)).digest() for number in range(SIZE // 32))
    return b"".join(blocks)


def answer(_connection: Connection, request: h11.Request) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (SIZE, body(request.target))


async def read_slowly(port: int, name: str) -> bytes:
    """Return the body, read through a window of a few kilobytes."""
    loop = asyncio.get_running_loop()
    client = await narrow(port)
    await loop.sock_sendall(client, request(name))
    received = b""
    async with asyncio.timeout(60):
        while (at := received.find(b"\r\n\r\n")) < 0 or len(received) < at + 4 + SIZE:
            data = await loop.sock_recv(client, 1 << 16)
            assert data
            received += data
    client.close()
    return received[at + 4 :]


async def read_fast(port: int, name: str) -> bytes:
    client = await RawClient.connect(port)
    bodies = []
    for number in range(3):
        await client.send(request(f"{name}-{number}"))
        bodies.append((await client.final_response())[2] == body(f"{name}-{number}".encode()))
    await client.close()
    assert bodies == [True] * 3
    return b""


async def test_bodies_of_slow_and_fast_clients_are_not_mixed(worker: WorkerProcess, port: int) -> None:
    async with Origin(answer) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        names = [f"/slow-{number}" for number in range(4)]
        slow = [asyncio.create_task(read_slowly(port, name)) for name in names]
        fast = [asyncio.create_task(read_fast(port, f"/fast-{number}")) for number in range(4)]
        for name, received in zip(names, await asyncio.gather(*slow), strict=True):
            assert received == body(name.encode())
        await asyncio.gather(*fast)


async def test_a_client_that_leaves_does_not_disturb_others(worker: WorkerProcess, port: int) -> None:
    async with Origin(answer) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        for number in range(5):
            leaving = await RawClient.connect(port)
            await leaving.send(request(f"/leaving-{number}"))
            await leaving.exactly(100_000)
            leaving.reset()
            await read_fast(port, f"/staying-{number}")
