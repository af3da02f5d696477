"""One turn of the event loop does a bounded amount of work, whatever one peer sends in one piece."""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
import uvloop

import proxy.backlog
import proxy.upstream.connections.h1.connection
from loadtest.ports import free_port
from proxy.backlog import Backlog
from proxy.dataplane import DataPlane
from proxy.downstream.h1.stream import Http1Stream
from proxy.http.chunked import ChunkDecoder
from proxy.model.actions import Action, Backend, FixedResponse, Forward, Redirect
from proxy.model.policies import Access, Policies, RateLimit
from proxy.model.snapshot import Snapshot
from proxy.request.exchange import Exchange
from tests.dataplane.conftest import Connect
from tests.support.inprocess import serving
from tests.support.origin import Connection, Origin
from tests.support.policies import policed
from tests.support.requests import request
from tests.support.snapshots import route, snapshot, split
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

MESSAGES = 100
CHUNKS = 2000
"""More than one connection may bring in a turn, and far fewer than what the tests send."""
TINY = b"1\r\na\r\n"
LOOPS = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
Loop = Callable[[], asyncio.AbstractEventLoop]


def run(loop: Loop, test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test)


class Turns:
    """Counts what happens in each turn of the loop."""

    def __init__(self) -> None:
        self.number = 0
        self.work: Counter[int] = Counter()

    def note(self, amount: int) -> None:
        self.work[self.number] += amount

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._count())
        try:
            yield
        finally:
            task.cancel()

    async def _count(self) -> None:
        while True:
            self.number += 1
            await asyncio.sleep(0)

    @property
    def most(self) -> int:
        return max(self.work.values())

    @property
    def total(self) -> int:
        return sum(self.work.values())


def limited() -> Policies:
    return Policies(rate_limits=(RateLimit(1, FixedResponse(429, "slow down\n"), per_s=3600),))


OWN: dict[str, tuple[Action | None, Policies | None, str]] = {
    "404": (None, None, "/nothing"),
    "403": (None, Policies(access=Access(deny=("127.0.0.0/8",))), "/"),
    "301": (Redirect(301, path="/elsewhere"), None, "/"),
    "200": (FixedResponse(200, "here"), None, "/"),
    "429": (None, limited(), "/"),
    "503": (Forward((Backend("demo/nobody:80"),), split()), None, "/"),
}


def answering(port: int, kind: str, origin: Origin) -> Snapshot:
    action, policies, _ = OWN[kind]
    made = policed(port, origin, action=action, policies=policies)
    if kind == "404":
        return snapshot(port, {"c1": [origin.address]}, route(port, "/there"))
    return made


