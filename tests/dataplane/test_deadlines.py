"""Every wait of the data plane ends: how, and with what said to the client."""

import asyncio

import h11
import pytest
from msgspec.structs import replace

from proxy.downstream.h1 import connection as downstream
from proxy.model.limits import Limits
from proxy.model.snapshot import Snapshot
from proxy.upstream.connections.h1 import connection as upstream
from tests.support.inprocess import serving
from tests.support.origin import Connection, Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.wire import RawClient

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def impatient(port: int, origin: Origin, seconds: float) -> Snapshot:
    """A listener that waits `seconds` for a response head."""
    whole = snapshot(port, {"c1": [origin.address]})
    return replace(whole, listeners=(replace(whole.listeners[0], response_timeout_s=seconds),))


def limited(port: int, origin: Origin, **values: float) -> Snapshot:
    return replace(snapshot(port, {"c1": [origin.address]}), limits=Limits(**values))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream, "CHECK_S", 0.1)


async def test_a_head_that_trickles_has_its_time_in_all(port: int) -> None:
    async with Origin() as origin, serving(limited(port, origin, head_timeout_s=1.0)):
        client = await RawClient.connect(port)
        await client.send(request())  # on a connection that has been used, too
        await client.response()
        started = asyncio.get_running_loop().time()
        for _ in range(30):
            await client.send(b"GET / HTTP/1.1\r\nX: " if _ == 0 else b"x")
            if not await client.silent_for(0.1):
                break
        assert (await client.response())[0] == 408
        assert asyncio.get_running_loop().time() - started < 2
        assert origin.requests[1:] == []
        await client.close()


async def test_without_a_response_timeout_an_answer_is_waited_for(port: int) -> None:
    silent = asyncio.Event()

    def answer(connection: Connection, _request: object) -> bytes:
        assert connection.transport is not None
        asyncio.get_running_loop().call_later(1.0, connection.transport.write, HEAD % 2 + b"ok")
        silent.set()
        return b""

    async with Origin(answer) as origin, serving(impatient(port, origin, 0)):
        client = await RawClient.connect(port)
        await client.send(request())
        await silent.wait()
        assert (await client.response())[0] == 200
        await client.close()


async def test_an_endpoint_without_an_answer_is_504(port: int) -> None:
    async with Origin(lambda _c, _r: b"") as origin, serving(impatient(port, origin, 0.3)):
        client = await RawClient.connect(port)
        await client.send(request())
        assert (await client.response())[0] == 504
        await client.close()


async def test_once_the_head_is_there_the_body_has_a_time_of_its_own(port: int) -> None:
    async with Origin(lambda _c, _r: HEAD % 2) as origin, serving(impatient(port, origin, 0.3)):
        client = await RawClient.connect(port)
        await client.send(request())
        async with asyncio.timeout(5):
            await origin.answered.wait()
        await asyncio.sleep(0.8)
        transport = origin.connections[0].transport
        assert transport is not None
        transport.write(b"ok")
        assert (await client.response())[2] == b"ok"
        await client.close()


async def test_a_body_that_stops_cuts_the_response(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(upstream, "STREAM_IDLE_S", 0.3)
    async with (
        Origin(lambda _c, _r: HEAD % 9 + b"x") as origin,
        serving(snapshot(port, {"c1": [origin.address]})) as plane,
    ):
        client = await RawClient.connect(port)
        await client.send(request())
        assert (await client.until_closed()).endswith(b"\r\n\r\nx")
        assert [e.in_flight for e in plane.upstream.services.endpoints()] == [0]
        await client.close()


@pytest.mark.parametrize("answered", [False, True])
async def test_an_upload_that_stops_is_408_unless_the_answer_has_begun(port: int, answered: bool) -> None:
    async with Origin() as origin, serving(limited(port, origin, body_idle_timeout_s=0.5)):
        client = await RawClient.connect(port)
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        if answered:
            async with asyncio.timeout(5):
                while not origin.received.endswith(b"x"):
                    await asyncio.sleep(0.01)
            transport = origin.connections[0].transport
            assert transport is not None
            transport.write(HEAD % 1000 + b"x")
        got = await client.until_closed()
        assert (b" 408 " in got) is not answered
        assert (b" 200 " in got) is answered
        await client.close()


@pytest.mark.parametrize("framing", ["Content-Length: 999", "Transfer-Encoding: chunked"])
async def test_an_upload_that_trickles_is_408(port: int, framing: str) -> None:
    slow = {"min_body_rate": 1000, "min_body_rate_grace_s": 0.5}
    async with Origin() as origin, serving(limited(port, origin, **slow)):
        client = await RawClient.connect(port)
        await client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())
        started = asyncio.get_running_loop().time()
        for _ in range(100):
            await client.send(b"1\r\nx\r\n")
            if not await client.silent_for(0.1):
                break
        assert (await client.response())[0] == 408
        assert 0.4 < asyncio.get_running_loop().time() - started < 4
        assert origin.requests == []
        await client.close()


