"""What goes through, in both directions: bodies of every framing, back-pressure, tunnels, fields."""

import asyncio
import json
from pathlib import Path

import h11
import pytest

from tests.support.origin import Connection, Origin, header
from tests.support.requests import request
from tests.support.snapshots import route, snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

PAYLOAD = bytes(range(256)) * 4096  # 1 MiB


async def test_request_bodies_of_every_framing_arrive_whole(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        pieces = [PAYLOAD[i : i + 70_000] for i in range(0, len(PAYLOAD), 70_000)]
        await client.send(request("/l", "POST", PAYLOAD))
        assert (await client.response())[0] == 200
        await client.send(chunked + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n")
        assert (await client.response())[0] == 200
        assert [body for _, body in origin.requests] == [PAYLOAD, PAYLOAD]
        assert header(origin.requests[1][0], b"transfer-encoding") == [b"chunked"]
        await client.close()


async def test_response_heads_that_begin_as_the_one_before_are_told_apart(
    worker: WorkerProcess, port: int
) -> None:
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    more = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-More: 1\r\n\r\nmo"
    other = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nyes"
    behind = b"HTTP/1.1 100 Continue\r\n\r\n" + plain
    answers = [plain, plain, plain, more, plain, plain, other, more, more, more, plain, behind, behind, plain]
    async with Origin(lambda _connection, _request: answers[len(origin.requests) - 1]) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        seen = []
        for _ in answers:
            await client.send(request())
            status, headers, body = await client.response()
            seen.append((status, body, "x-more" in headers))
        await client.close()
    expected = {plain: (200, b"hi", False), more: (200, b"mo", True), other: (201, b"yes", False)}
    assert seen == [expected.get(answer, expected[plain]) for answer in answers]
    assert len(origin.connections) == 1


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_response_bodies_of_every_framing_arrive_whole(
    worker: WorkerProcess, port: int, framing: str, version: str
) -> None:
    def answer(connection: Connection, _request: h11.Request) -> bytes:
        if framing == "length":
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAYLOAD), PAYLOAD)
        if framing == "chunked":
            chunks = b"%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(PAYLOAD), PAYLOAD)
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
        asyncio.get_running_loop().call_soon(connection.close)
        return b"HTTP/1.1 200 OK\r\n\r\n" + PAYLOAD

    async with Origin(answer) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version.encode())
        if version == "1.0":
            raw = await client.until_closed()
            assert raw.partition(b"\r\n\r\n")[2] == PAYLOAD
        else:
            status, _, body = await client.response()
            assert (status, body == PAYLOAD) == (200, True)
        await client.close()


async def test_a_client_that_does_not_read_stops_the_endpoint(worker: WorkerProcess, port: int) -> None:
    size = 64 << 20
    written = 0

    async def pour(connection: Connection) -> None:
        nonlocal written
        transport = connection.transport
        assert transport is not None
        transport.set_write_buffer_limits(1 << 16)
        while written < size:
            if transport.get_write_buffer_size() < 1 << 16:
                transport.write(b"x" * 65536)
                written += 65536
            await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []

    def answer(connection: Connection, _request: h11.Request) -> bytes:
        tasks.append(asyncio.ensure_future(pour(connection)))
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size

    async with Origin(answer) as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
        writer.write(request())
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while written != before:  # until nothing moves any more
            before = written
            await asyncio.sleep(0.3)
        assert written < 24 << 20  # kernel buffers on four sockets, and 64 KiB of ours
        received = 0
        while received < size:
            received += len(await reader.read(1 << 20))
        assert received == size
        writer.close()
        await asyncio.gather(*tasks)