@LOOPS
@pytest.mark.parametrize("kind", OWN)
def test_pipelined_requests_are_answered_a_few_per_turn(
    loop: Loop, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection gets its answer long before the last one of them has its own."""
    turns = Turns()
    respond = Http1Stream.respond

    def counting(self: Any, *arguments: Any, **options: Any) -> None:
        turns.note(1)
        respond(self, *arguments, **options)

    monkeypatch.setattr(Http1Stream, "respond", counting)

    async def test() -> None:
        port, count = free_port(), 1500
        async with Origin() as origin, serving(answering(port, kind, origin)), turns.counted():
            if kind == "429":
                first = await RawClient.connect(port)
                await first.send(request())
                await first.response()
                await first.close()
            hostile, other = await RawClient.connect(port), await RawClient.connect(port)
            asked = request(OWN[kind][2])
            await hostile.send(asked * count)
            await other.send(asked)
            assert (await other.response())[0] == int(kind)
            assert turns.total < count / 2
            for _ in range(count):
                assert (await hostile.response())[0] == int(kind)
            await hostile.close()
            await other.close()

    run(loop, test())
    assert turns.most <= MESSAGES


def spy_on_chunks(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = ChunkDecoder.feed

    def counting(self: ChunkDecoder, *arguments: Any) -> bytes:
        payload = feed(self, *arguments)
        turns.note(len(payload))
        return payload

    monkeypatch.setattr(ChunkDecoder, "feed", counting)


@LOOPS
@pytest.mark.parametrize("chunk", [TINY, b"00000000001\r\na\r\n", b"1;a\r\na\r\n"])
def test_a_request_body_in_tiny_chunks_is_decoded_a_few_per_turn(
    loop: Loop, chunk: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns()
    count = 1000 if b";" in chunk else 20_000
    spy_on_chunks(turns, monkeypatch)

    async def test() -> None:
        port = free_port()
        async with Origin() as origin, serving(snapshot(port, {"c1": [origin.address]})), turns.counted():
            client, other = await RawClient.connect(port), await RawClient.connect(port)
            head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            await client.send(head + chunk * count + b"0\r\n\r\n" + request("/next"))
            await other.send(request("/other"))
            assert (await other.response())[2] == b"/other"
            assert (await client.response())[2] == b"/"
            assert (await client.response())[2] == b"/next"
            bodies = {asked.target: len(body) for asked, body in origin.requests}
            assert bodies == {b"/": count, b"/next": 0, b"/other": 0}
            await client.close()
            await other.close()

    run(loop, test())
    assert turns.total == count
    assert turns.most <= CHUNKS


@LOOPS
@pytest.mark.parametrize("chunk", [TINY, b"00000000001\r\na\r\n"])
@pytest.mark.parametrize("ends", [True, False])
def test_a_response_body_in_tiny_chunks_is_decoded_a_few_per_turn(
    loop: Loop, chunk: bytes, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns()
    count = 20_000
    spy_on_chunks(turns, monkeypatch)

    def answer(_connection: Connection, asked: h11.Request) -> bytes:
        if asked.target == b"/other":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
        last = b"0\r\n\r\n" if ends else b""
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * count + last

    async def test() -> None:
        port = free_port()
        async with (
            Origin(answer) as origin,
            serving(snapshot(port, {"c1": [origin.address]})),
            turns.counted(),
        ):
            client, other = await RawClient.connect(port), await RawClient.connect(port)
            await client.send(request("/large"))
            await other.send(request("/other"))
            assert (await other.response())[2] == b"other"
            if ends:
                for _ in range(2):
                    assert (await client.response())[2] == b"a" * count
                    await client.send(request("/large"))
            else:
                received = 0
                while received < count:
                    received += len(await client.chunk())
            await client.close()
            await other.close()

    run(loop, test())
    assert turns.total >= count
    assert turns.most <= CHUNKS


@LOOPS
def test_interim_responses_are_relayed_a_few_per_turn(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    count = 3000
    relay = Exchange.on_informational

    def counting(self: Exchange, *arguments: Any) -> None:
        turns.note(1)
        relay(self, *arguments)

    monkeypatch.setattr(Exchange, "on_informational", counting)

    def answer(_connection: Connection, _request: h11.Request) -> bytes:
        return b"HTTP/1.1 103 E\r\nX: y\r\n\r\n" * count + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    async def test() -> None:
        port = free_port()
        async with (
            Origin(answer) as origin,
            serving(snapshot(port, {"c1": [origin.address]})),
            turns.counted(),
        ):
            client = await RawClient.connect(port)
            await client.send(request() + request())
            for _ in range(2):
                for _ in range(count):
                    assert (await client.response())[0] == 103
                assert (await client.response())[2] == b"ok"
            await client.close()

    run(loop, test())
    assert turns.total == 2 * count
    assert turns.most <= MESSAGES


async def test_endless_interim_responses_end_with_502(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy.upstream.connections.h1.connection, "MAX_INTERIM", 50)

    def answer(_connection: Connection, _request: h11.Request) -> bytes:
        return b"HTTP/1.1 102 P\r\n\r\n" * 51

    async with Origin(answer) as origin, serving(snapshot(port, {"c1": [origin.address]})):
        client = await RawClient.connect(port)
        await client.send(request())
        for _ in range(50):
            assert (await client.response())[0] == 102
        assert (await client.response())[0] == 502
        await client.close()


def test_a_client_that_half_closes_behind_many_requests_gets_all_answers() -> None:
    async def test() -> None:
        port, count = free_port(), 1500
        async with Origin() as origin, serving(answering(port, "200", origin)):
            client = await RawClient.connect(port)
            await client.send(request() * count)
            client.finish()
            assert (await client.until_closed()).count(b"HTTP/1.1 200 ") == count
            await client.close()

    run(uvloop.new_event_loop, test())


def test_a_request_that_closes_is_the_last_that_is_answered() -> None:
    async def test() -> None:
        port = free_port()
        async with Origin() as origin, serving(answering(port, "200", origin)):
            client = await RawClient.connect(port)
            closing = request(extra="Connection: close\r\n")
            await client.send(request() * 100 + closing + request() * 100)
            assert (await client.until_closed()).count(b"HTTP/1.1 200 ") == 101
            await client.close()

    run(uvloop.new_event_loop, test())


@LOOPS
def test_a_client_that_sends_one_request_at_a_time_never_waits_for_a_flood(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its requests is answered within a few turns, also the second one and all that follow."""
    turns = Turns()
    monkeypatch.setattr(Backlog, "is_over", lambda _self: True)
    monkeypatch.setattr(proxy.backlog, "FREE", -1)
    monkeypatch.setattr(proxy.backlog, "SLICE_S", 0.0)  # one connection per turn

    async def test() -> None:
        port = free_port()
        async with Origin() as origin, serving(answering(port, "200", origin)) as plane, turns.counted():
            plane.backlog.left = -1
            flood = [await RawClient.connect(port) for _ in range(40)]
            other = await RawClient.connect(port)
            for client in flood:
                await client.send(request() * 1000)
            waited: list[int] = []
            for _ in range(20):
                before = turns.number
                await other.send(request())
                assert (await other.response())[0] == 200
                waited.append(turns.number - before)
            for client in (*flood, other):
                await client.close()
            assert max(waited[1:]) < 20, waited  # with the first one, the flood is new, too

    run(loop, test())


# Every turn is over at once: all input is listed first, and must come out the same


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> Callable[[DataPlane], None]:
    monkeypatch.setattr(proxy.backlog, "FREE", -1)
    monkeypatch.setattr(Backlog, "is_over", lambda _self: True)

    def press(plane: DataPlane) -> None:
        plane.backlog.left = -1

    return press


TEXT = b"".join(b"line %d of a text that says little\n" % n for n in range(20_000))


def echo(connection: Connection, asked: h11.Request) -> bytes | None:
    path = asked.target
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    if path == b"/chunks":
        return kind + b"Transfer-Encoding: chunked\r\n\r\n" + TINY * 5000 + b"0\r\n\r\n"
    if path == b"/large":
        return kind + b"Content-Length: %d\r\n\r\n%b" % (len(TEXT), TEXT)
    if path == b"/close":
        assert connection.transport is not None
        connection.transport.write(kind + b"Connection: close\r\n\r\n" + TEXT)
        return None
    return kind + b"Content-Length: 2\r\n\r\nok"


Exchanged = Callable[[RawClient], Awaitable[None]]


async def pipelined(client: RawClient) -> None:
    await client.send(
        request("/nothing") * 50 + request("/a") * 50 + request("/a", "POST", TEXT) + request("/b")
    )
    for _ in range(102):
        assert (await client.response())[2] == b"ok"


async def piecemeal(client: RawClient) -> None:
    data = request("/a") * 3 + request("/a", "POST", b"body")
    await client.send(*(data[at : at + 1] for at in range(len(data))))
    for _ in range(4):
        assert (await client.response())[2] == b"ok"


async def chunked(client: RawClient) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(2):
        await client.send(head + TINY * 5000 + b"0\r\n\r\n")
        assert (await client.response())[2] == b"ok"


async def downloads(client: RawClient) -> None:
    for _ in range(2):
        for path, body in (("/chunks", b"a" * 5000), ("/large", TEXT), ("/close", TEXT)):
            await client.send(request(path))
            assert (await client.response())[2] == body


async def compressed(client: RawClient) -> None:
    for path, body in (("/large", TEXT), ("/chunks", b"a" * 5000)) * 2:
        await client.send(request(path, extra="Accept-Encoding: gzip\r\n"))
        _, fields, received = await client.response()
        assert fields["content-encoding"] == "gzip"
        assert zlib.decompress(received, 31) == body


@LOOPS
@pytest.mark.parametrize("exchanged", [pipelined, piecemeal, chunked, downloads, compressed])
def test_input_that_waits_for_its_turn_means_the_same(
    loop: Loop, exchanged: Exchanged, pressed: Callable[[DataPlane], None]
) -> None:
    async def test() -> None:
        port = free_port()
        async with Origin(echo) as origin, serving(policed(port, origin, gzip=True)) as plane:
            clients = [await RawClient.connect(port) for _ in range(3)]
            pressed(plane)
            await asyncio.gather(*map(exchanged, clients))
            assert plane.backlog.deferred
            for client in clients:
                await client.close()

    run(loop, test())


@LOOPS
def test_tunnels_wait_for_their_turns_too(loop: Loop, pressed: Callable[[DataPlane], None]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def test() -> None:
        port = free_port()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        async with serving(snapshot(port, {"c1": [address]})) as plane:
            pressed(plane)
            client = await RawClient.connect(port)
            upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            await client.send(request("/", extra=upgrade) + b"early")
            assert (await client.response())[0] == 101
            assert await client.exactly(5) == b"early"
            sending = asyncio.create_task(client.send(TEXT))
            assert await client.exactly(len(TEXT)) == TEXT
            await sending
            client.finish()
            assert await client.until_closed() == b""
            await client.close()
        server.close()

    run(loop, test())


async def test_deferred_input_is_counted(worker: WorkerProcess, port: int, connect: Connect) -> None:
    await worker.apply(policed(port, action=FixedResponse(200, "here")))
    client = await connect()
    await client.send(request() * 16)
    for _ in range(16):
        await client.response()
    assert (await worker.stats()).deferred == 0
    await client.send(request() * 100)
    for _ in range(100):
        await client.response()
    assert (await worker.stats()).deferred > 0
