"""All connections share what one turn of the event loop may do: reads, connects, bodies, new clients."""

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import h11
import pytest
import uvloop

import proxy.backlog
from loadtest.ports import free_port
from proxy.backlog import FEW_BYTES, Backlog, Flow
from proxy.dataplane import DataPlane
from proxy.downstream.h1.connection import ClientConnection
from proxy.downstream.h1.stream import Http1Stream
from proxy.downstream.listener import ACCEPTS, Listener
from proxy.policies.compression import Compressor
from proxy.request import dispatch
from proxy.request.exchange import Exchange
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.dialing.dialer import TcpDialer
from tests.dataplane.test_bounded_turns import Turns, run
from tests.support.inprocess import serving
from tests.support.origin import Connection, Origin
from tests.support.policies import policed
from tests.support.requests import request
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient

LARGE = 1 << 20
CLIENTS = 30
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
SWITCH = b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
TEXT = b"".join(b"line %d of a text that says little\n" % n for n in range(30_000))


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch) -> Callable[[DataPlane], None]:
    """From then on every turn is over at once, and one connection is served in each."""

    def now(plane: DataPlane) -> None:
        monkeypatch.setattr(proxy.backlog, "FREE", -1)
        monkeypatch.setattr(proxy.backlog, "SLICE_S", 0.0)
        monkeypatch.setattr(proxy.backlog, "_WORK_S", 0.0, raising=False)
        monkeypatch.setattr(Backlog, "is_over", lambda _self: True)
        plane.backlog.left = -1

    return now


def spy(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, note: Callable[[Any], None]) -> None:
    """Have `note` called with the first argument of each call."""
    real = getattr(owner, name)

    def noting(self: Any, *arguments: Any, **named: Any) -> Any:
        note(arguments[0] if arguments else None)
        return real(self, *arguments, **named)

    monkeypatch.setattr(owner, name, noting)


def chunked(_connection: Connection, _request: h11.Request) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"4000\r\n%b\r\n" % bytes(0x4000) * 64 + b"0\r\n\r\n"


def long(_connection: Connection, _request: h11.Request) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + bytes(LARGE)


def endless(_connection: Connection, _request: h11.Request) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * LARGE) + bytes(8 * LARGE)


