"""A client that has closed its side and gets nothing for a second is given up, at its endpoint, too.

A half-closed client that reads keeps its answers (tests of `test_relay`, too); a RST ends a request at once.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic

import h11
import pytest
import pytest_asyncio
from msgspec.structs import replace

from proxy.model.actions import FixedResponse
from proxy.model.limits import Limits
from proxy.model.policies import ConcurrencyLimit, Mirror, Policies
from tests.support.kernel import unread_bytes
from tests.support.origin import Connection, Origin, ok
from tests.support.policies import policed, to
from tests.support.requests import request
from tests.support.snapshots import route, snapshot, split
from tests.support.waiting import until, until_async
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
OWN_PATH = b"GET /mine HTTP/1.1\r\nHost: a\r\n\r\n"


def silent(_connection: Connection, _request: h11.Request) -> bytes:
    return b""


def quiet_stream(_connection: Connection, _request: h11.Request) -> bytes:
    return STREAM


def silent_but_for(path: bytes) -> Callable[[Connection, h11.Request], bytes]:
    return lambda connection, request: ok(connection, request) if request.target == path else b""


async def lost_after(origin: Origin, start: float, place: int = 0) -> float:
    """Return how long after `start` (monotonic) the gateway has ended a connection to the endpoint."""
    async with asyncio.timeout(10):
        await origin.connections[place].lost.wait()
    return monotonic() - start


async def nothing_in_flight(worker: WorkerProcess) -> None:
    async def is_idle() -> bool:
        return not any(endpoint.in_flight for endpoint in (await worker.stats()).endpoints)

    await until_async(is_idle, 5, "no request in flight")


@pytest_asyncio.fixture
async def plain(worker: WorkerProcess, port: int) -> AsyncIterator[Origin]:
    """An endpoint that answers nothing, behind a listener without a response timeout."""
    async with Origin(silent) as origin:
        whole = snapshot(port, {"c1": [origin.address]})
        listener = replace(whole.listeners[0], response_timeout_s=0.0)
        await worker.apply(replace(whole, listeners=(listener,)))
        yield origin


@pytest.mark.parametrize(
    "raw",
    [
        request(),
        request(method="POST", body=b"order"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\norder\r\n0\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        request() + request("/behind"),
    ],
    ids=["get", "post", "chunked", "1.0", "pipelined"],
)
@pytest.mark.parametrize("way", ["shutdown", "close"])
async def test_a_request_whose_client_closed_is_given_up_a_second_later(
    worker: WorkerProcess, port: int, plain: Origin, raw: bytes, way: str
) -> None:
    client = await RawClient.connect(port)
    await client.send(raw)
    await until(lambda: plain.requests)
    closed = monotonic()
    if way == "close":
        await client.close()
    else:
        client.finish()
    assert 0.95 <= await lost_after(plain, closed) <= 2.0
    if way == "shutdown":
        assert await client.until_closed() == b""
        await client.close()
    await nothing_in_flight(worker)
    assert len(plain.requests) == 1
    stats = await worker.stats()
    assert [(r.flag, r.code_class, r.count) for r in stats.requests] == [("DC", "4xx", 1)]
    assert stats.attempts == ()  # it says nothing about the endpoint


async def test_the_log_line_of_a_client_that_closed_says_499(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker, Origin(silent) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request())
        await until(lambda: origin.requests)
        await client.close()
        await until(lambda: path.exists() and path.read_bytes().endswith(b"\n"), 5)
        line = json.loads(path.read_bytes())
        assert (line["status"], line["flag"]) == (499, "DC")
        assert 1000 <= line["dur_ms"] < 2000


async def test_a_half_closed_client_gets_an_answer_within_the_second(
    worker: WorkerProcess, port: int
) -> None:
    def late(connection: Connection, request: h11.Request) -> bytes:
        assert connection.transport is not None
        loop = asyncio.get_running_loop()
        loop.call_later(0.8, connection.transport.write, ok(connection, request))
        return b""

    async with Origin(late) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        for version in (b"1.0", b"1.1"):
            client = await RawClient.connect(port)
            await client.send(b"GET /late HTTP/%b\r\nHost: a\r\n\r\n" % version)
            client.finish()
            assert (await client.until_closed()).endswith(b"\r\n\r\n/late")
            await client.close()


async def test_each_pipelined_request_of_a_half_closed_client_has_its_own_second(
    worker: WorkerProcess, port: int
) -> None:
    def late(connection: Connection, request: h11.Request) -> bytes:
        assert connection.transport is not None
        if request.target != b"/never":
            loop = asyncio.get_running_loop()
            loop.call_later(0.6, connection.transport.write, ok(connection, request))
        return b""

    async with Origin(late) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        paths = ["/a", "/b", "/c", "/never", "/behind"]
        await client.send(b"".join(map(request, paths)))
        client.finish()
        for path in paths[:3]:
            assert (await client.response())[2] == path.encode()
        answered = monotonic()
        assert await client.until_closed() == b""
        assert 0.95 <= monotonic() - answered <= 2.0
        assert [r.target for r, _ in origin.requests] == [path.encode() for path in paths[:4]]
        await client.close()


async def test_a_quiet_stream_to_a_client_that_closed_is_given_up(worker: WorkerProcess, port: int) -> None:
    async with Origin(quiet_stream) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request())
        assert await client.chunk() == b"first"
        closed = monotonic()
        client.finish()
        assert 0.95 <= await lost_after(origin, closed) <= 2.0
        assert await client.until_closed() == b""  # and no last chunk: it is not whole
        await client.close()
        await nothing_in_flight(worker)


async def test_a_half_closed_client_gets_all_of_a_stream_that_goes_on(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(quiet_stream) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request())
        assert await client.chunk() == b"first"
        client.finish()
        transport = origin.connections[0].transport
        assert transport is not None
        for _ in range(5):
            await asyncio.sleep(0.5)
            transport.write(b"4\r\nmore\r\n")
            assert await client.chunk() == b"more"
        transport.write(b"0\r\n\r\n")
        assert await client.until_closed() == b"0\r\n\r\n"
        await client.close()


async def test_a_half_closed_client_that_reads_slowly_gets_all_of_its_download(
    worker: WorkerProcess, port: int
) -> None:
    size = 8 << 20
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with Origin(lambda _c, _r: wire) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 14)
        writer.write(request())
        writer.write_eof()
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(2.5)  # it reads nothing for longer than the second, and then slowly
        received = 0
        async with asyncio.timeout(20):
            while data := await reader.read(1 << 20):
                received += len(data)
                await asyncio.sleep(0.001)
        assert received == size
        writer.close()


async def test_a_fin_behind_bytes_that_are_not_read_is_seen(
    worker: WorkerProcess, port: int, plain: Origin
) -> None:
    client = await RawClient.connect(port)
    await client.send(request())
    await until(lambda: plain.requests)
    await client.send(request("/behind") * 2500)  # more than the gateway reads while the first one waits
    closed = monotonic()
    client.finish()
    assert 0.95 <= await lost_after(plain, closed) <= 2.5
    assert await client.until_closed() == b""
    await client.close()
    await nothing_in_flight(worker)
    assert len(plain.requests) == 1


async def test_a_rst_behind_bytes_that_are_not_read_is_seen(
    worker: WorkerProcess, port: int, plain: Origin
) -> None:
    client = await RawClient.connect(port)
    await client.send(request())
    await until(lambda: plain.requests)
    await client.send(request("/behind") * 2500)
    client.reset()
    assert await lost_after(plain, monotonic()) <= 2.5  # a second; a client that vanishes has 60 s
    await nothing_in_flight(worker)


async def test_a_rst_after_the_fin_ends_the_request_at_once(
    worker: WorkerProcess, port: int, plain: Origin
) -> None:
    client = await RawClient.connect(port)
    await client.send(request())
    await until(lambda: plain.requests)
    client.finish()
    await asyncio.sleep(0.2)
    client.reset()
    assert await lost_after(plain, monotonic()) <= 0.6
    await nothing_in_flight(worker)


async def upload_until_it_is_not_read(client: RawClient, port: int) -> None:
    """Send chunks until one stays in the gateway's kernel, where a FIN finds room behind it."""
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    for _ in range(1000):
        await client.send(chunk)
        try:
            await until(lambda: not unread_bytes(port, client.port), 0.5)
        except AssertionError:
            return
    raise AssertionError("the endpoint takes everything")


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_fin_behind_an_upload_that_the_endpoint_does_not_take_is_seen(
    worker: WorkerProcess, port: int, is_whole: bool
) -> None:
    ended = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            while True:  # a write tells that the connection is gone
                writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.1)
        except ConnectionError:
            ended.set()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await worker.apply(snapshot(port, {"c1": [server.sockets[0].getsockname()]}))
    client = await RawClient.connect(port)
    await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await upload_until_it_is_not_read(client, port)
    if is_whole:
        await client.send(b"0\r\n\r\n")
    client.finish()
    async with asyncio.timeout(10):
        await ended.wait()
    await client.close()
    await nothing_in_flight(worker)
    server.close()


