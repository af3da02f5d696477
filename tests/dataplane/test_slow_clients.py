"""Clients that read slowly, or not at all: they get all of it, hold little memory and nobody else up."""

import asyncio
import socket

import h11

from tests.support.origin import Connection, Origin
from tests.support.requests import request, tally
from tests.support.snapshots import snapshot
from tests.support.worker import WorkerProcess

SIZE = 8 << 20


def large(_connection: Connection, request: h11.Request) -> bytes:
    size = SIZE if request.target == b"/large" else 2
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size)


async def narrow(port: int) -> socket.socket:
    """Connect with a receive buffer as small as can be."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return client


async def drained(client: socket.socket, wanted: int, pause_s: float = 0.0) -> int:
    """Read until `wanted` bytes or the end; return how many came."""
    loop = asyncio.get_running_loop()
    received = 0
    async with asyncio.timeout(60):
        while received < wanted and (data := await loop.sock_recv(client, 1 << 18)):
            received += len(data)
            await asyncio.sleep(pause_s)
    return received


async def test_a_connection_that_carried_a_slow_download_serves_the_next_request(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(large) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await narrow(port)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, request("/large"))
        assert await drained(client, SIZE) >= SIZE
        async with asyncio.timeout(5):
            assert await tally(port, 3) == {"xx": 3}
        client.close()


async def test_unread_answers_stop_the_requests(worker: WorkerProcess, port: int) -> None:
    async with Origin(
        lambda _c, _r: b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000
    ) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
        one = request()
        sent = 0
        try:
            async with asyncio.timeout(5):
                while sent < 20000:
                    writer.write(one * 100)
                    sent += 100
                    await writer.drain()
        except TimeoutError:
            pass
        before = -1
        while len(origin.requests) != before:
            before = len(origin.requests)
            await asyncio.sleep(0.3)
        assert before < 1000
        received = 0
        async with asyncio.timeout(60):
            while received < sent * 20000:
                data = await reader.read(1 << 20)
                assert data
                received += len(data)
        writer.close()
