"""A client whose machine is gone without FIN or RST is found, wherever its connection stands."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import pytest

from proxy.downstream import presence
from proxy.downstream.h1 import connection as downstream
from proxy.model.limits import Limits
from tests.dataplane.test_tunnels import SWITCHED, UPGRADE, endpoint, nothing_in_flight
from tests.support.blackhole import restore, silence
from tests.support.inprocess import serving
from tests.support.kernel import keepalive_in_s
from tests.support.origin import Connection, Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (32 << 20)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second without an acknowledgement, or one unanswered keepalive probe, is enough."""
    monkeypatch.setattr(downstream, "CHECK_S", 0.1)
    monkeypatch.setattr(presence, "VANISHED_S", 1.0)
    probes = ((socket.IPPROTO_TCP, option, 1) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL))
    monkeypatch.setattr(
        presence,
        "KEEPALIVE",
        (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            *probes,
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 1),
        ),
    )


@asynccontextmanager
async def narrow(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, socket.socket]]:
    """A client that reads up to 4 KiB, whatever comes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
    writer.write(request())
    yield reader, connection
    writer.transport.abort()


async def lost(origin: Origin, deadline_s: float = 8.0) -> None:
    async with asyncio.timeout(deadline_s):
        await origin.connections[0].lost.wait()


async def test_in_the_middle_of_a_download(port: int, quick: None) -> None:
    async with (
        Origin(lambda _c, _r: LARGE + b"x" * (32 << 20)) as origin,
        serving(snapshot(port, {"c1": [origin.address]})),
        narrow(port) as (reader, connection),
    ):
        await reader.readexactly(4096)
        silence(connection)
        await lost(origin)


async def test_between_two_events_of_a_stream(port: int, quick: None) -> None:
    def stream(connection: Connection, _request: h11.Request) -> bytes:
        assert connection.transport is not None
        asyncio.get_running_loop().call_later(0.5, connection.transport.write, b"4\r\nmore\r\n")
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"

    async with Origin(stream) as origin, serving(snapshot(port, {"c1": [origin.address]})):
        client = await RawClient.connect(port)
        await client.send(request())
        assert await client.chunk() == b"first"
        silence(client.socket)
        await lost(origin)
        client.reset()
        await client.close()


async def test_while_its_request_waits(port: int, quick: None) -> None:
    async with Origin(lambda _c, _r: b"") as origin, serving(snapshot(port, {"c1": [origin.address]})):
        client = await RawClient.connect(port)
        await client.send(request())
        await until(lambda: origin.requests)
        silence(client.socket)
        await lost(origin)
        client.reset()
        await client.close()


async def test_while_its_request_waits_and_is_not_read_from(port: int, quick: None) -> None:
    async with Origin(lambda _c, _r: b"") as origin, serving(snapshot(port, {"c1": [origin.address]})):
        client = await RawClient.connect(port)
        await client.send(request() + request("/behind") * 2500)
        await until(lambda: origin.requests)
        silence(client.socket)
        await lost(origin)
        client.reset()
        await client.close()


async def test_with_a_tunnel_that_is_quiet(port: int, quick: None) -> None:
    async with Origin(lambda _c, _r: SWITCHED) as origin, serving(snapshot(port, {"c1": [origin.address]})):
        client = await RawClient.connect(port)
        await client.send(UPGRADE)
        assert (await client.response())[0] == 101
        silence(client.socket)
        await lost(origin)
        client.reset()
        await client.close()


async def test_a_client_that_does_not_read_is_not_taken_for_one(port: int, quick: None) -> None:
    size = 32 << 20
    async with (
        Origin(lambda _c, _r: LARGE + b"x" * size) as origin,
        serving(snapshot(port, {"c1": [origin.address]})),
        narrow(port) as (reader, connection),
    ):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(5)  # its kernel has to be asked several times whether there is room
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        received = 0
        async with asyncio.timeout(60):
            while received < size and (data := await reader.read(1 << 20)):
                received += len(data)
        assert received == size


async def test_a_network_that_is_away_for_a_moment_costs_nothing(
    port: int, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "VANISHED_S", 5.0)
    size = 32 << 20
    async with (
        Origin(lambda _c, _r: LARGE + b"x" * size) as origin,
        serving(snapshot(port, {"c1": [origin.address]})),
        narrow(port) as (reader, connection),
    ):
        await reader.readexactly(4096)
        silence(connection)
        await asyncio.sleep(1.5)
        restore(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        received = 4096
        async with asyncio.timeout(60):
            while received < size and (data := await reader.read(1 << 20)):
                received += len(data)
        assert received > size


async def test_the_kernel_is_told_to_ask_clients_that_are_quiet(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request())
        await client.response()
        await until(lambda: 0 < keepalive_in_s(port, client.port) <= 60, 5)
        await client.close()


async def test_a_tunnel_that_carries_nothing_is_closed_on_both_sides(
    worker: WorkerProcess, port: int
) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED)
        await reader.read()
        ended.set()

    async with endpoint(worker, port, serve, limits=Limits(tunnel_idle_timeout_s=1.5)):
        client = await RawClient.connect(port)
        await client.send(UPGRADE)
        assert (await client.response())[0] == 101
        for _ in range(6):  # it is in use for twice as long as it may be idle
            await asyncio.sleep(0.5)
            await client.send(b"x")
        assert not ended.is_set()
        assert await client.until_closed() == b""
        async with asyncio.timeout(5):
            await ended.wait()
        await client.close()
        await nothing_in_flight(worker)
        assert [(r.code_class, r.flag) for r in (await worker.stats()).requests] == [("1xx", "SI")]