async def test_clients_that_left_leave_the_connections_of_a_service_to_others(
    worker: WorkerProcess, port: int
) -> None:
    """The case of 1,060 clients, in small: 12 of them, at a service that may have 8 connections."""
    async with Origin(silent_but_for(b"/mine")) as origin:
        whole = snapshot(port, {"c1": [origin.address]})
        limits = Limits(max_upstream_connections=8, max_upstream_pending=2)
        await worker.apply(replace(whole, limits=limits))
        for _ in range(12):
            client = await RawClient.connect(port)
            await client.send(request())
            await client.close()
        await until(lambda: len(origin.requests) == 8)
        left = monotonic()

        async def is_served() -> bool:
            client = await RawClient.connect(port)
            await client.send(OWN_PATH)
            status = (await client.final_response())[0]
            await client.close()
            return status == 200

        await until_async(is_served, 5, "a connection for somebody else")
        assert monotonic() - left < 2.5
        await nothing_in_flight(worker)
        assert sum(not each.lost.is_set() for each in origin.connections) == 1


async def is_alone(worker: WorkerProcess) -> bool:
    """Whether one request is in flight."""
    return sum(endpoint.in_flight for endpoint in (await worker.stats()).endpoints) == 1


async def test_a_request_that_waits_for_a_connection_is_taken_out(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent) as origin:
        whole = snapshot(port, {"c1": [origin.address]})
        limits = Limits(max_upstream_connections=1, max_upstream_pending=1)
        await worker.apply(replace(whole, limits=limits))
        holder = await RawClient.connect(port)
        await holder.send(request())
        await until(lambda: origin.requests)
        leaver = await RawClient.connect(port)
        await leaver.send(request("/left"))
        await asyncio.sleep(0.2)
        leaver.reset()
        await until_async(lambda: is_alone(worker), 5.0, "the request of the client that left is over")
        follower = await RawClient.connect(port)
        await follower.send(OWN_PATH)
        await asyncio.sleep(0.1)
        origin.answer = ok
        assert origin.connections[0].transport is not None
        origin.connections[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert (await follower.final_response())[2] == b"/mine"
        assert [r.target for r, _ in origin.requests] == [b"/", b"/mine"]
        await holder.close()
        await follower.close()


async def test_a_client_that_left_gives_its_concurrency_slot_back(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent_but_for(b"/mine")) as origin:
        one = replace(
            route(port), policies=Policies(concurrency=ConcurrencyLimit(2, FixedResponse(503, "later")))
        )
        await worker.apply(snapshot(port, {"c1": [origin.address]}, one))
        for _ in range(2):
            client = await RawClient.connect(port)
            await client.send(request())
            await client.close()
        await until(lambda: len(origin.requests) == 2)

        async def is_served() -> bool:
            client = await RawClient.connect(port)
            await client.send(OWN_PATH)
            status = (await client.final_response())[0]
            await client.close()
            return status == 200

        assert not await is_served()
        await until_async(is_served, 5, "a slot for somebody else")


async def test_the_copy_for_a_mirror_ends_with_its_client(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent) as origin, Origin(silent) as other:
        policies = Policies(mirror=Mirror(to(2), split()))
        await worker.apply(policed(port, origin, other, policies=policies))
        client = await RawClient.connect(port)
        await client.send(request())
        await until(lambda: origin.requests and other.requests)
        await client.close()
        await lost_after(origin, monotonic())
        await lost_after(other, monotonic())
        await nothing_in_flight(worker)
        assert {(m.outcome, m.count) for m in (await worker.stats()).mirrors} == {("cancelled", 1)}


@pytest.mark.parametrize("is_answered", [True, False])
async def test_requests_that_wait_for_their_client_to_read_are_answered_after_its_fin(
    worker: WorkerProcess, port: int, is_answered: bool
) -> None:
    count, body = 400, b"x" * 60_000
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def answer(_connection: Connection, request: h11.Request) -> bytes:
        return wire if request.target == b"/" else b""

    async with Origin(answer) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 14)
        writer.write(request() * count + (b"" if is_answered else request("/never")))
        await reader.readuntil(b"\r\n")
        asked = 0
        while asked < len(origin.requests):  # until answers fill all the buffers
            asked = len(origin.requests)
            await asyncio.sleep(0.3)
        await nothing_in_flight(worker)
        assert asked < count
        writer.write_eof()
        await asyncio.sleep(1.5)
        received = 0
        async with asyncio.timeout(20):
            while data := await reader.read(1 << 20):
                received += len(data)
        assert len(origin.requests) == count + (not is_answered)
        assert received > count * len(body)
        writer.close()
        await nothing_in_flight(worker)