async def test_an_upload_has_its_time_in_all_however_steadily_it_comes(port: int) -> None:
    async with Origin() as origin, serving(limited(port, origin, request_timeout_s=0.5, min_body_rate=0)):
        client = await RawClient.connect(port)
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n")
        started = asyncio.get_running_loop().time()
        for _ in range(100):
            await client.send(b"x" * 5)
            if not await client.silent_for(0.1):
                break
        assert (await client.response())[0] == 408
        assert asyncio.get_running_loop().time() - started < 4
        assert origin.requests == []
        await client.close()


@pytest.mark.parametrize(
    ("framing", "body", "status"),
    [
        ("Content-Length: 10", b"x" * 10, 200),
        ("Content-Length: 11", b"", 413),
        ("Transfer-Encoding: chunked", b"a\r\n0123456789\r\n0\r\n\r\n", 200),
        ("Transfer-Encoding: chunked", b"b\r\n0123456789x\r\n0\r\n\r\n", 413),
    ],
)
async def test_a_body_is_as_large_as_it_may_be(port: int, framing: str, body: bytes, status: int) -> None:
    async with Origin() as origin, serving(limited(port, origin, max_body_bytes=10)):
        client = await RawClient.connect(port)
        await client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode(), body)
        assert (await client.response())[0] == status
        assert len(origin.requests) == (status == 200)
        await client.close()


async def test_an_upload_as_fast_as_it_must_be_is_served(port: int) -> None:
    slow = {"min_body_rate": 100, "min_body_rate_grace_s": 0.5}
    async with Origin() as origin, serving(limited(port, origin, **slow)):
        client = await RawClient.connect(port)
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(20):
            await client.send(b"x" * 50)
            await asyncio.sleep(0.1)
        assert (await client.response())[0] == 200
        await client.close()


async def test_an_endpoint_that_reads_late_is_not_the_clients_fault(port: int) -> None:
    size = 24 << 20

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1.5)
        left = size
        while left:
            left -= len(await reader.read(1 << 20))
        writer.write(HEAD % 2 + b"ok")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    plain = snapshot(port, {"c1": [server.sockets[0].getsockname()]})
    async with serving(replace(plain, limits=Limits(body_idle_timeout_s=0.3))):
        client = await RawClient.connect(port)
        sending = asyncio.ensure_future(client.send(request("/", "POST", b"x" * size)))
        assert (await client.response())[0] == 200
        await sending
        await client.close()
    server.close()


async def test_a_client_that_reads_nothing_is_dropped_in_the_end(
    monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(downstream, "STALL_S", 0.5)
    body = b"x" * (16 << 20)

    def answer(_connection: Connection, _request: h11.Request) -> bytes:
        return HEAD % len(body) + body

    async with Origin(answer) as origin, serving(snapshot(port, {"c1": [origin.address]})) as plane:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(request())
        async with asyncio.timeout(5):
            while not origin.connections:
                await asyncio.sleep(0.01)
            await origin.connections[0].lost.wait()
        assert [e.in_flight for e in plane.upstream.services.endpoints()] == [0]
        writer.close()
        del reader