@pytest.mark.parametrize("answer", [chunked, long])
def test_answers_of_endpoints_are_read_in_small_pieces_when_a_turn_is_over(
    answer: Callable[[Connection, h11.Request], bytes],
    press: Callable[[DataPlane], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    spy(monkeypatch, UpstreamConnection, "data_received", lambda data: sizes.append(len(data)))

    async def test() -> None:
        port = free_port()
        async with Origin(answer) as origin, serving(snapshot(port, {"c1": [origin.address]})) as plane:
            clients = [await RawClient.connect(port) for _ in range(3)]
            press(plane)
            for client in clients:
                await client.send(request())
            for client in clients:
                assert len((await client.response())[2]) == LARGE
                await client.close()

    run(uvloop.new_event_loop, test())
    assert max(sizes) <= FEW_BYTES


def _note_size(sizes: list[int], data: bytes) -> None:
    sizes.append(len(data))


def test_bytes_of_both_sides_of_a_tunnel_are_read_in_small_pieces_when_a_turn_is_over(
    press: Callable[[DataPlane], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: dict[type, list[int]] = {ClientConnection: [], UpstreamConnection: []}
    for owner, found in sizes.items():
        spy(monkeypatch, owner, "data_received", partial(_note_size, found))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        while data := await reader.read(1 << 18):
            writer.write(data)
        writer.close()

    async def test() -> None:
        port = free_port()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with serving(snapshot(port, {"c1": [server.sockets[0].getsockname()]})) as plane:
            client = await RawClient.connect(port)
            await client.send(request(extra=UPGRADE))
            assert (await client.response())[0] == 101
            press(plane)
            for found in sizes.values():
                found.clear()
            sending = asyncio.create_task(client.send(bytes(LARGE)))
            assert await client.exactly(LARGE) == bytes(LARGE)
            await sending
            await client.close()
        server.close()

    run(uvloop.new_event_loop, test())
    for read in sizes.values():
        assert sum(size > FEW_BYTES for size in read) <= 1, read


def test_bodies_are_compressed_one_piece_at_a_time_when_a_turn_is_over(
    press: Callable[[DataPlane], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns()
    sizes: list[int] = []
    spy(monkeypatch, Compressor, "feed", lambda _piece: turns.note(1))
    spy(monkeypatch, Compressor, "feed", lambda piece: sizes.append(len(piece)))

    def answer(_connection: Connection, asked: h11.Request) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        if asked.target == b"/chunk":
            return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(TEXT), TEXT)
        return head + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT

    async def test() -> None:
        port = free_port()
        async with Origin(answer) as origin, serving(policed(port, origin, gzip=True)) as plane:
            clients = [await RawClient.connect(port) for _ in range(6)]
            async with turns.counted():
                press(plane)
                for number, client in enumerate(clients):
                    path = "/chunk" if number % 2 else "/"
                    await client.send(request(path, extra="Accept-Encoding: gzip\r\n"))
                for client in clients:
                    assert zlib.decompress((await client.response())[2], 31) == TEXT
                    await client.close()

    run(uvloop.new_event_loop, test())
    assert max(sizes) <= 32768
    assert turns.most <= 2


def test_connections_are_opened_a_few_per_turn_when_turns_are_over(
    press: Callable[[DataPlane], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns()
    spy(monkeypatch, TcpDialer, "dial", lambda _endpoint: turns.note(1))

    async def test() -> None:
        port = free_port()
        async with Origin() as origin, serving(snapshot(port, {"c1": [origin.address]})) as plane:
            clients = [await RawClient.connect(port) for _ in range(CLIENTS)]
            backlog = plane.backlog
            async with turns.counted():
                press(plane)
                # They wait in one turn, as requests that others have woken up do
                monkeypatch.setattr(ClientConnection, "_wait_for_turn", lambda self, **_: self._take_up())
                for client in clients:
                    await client.send(request())
                for client in clients:
                    assert (await client.response())[0] == 200
                    await client.close()
            assert backlog.deferred

    run(uvloop.new_event_loop, test())
    assert turns.total == CLIENTS
    assert turns.most == 1


def test_responses_to_pipelined_requests_come_after_those_to_others(
    press: Callable[[DataPlane], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[tuple[bytes, bool]] = []
    real = Backlog.add

    def noting(self: Backlog, flow: Flow, *, is_new: bool) -> None:
        if isinstance(flow, UpstreamConnection) and isinstance(flow.exchange, Exchange):
            listed.append((flow.exchange.record.line.resource.path, is_new))
        real(self, flow, is_new=is_new)

    monkeypatch.setattr(Backlog, "add", noting)

    async def test() -> None:
        port = free_port()
        async with Origin() as origin, serving(snapshot(port, {"c1": [origin.address]})) as plane:
            flood, other = [await RawClient.connect(port) for _ in range(2)]
            press(plane)
            await flood.send(request("/flood") * 3)
            await other.send(request("/other"))
            for client, answers in ((flood, 3), (other, 1)):
                for _ in range(answers):
                    assert (await client.response())[0] == 200
                await client.close()

    run(uvloop.new_event_loop, test())
    assert [is_new for path, is_new in listed if path == b"/flood"] == [False, False, True]
    assert [is_new for path, is_new in listed if path == b"/other"] == [True]


def test_downloads_of_clients_that_leave_together_are_dropped_a_few_per_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = Turns()
    spy(monkeypatch, UpstreamConnection, "connection_lost", lambda _error: turns.note(1))
    monkeypatch.setattr(proxy.backlog, "DROPS", 2)

    async def test() -> None:
        port = free_port()
        async with Origin(endless) as origin, serving(snapshot(port, {"c1": [origin.address]})) as plane:
            clients = [await RawClient.connect(port) for _ in range(CLIENTS)]
            for client in clients:
                await client.send(request())
            await until(lambda: len(downloads(plane)) == CLIENTS)
            await asyncio.sleep(0.2)  # more has come than the clients have read
            async with turns.counted():
                for download in downloads(plane):
                    stream = download._downstream
                    assert isinstance(stream, Http1Stream)
                    stream.give_up()
                await until(lambda: not endpoint_connections(plane))
            for client in clients:
                await client.close()

    run(uvloop.new_event_loop, test())
    assert turns.total >= CLIENTS  # and probes
    assert turns.most <= 2 * 2  # of two turns, between two counts


def test_bodies_are_sent_again_one_at_a_time_when_turns_are_over(
    press: Callable[[DataPlane], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns()
    body = bytes(60_000)

    def note(*arguments: Any) -> None:
        turns.note(1)
        send(*arguments)

    send = dispatch._send
    monkeypatch.setattr(dispatch, "_send", note)

    def answer(_connection: Connection, _request: h11.Request) -> None:
        """Never."""

    async def test() -> None:
        port = free_port()
        async with Origin(answer) as first, Origin() as second:
            addresses = {"c1": [first.address], "c2": [second.address]}
            rule = route(port, weights={"c1": 100, "c2": 0})
            async with serving(snapshot(port, addresses, rule)) as plane:
                clients = [await RawClient.connect(port) for _ in range(8)]
                async with turns.counted():
                    press(plane)
                    for client in clients:
                        await client.send(request(method="PUT", body=body))
                    async with asyncio.timeout(10):
                        while len(first.requests) < len(clients):
                            await asyncio.sleep(0.01)
                    first.stop()
                    for client in clients:
                        assert (await client.response())[0] == 200
                        await client.close()
                assert [len(sent) for _, sent in second.requests] == [len(body)] * len(clients)

    run(uvloop.new_event_loop, test())
    assert turns.total == 16
    assert turns.most == 1


@asynccontextmanager
async def queued(port: int, count: int) -> AsyncIterator[list[socket.socket]]:
    """Clients that the kernel has connected, and that have asked, before anybody accepts them."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for client in clients:
        client.sendall(request(extra="Connection: close\r\n"))
        client.setblocking(False)
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def test_clients_that_wait_when_a_listener_stops_are_accepted_in_several_turns_and_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = Turns()
    count = 5 * ACCEPTS
    spy(monkeypatch, Listener, "admit", lambda _client: turns.note(1))

    found: list[Listener] = []
    start = Listener.start

    async def starting(self: Listener, *arguments: Any, **named: Any) -> None:
        found.append(self)
        await start(self, *arguments, **named)

    monkeypatch.setattr(Listener, "start", starting)

    async def test() -> None:
        port = free_port()
        loop = asyncio.get_running_loop()
        async with Origin() as origin, serving(snapshot(port, {"c1": [origin.address]})):
            async with queued(port, count) as clients, turns.counted():
                found[0].stop_accepting()
                assert found[0].is_busy
                for client in clients:
                    async with asyncio.timeout(10):
                        assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 200 ")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    run(uvloop.new_event_loop, test())
    assert turns.total == count
    assert turns.most <= ACCEPTS


def test_bytes_behind_a_body_are_no_answer_also_where_the_body_is_taken_in_slices() -> None:
    """The surplus of a response must not become the response to another request."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\npoison"

    async def test() -> None:
        port = free_port()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % (1000 + 65536)
        async with Origin() as origin, serving(policed(port, origin, gzip=True)) as plane:
            origin.answer = lambda _connection, _request: head + TEXT[:1000]
            client = await RawClient.connect(port)
            await client.send(request(extra="Accept-Encoding: gzip\r\n"))
            async with asyncio.timeout(10):
                while not origin.requests:
                    await asyncio.sleep(0.01)
            connection = next(iter(endpoint_connections(plane)))
            while connection.is_waiting():
                await asyncio.sleep(0.01)
            connection.data_received(TEXT[1000 : 1000 + 65536] + poison)  # as one read brings it
            assert zlib.decompress((await client.response())[2], 31) == TEXT[: 1000 + 65536]
            assert connection.transport.is_closing()
            await client.close()

    run(uvloop.new_event_loop, test())


def endpoint_connections(plane: DataPlane) -> list[UpstreamConnection]:
    streams = [
        stream for endpoint in plane.upstream.services.endpoints() for stream in endpoint.pool.streams()
    ]
    return [stream for stream in streams if isinstance(stream, UpstreamConnection)]


def downloads(plane: DataPlane) -> list[Exchange]:
    return [c.exchange for c in endpoint_connections(plane) if isinstance(c.exchange, Exchange)]
