"""Answers that come before, between or instead of what was expected, and what they leave behind."""

import asyncio

import h11
import pytest

from tests.support.origin import Connection, Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Deaf(asyncio.Protocol):
    """Answers an upload as soon as it begins, and reads no more of it."""

    def __init__(self, opened: list[asyncio.Transport]) -> None:
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._opened.append(transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST"):
            self.transport.pause_reading()
        asyncio.get_running_loop().call_later(0.3, self.transport.write, OK)


async def test_a_request_that_was_answered_unread_holds_no_other_up(worker: WorkerProcess, port: int) -> None:
    opened: list[asyncio.Transport] = []
    server = await asyncio.get_running_loop().create_server(lambda: Deaf(opened), "127.0.0.1", 0)
    await worker.apply(snapshot(port, {"c1": [server.sockets[0].getsockname()]}))
    async with asyncio.timeout(9):
        for _ in range(3):
            upload = request("/", "POST", b"x" * (24 << 20))  # more than the kernel's buffers take
            client = await RawClient.connect(port)
            sending = asyncio.ensure_future(client.send(upload))
            status, fields, body = await client.response()
            assert (status, fields["connection"], body) == (200, "close", b"ok")
            assert await tally(port, 1) == {"ok": 1}
            sending.cancel()
            await client.close()
    server.close()
    for transport in opened:
        transport.abort()


async def test_a_storm_of_interim_responses_is_relayed_in_order(worker: WorkerProcess, port: int) -> None:
    count = 3000

    def answer(_connection: Connection, _request: h11.Request) -> bytes:
        return b"HTTP/1.1 103 E\r\nX: y\r\n\r\nHTTP/1.1 100 C\r\n\r\n" * count + OK

    async with Origin(answer) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        for _ in range(2):
            await client.send(request())
            for _ in range(count):
                assert (await client.response())[0] == 103
            assert (await client.response())[2] == b"ok"
        await client.close()


@pytest.mark.parametrize("framing", [b"", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 100\r\n"])
async def test_a_cut_body_never_looks_whole_not_even_to_http_1_0(
    worker: WorkerProcess, port: int, framing: bytes
) -> None:
    def answer(connection: Connection, _request: h11.Request) -> bytes:
        asyncio.get_running_loop().call_later(0.2, connection.reset)
        return b"HTTP/1.1 200 OK\r\n%b\r\n5\r\nhello\r\n" % framing

    async with Origin(answer) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [100, 60_000])
async def test_a_retry_while_the_body_arrives_sends_all_of_it_once(
    worker: WorkerProcess, port: int, chunked: bool, size: int
) -> None:
    """The first endpoint ends the connection after the first half."""

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"half")
        writer.close()

    body = b"x" * size + b"half" + b"y" * size
    dying = await asyncio.start_server(die, "127.0.0.1", 0)
    async with Origin() as good:
        clusters = {"c1": [dying.sockets[0].getsockname()], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        client = await RawClient.connect(port)
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        pieces = [body[: size + 4], body[size + 4 :]]
        if chunked:
            pieces = [b"%x\r\n%b\r\n" % (len(p), p) for p in pieces] + [b"0\r\n\r\n"]
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % length + pieces[0])
        async with asyncio.timeout(5):
            while not good.connections:
                await asyncio.sleep(0.01)
        for piece in pieces[1:]:
            await client.send(piece)
            await asyncio.sleep(0.02)
        assert (await client.response())[0] == 200
        assert [got for _, got in good.requests] == [body]
        assert all(e.in_flight == 0 for e in (await worker.stats()).endpoints)
        await client.close()
    dying.close()