async def test_an_early_answer_ends_the_connection_and_never_poisons_the_pool(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nten bytes.")
        async with asyncio.timeout(5):
            while not origin.connections or b"ten bytes." not in origin.received:
                await asyncio.sleep(0.01)
        first = origin.connections[0]
        assert first.transport is not None
        first.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        status, fields, body = await client.response()
        assert (status, fields["connection"], body) == (200, "close", b"ok")
        assert await client.until_closed() == b""
        await client.close()
        other = await RawClient.connect(port)
        await other.send(request("/next"))
        assert (await other.response())[2] == b"/next"
        assert b"/next" not in first.received
        await other.close()


async def test_100_continue_is_asked_for_once_the_endpoint_is_there(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.response())[0] == 100
        await client.send(b"hi")
        assert (await client.response())[0] == 200
        assert header(origin.requests[0][0], b"expect") == []
        await client.close()


async def test_websocket_is_a_tunnel_once_the_endpoint_agrees(worker: WorkerProcess, port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Upgrade: websocket\r\n" in head
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
        )
        while data := await reader.read(1024):
            writer.write(data.upper())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await worker.apply(snapshot(port, {"c1": [server.sockets[0].getsockname()]}))
    client = await RawClient.connect(port)
    await client.send(
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    status, fields, _ = await client.response()
    assert (status, fields["upgrade"]) == (101, "websocket")
    assert await client.exactly(5) == b"hello"
    for _ in range(3):
        await client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.exactly(18) == b"GET / HTTP/1.1\r\n\r\n"
    client.finish()
    assert await client.until_closed() == b""
    await client.close()
    server.close()


async def test_fields_an_endpoint_may_rely_on(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        forged = (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n"
            "Forwarded: for=6.6.6.6\r\nConnection: keep-alive, X-Drop, X-Forwarded-For\r\nX-Drop: 1\r\n"
            "Keep-Alive: timeout=9\r\nX-Keep:  a b \r\n"
        )
        await client.send(request("/a?b=c", extra=forged))
        await client.response()
        got = origin.requests[0][0]
        assert got.target == b"/a?b=c"
        assert header(got, b"host") == [b"demo.example"]
        assert header(got, b"x-forwarded-for") == [b"127.0.0.1"]
        assert header(got, b"x-forwarded-proto") == [b"http"]
        assert header(got, b"x-forwarded-host") == [b"demo.example"]
        assert header(got, b"x-keep") == [b"a b"]
        assert len(header(got, b"x-request-id")[0]) == 24
        for gone in (b"x-drop", b"keep-alive", b"connection", b"forwarded", b"x-real-ip"):
            assert header(got, gone) == []
        await client.send(request(extra="X-Request-Id: mine-1\r\n"))
        await client.response()
        assert header(origin.requests[1][0], b"x-request-id") == [b"mine-1"]
        await client.close()


async def test_paths_are_matched_and_forwarded_in_one_normal_form(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}, route(port, "/admin")))
        client = await RawClient.connect(port)
        for target in ("/admin", "//admin/./x", "/public/../admin", "/%61dmin", "/x/%2e%2e/admin?q=/../"):
            await client.send(request(target))
            assert (await client.response())[0] == 200, target
        for target in ("/public", "/admin/..", "/administrator", "/ADMIN"):
            await client.send(request(target))
            assert (await client.response())[0] == 404, target
        assert [r.target for r, _ in origin.requests] == [
            b"/admin", b"/admin/x", b"/admin", b"/admin", b"/admin?q=/../",
        ]  # fmt: skip
        await client.close()


async def test_pipelined_requests_are_answered_in_order(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}, route(port, "/r")))
        client = await RawClient.connect(port)
        sequence = [f"/r/{i}" if i % 3 else f"/none/{i}" for i in range(60)]
        await client.send(b"".join(request(path) for path in sequence))
        for path in sequence:
            status, _, body = await client.response()
            assert (status, body) == (200, path.encode()) if path.startswith("/r") else status == 404
        await client.close()


async def test_a_half_closed_client_still_gets_its_answer(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request("/last"))
        client.finish()
        assert (await client.until_closed()).endswith(b"/last")
        await client.close()


async def test_pipelined_requests_of_a_half_closed_client_are_all_answered(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}, route(port, "/r")))
        client = await RawClient.connect(port)
        await client.send(b"".join(request(f"/r/{i}") for i in range(4)) + request("/none"))
        client.finish()
        for i in range(4):
            assert (await client.response())[2] == f"/r/{i}".encode()
        assert (await client.response())[0] == 404
        assert await client.until_closed() == b""
        await client.close()


@pytest.mark.parametrize("tail", [b"GET /r/2 HT", request("/r/2", "POST", b"whole")[:-2]])
async def test_an_incomplete_request_of_a_half_closed_client_is_dropped(
    worker: WorkerProcess, port: int, tail: bytes
) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request("/r/1") + tail)
        client.finish()
        assert (await client.response())[2] == b"/r/1"
        assert await client.until_closed() == b""
        assert [r.target for r, _ in origin.requests] == [b"/r/1"]
        await client.close()


async def test_a_client_that_leaves_takes_its_upstream_request_along(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(lambda _c, _r: b"") as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request())
        async with asyncio.timeout(5):
            await origin.answered.wait()
            client.reset()
            await origin.connections[0].lost.wait()
        stats = await worker.stats()
        assert [(r.flag, r.code_class, r.count) for r in stats.requests] == [("DC", "4xx", 1)]
        assert all(e.in_flight == 0 for e in stats.endpoints)


async def test_the_log_has_a_json_line_for_every_request(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker, Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}, route(port, "/r")))
        client = await RawClient.connect(port)
        await client.send(request('/r/"q"?secret=1', extra='User-Agent: "x\\y"\xe9\r\n'))
        await client.response()
        await client.send(request("/none"))
        await client.response()
        await client.send(b"bad\r\n\r\n")
        await client.until_closed()
        await client.close()
        async with asyncio.timeout(5):
            while not path.exists() or path.read_bytes().count(b"\n") < 3:
                await asyncio.sleep(0.02)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["status"] for line in lines] == [200, 404, 400]
    assert lines[0]["path"] == '/r/"q"'
    assert "secret" not in path.read_text()
    assert lines[0]["route"] == "demo/ing/r"
    assert [line["flag"] for line in lines][1:] == ["NR", "DPE"]
