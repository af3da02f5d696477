"""WebSocket tunnels: what goes in on one side comes out on the other, whoever speaks or closes first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from proxy.model.limits import Limits
from tests.support.snapshots import snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

DEFAULTS = Limits()

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def endpoint(
    worker: WorkerProcess, port: int, serve: Serve, *, limits: Limits = DEFAULTS
) -> AsyncIterator[None]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    plain = snapshot(port, {"c1": [server.sockets[0].getsockname()]})
    await worker.apply(replace(plain, limits=limits))
    try:
        yield
    finally:
        server.close()


async def nothing_in_flight(worker: WorkerProcess) -> None:
    async with asyncio.timeout(5):
        while any(e.in_flight for e in (await worker.stats()).endpoints):
            await asyncio.sleep(0.02)


async def test_bytes_behind_the_handshake_reach_the_endpoint_first(worker: WorkerProcess, port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(SWITCHED)
        writer.write(await reader.readexactly(100_005))

    async with endpoint(worker, port, serve):
        client = await RawClient.connect(port)
        await client.send(UPGRADE + b"first")
        await client.send(b"x" * 100_000)
        assert (await client.response())[0] == 101
        assert await client.exactly(100_005) == b"first" + b"x" * 100_000
        assert await client.until_closed() == b""
        await client.close()
        await nothing_in_flight(worker)


@pytest.mark.parametrize("early", [False, True])
async def test_a_client_that_closes_its_side_still_hears_the_endpoint(
    worker: WorkerProcess, port: int, early: bool
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if early:
            await asyncio.sleep(0.2)
        writer.write(SWITCHED)
        said = await reader.read()  # to the end
        writer.write(b"you said %d bytes" % len(said))

    async with endpoint(worker, port, serve):
        client = await RawClient.connect(port)
        await client.send(UPGRADE)
        if not early:
            assert (await client.response())[0] == 101
        await client.send(b"x" * 1_000_000)
        client.finish()
        if early:
            assert (await client.response())[0] == 101
        assert await client.until_closed() == b"you said 1000000 bytes"
        await client.close()
        await nothing_in_flight(worker)


async def test_the_last_words_of_an_endpoint_are_heard(worker: WorkerProcess, port: int) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED + b"x" * 4_000_000)

    async with endpoint(worker, port, serve):
        client = await RawClient.connect(port)
        await client.send(UPGRADE)
        assert (await client.response())[0] == 101
        await asyncio.sleep(0.3)
        assert len(await client.until_closed()) == 4_000_000
        await client.close()
        await nothing_in_flight(worker)


async def test_a_side_that_does_not_read_stops_the_other(worker: WorkerProcess, port: int) -> None:
    read_on = asyncio.Event()
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        writer.write(SWITCHED)
        await read_on.wait()
        while data := await reader.read(1 << 18):
            received += len(data)

    async with endpoint(worker, port, serve):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.set_write_buffer_limits(1 << 16)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        sent = 0
        try:
            while sent < 64 << 20:
                writer.write(b"x" * 65536)
                sent += 65536
                async with asyncio.timeout(1):
                    await writer.drain()
        except TimeoutError:
            pass
        assert sent < 32 << 20
        read_on.set()
        writer.write_eof()
        assert await reader.read() == b""
        assert received == sent
        writer.close()


@pytest.mark.parametrize("who", ["client", "endpoint"])
async def test_a_reset_on_one_side_ends_the_other(worker: WorkerProcess, port: int, who: str) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED)
        await writer.drain()
        if who == "endpoint":
            await reader.read(1)
            writer.transport.abort()
            return
        try:
            while await reader.read(100):
                pass
        finally:
            ended.set()

    async with endpoint(worker, port, serve):
        client = await RawClient.connect(port)
        await client.send(UPGRADE)
        assert (await client.response())[0] == 101
        if who == "endpoint":
            await client.send(b"x")
            assert await client.until_closed() == b""
        else:
            client.reset()
            async with asyncio.timeout(5):
                await ended.wait()
        await client.close()
        await nothing_in_flight(worker)
