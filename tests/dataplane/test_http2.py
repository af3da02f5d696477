"""Requests over HTTP/2: bodies both ways, windows, trailers, tunnels, the end of streams and connections."""

import asyncio
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h11
import pytest
from msgspec.structs import replace

from proxy.model.limits import Limits
from proxy.model.tls import HostTls, ListenerTls
from tests.support.certificates import Authority
from tests.support.http2client import (
    Code,
    Http2Client,
    Kind,
    Setting,
    data,
    headers,
    ping,
    reset,
    settings,
    window_update,
)
from tests.support.origin import Connection, Origin
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

DEFAULTS = Limits()
LARGE = bytes(range(256)) * 4096  # 1 MiB


@asynccontextmanager
async def serving(
    worker: WorkerProcess, port: int, *origins: Origin, limits: Limits = DEFAULTS
) -> AsyncIterator[None]:
    """Serve one route to these endpoints, each in a cluster of its own."""
    clusters = {f"c{number}": [origin.address] for number, origin in enumerate(origins, 1)}
    await worker.apply(replace(snapshot(port, clusters, route(port)), limits=limits))
    yield


@asynccontextmanager
async def connected(port: int, *values: tuple[int, int]) -> AsyncIterator[Http2Client]:
    client = await Http2Client.connect(port, values=values)
    try:
        yield client
    finally:
        await client.close()


def answering(head: str, body: bytes = b"") -> Origin:
    """Return an origin that answers everything with the same bytes."""
    raw = head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body

    def answer(_connection: Connection, _request: h11.Request) -> bytes:
        return raw

    return Origin(answer)


async def test_a_request_reaches_the_endpoint_as_http1_with_the_fields_of_the_gateway(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin, serving(worker, port, origin), connected(port) as client:
        more = (("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("x-own", "yes"))
        await client.send(headers(1, client.request("/path?q=1", "GET", *more, authority="a.example:80")))
        answer = await client.response()
        assert (answer.status, answer.body) == (200, b"/path?q=1")
        assert answer["server"] == "fleetgate"
        assert answer["content-length"] == "9"
    head = origin.received
    assert head.startswith(b"GET /path?q=1 HTTP/1.1\r\nHost: a.example:80\r\n")
    assert b"\r\ncookie: a=1; b=2\r\n" in head
    assert b"\r\nx-own: yes\r\n" in head
    assert b"X-Forwarded-Proto: http\r\n" in head
    assert b"X-Forwarded-Host: a.example:80\r\n" in head
    assert b"\r\nte:" not in head.lower()


async def test_many_requests_are_under_way_at_a_time_and_answered_in_any_order(
    worker: WorkerProcess, port: int
) -> None:
    released = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        if path == b"/1":
            await released.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await worker.apply(snapshot(port, {"c1": [server.sockets[0].getsockname()]}, route(port)))
    async with connected(port) as client:
        for stream in range(1, 100, 2):
            await client.send(headers(stream, client.request(f"/{stream}")))
        for stream in range(3, 100, 2):
            assert (await client.response(stream)).status == 200
        assert client.ending(1) is None
        released.set()
        assert (await client.response(1)).status == 200
    server.close()


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 65_535, 65_536, len(LARGE)])
async def test_a_body_of_any_size_comes_whole(worker: WorkerProcess, port: int, size: int) -> None:
    body = LARGE[:size]
    async with (
        answering(f"HTTP/1.1 200 OK\nContent-Length: {size}", body) as origin,
        serving(worker, port, origin),
        connected(port, (Setting.INITIAL_WINDOW_SIZE, 1 << 24)) as client,
    ):
        await client.send(window_update(0, 1 << 24))
        answer = await client.get()
        assert answer.body == body
        assert answer["content-length"] == str(size)
        assert all(len(frame.payload) <= 16_384 for frame in client.of(Kind.DATA))


async def test_a_client_gets_no_more_than_its_windows_allow_and_the_rest_when_they_open(
    worker: WorkerProcess, port: int
) -> None:
    async with (
        answering(f"HTTP/1.1 200 OK\nContent-Length: {len(LARGE)}", LARGE) as origin,
        serving(worker, port, origin),
        connected(port, (Setting.INITIAL_WINDOW_SIZE, 100)) as client,
    ):
        await client.send(headers(1, client.request()), headers(3, client.request()))
        await client.until(lambda: len(client.answer(1).body) == 100 and len(client.answer(3).body) == 100)
        await client.send(window_update(1, 50))
        await client.until(lambda: len(client.answer(1).body) == 150)
        # The window of the connection is 65,535 bytes, of which 250 are used
        await client.send(window_update(1, 1 << 24))
        await client.until(lambda: len(client.answer(1).body) == 65_535 - 100)
        await client.send(settings((Setting.INITIAL_WINDOW_SIZE, 1 << 24)), window_update(0, 1 << 24))
        assert (await client.response(1)).body == LARGE
        assert (await client.response(3)).body == LARGE


async def test_a_window_that_settings_make_negative_opens_again(worker: WorkerProcess, port: int) -> None:
    async with (
        answering("HTTP/1.1 200 OK\nContent-Length: 1000", LARGE[:1000]) as origin,
        serving(worker, port, origin),
        connected(port, (Setting.INITIAL_WINDOW_SIZE, 300)) as client,
    ):
        await client.send(headers(1, client.request()))
        await client.until(lambda: len(client.answer(1).body) == 300)
        await client.send(settings((Setting.INITIAL_WINDOW_SIZE, 100)))  # now -200
        await client.send(window_update(1, 200))
        await client.until(lambda: client.acknowledged == 2)
        await client.send(window_update(1, 10))
        await client.until(lambda: len(client.answer(1).body) == 310)
        await client.send(window_update(1, 1000))
        assert (await client.response()).body == LARGE[:1000]


@pytest.mark.parametrize("declares", [True, False])
@pytest.mark.parametrize("size", [0, 1, 60_000])
async def test_the_body_of_a_request_reaches_the_endpoint(
    worker: WorkerProcess, port: int, size: int, declares: bool
) -> None:
    async with Origin() as origin, serving(worker, port, origin), connected(port) as client:
        more = (("content-length", str(size)),) if declares else ()
        await client.send(headers(1, client.request("/", "POST", *more), ends=False))
        await client.send(
            *(data(1, LARGE[at : min(at + 16_384, size)], ends=False) for at in range(0, size, 16_384))
        )
        await client.send(data(1))
        assert (await client.response()).status == 200
        ((received, body),) = origin.requests
        assert body == LARGE[:size]
        framing = b"content-length" if declares else b"transfer-encoding"
        assert framing in dict(received.headers)


async def test_a_large_upload_gets_its_windows_back(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin, serving(worker, port, origin), connected(port) as client:
        await client.send(headers(1, client.request("/", "POST"), ends=False))
        sent = 0
        while sent < len(LARGE):
            granted = sum(int.from_bytes(frame.payload) for frame in client.of(Kind.WINDOW_UPDATE, 1))
            room = 65_535 + granted - sent
            if not room:
                seen = len(client.frames)
                await client.until(lambda seen=seen: len(client.frames) > seen)  # type: ignore[misc]
                continue
            piece = LARGE[sent : sent + min(room, 16_384)]
            sent += len(piece)
            await client.send(data(1, piece, ends=sent == len(LARGE)))
        assert (await client.response()).status == 200
        ((_, body),) = origin.requests
        assert body == LARGE


async def test_trailers_go_to_the_client_without_those_that_no_trailer_may_be(
    worker: WorkerProcess, port: int
) -> None:
    body = b"3\r\nabc\r\n0\r\nX-Sum: 900150983cd24fb0\r\nContent-Length: 7\r\n\r\n"
    async with (
        answering("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTrailer: X-Sum", body) as origin,
        serving(worker, port, origin),
        connected(port) as client,
    ):
        answer = await client.get()
        assert (answer.status, answer.body) == (200, b"abc")
        assert answer.trailers == [("x-sum", "900150983cd24fb0")]


async def test_trailers_of_a_request_end_its_body(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin, serving(worker, port, origin), connected(port) as client:
        await client.send(
            headers(1, client.request("/", "POST"), ends=False),
            data(1, b"abc", ends=False),
            headers(1, (("x-sum", "1"),)),
        )
        assert (await client.response()).status == 200
        ((_, body),) = origin.requests
        assert body == b"abc"


@pytest.mark.parametrize(
    ("method", "head", "status"),
    [
        ("HEAD", "HTTP/1.1 200 OK\nContent-Length: 5", 200),
        ("GET", "HTTP/1.1 204 No Content", 204),
        ("GET", "HTTP/1.1 304 Not Modified\nETag: x", 304),
        ("HEAD", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked", 200),
    ],
)
async def test_a_response_without_a_body_ends_with_its_head(
    worker: WorkerProcess, port: int, method: str, head: str, status: int
) -> None:
    async with answering(head) as origin, serving(worker, port, origin), connected(port) as client:
        await client.send(headers(1, client.request("/", method)))
        answer = await client.response()
        assert (answer.status, answer.body) == (status, b"")
        assert not client.of(Kind.DATA)


async def test_interim_responses_come_before_the_final_one(worker: WorkerProcess, port: int) -> None:
    raw = "HTTP/1.1 103 Early Hints\nLink: </a>; rel=preload\n\nHTTP/1.1 200 OK\nContent-Length: 0"
    async with answering(raw) as origin, serving(worker, port, origin), connected(port) as client:
        assert (await client.get()).status == 200
        assert len(client.of(Kind.HEADERS)) == 2


async def test_a_client_that_waits_for_100_gets_it(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin, serving(worker, port, origin), connected(port) as client:
        await client.send(headers(1, client.request("/", "POST", ("expect", "100-continue")), ends=False))
        await client.until(lambda: len(client.of(Kind.HEADERS)) == 1)
        assert not client.answer(1).status
        await client.send(data(1, b"abc"))
        assert (await client.response()).status == 200


async def test_a_body_above_the_limit_gets_413_and_the_connection_goes_on(
    worker: WorkerProcess, port: int
) -> None:
    limits = replace(DEFAULTS, max_body_bytes=1000)
    async with Origin() as origin, serving(worker, port, origin, limits=limits), connected(port) as client:
        await client.send(headers(1, client.request("/", "POST", ("content-length", "1001")), ends=False))
        assert (await client.response(1)).status == 413
        await client.send(
            headers(3, client.request("/", "POST"), ends=False), data(3, bytes(1001), ends=False)
        )
        assert (await client.response(3)).status == 413
        await client.until(lambda: {1, 3} <= {frame.stream for frame in client.of(Kind.RST_STREAM)})
        assert all(frame.code == Code.NO_ERROR for frame in client.of(Kind.RST_STREAM))
        assert (await client.get(stream=5)).status == 200


async def test_a_reset_stream_ends_the_request_upstream(worker: WorkerProcess, port: int) -> None:
    def never(connection: Connection, _request: h11.Request) -> bytes:
        return b""

    async with Origin(never) as origin, serving(worker, port, origin), connected(port) as client:
        await client.send(headers(1, client.request()))
        await until(lambda: bool(origin.requests))
        await client.send(reset(1))
        await until(lambda: all(connection.lost.is_set() for connection in origin.connections))
        origin.answer = lambda _connection, _request: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        assert (await client.get(stream=3)).status == 200


async def test_a_body_is_sent_again_to_another_cluster(worker: WorkerProcess, port: int) -> None:
    def reset_at_once(connection: Connection, _request: h11.Request) -> bytes:
        connection.reset()
        return b""

    async with Origin(reset_at_once) as bad, Origin() as good, serving(worker, port, bad, good):
        async with connected(port) as client:
            for stream in range(1, 9, 2):
                await client.send(
                    headers(stream, client.request("/", "PUT", ("content-length", "3")), ends=False),
                    data(stream, b"abc"),
                )
                assert (await client.response(stream)).status == 200
        assert all(body == b"abc" for _, body in good.requests)
        assert bad.requests


async def test_a_response_that_is_cut_resets_the_stream(worker: WorkerProcess, port: int) -> None:
    def cut(connection: Connection, _request: h11.Request) -> bytes | None:
        assert connection.transport is not None
        connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        return None

    async with Origin(cut) as origin, serving(worker, port, origin), connected(port) as client:
        await client.send(headers(1, client.request()))
        await client.expect_reset(1, Code.INTERNAL_ERROR)
        assert client.answer(1).body in (b"", b"abc")
        origin.answer = lambda _connection, _request: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        assert (await client.get(stream=3)).status == 200


async def test_a_websocket_goes_over_a_stream_beside_requests(worker: WorkerProcess, port: int) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello"
        )
        while piece := await reader.read(65_536):
            writer.write(piece[::-1])
        writer.write(b"bye")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await worker.apply(snapshot(port, {"c1": [server.sockets[0].getsockname()]}, route(port)))
    async with connected(port) as client:
        assert client.settings[8] == 1
        fields = (
            *client.request("/chat", "CONNECT"),
            (":protocol", "websocket"),
            ("sec-websocket-version", "13"),
        )
        await client.send(headers(1, fields, ends=False))
        await client.until(lambda: client.answer(1).body == b"hello")
        assert client.answer(1).status == 200
        assert dict(client.answer(1).fields)["sec-websocket-protocol"] == "chat"
        assert "sec-websocket-accept" not in dict(client.answer(1).fields)
        await client.send(data(1, b"abc", ends=False))
        await client.until(lambda: client.answer(1).body == b"hellocba")
        assert (await client.get("/other", stream=3, authority="b")).status in (200, 404, 502, 503)
        await client.send(data(1, b""))
        assert (await client.response(1)).body == b"hellocbabye"
    server.close()
    head = seen[0].lower()
    assert head.startswith(b"get /chat http/1.1\r\n")
    assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: " in head


async def test_a_stream_whose_client_takes_nothing_is_cancelled_and_others_go_on(
    worker: WorkerProcess, port: int
) -> None:
    limits = replace(DEFAULTS, http2_stall_timeout_s=1.0)
    async with (
        answering(f"HTTP/1.1 200 OK\nContent-Length: {len(LARGE)}", LARGE) as origin,
        serving(worker, port, origin, limits=limits),
        connected(port, (Setting.INITIAL_WINDOW_SIZE, 10)) as client,
    ):
        await client.send(headers(1, client.request()))
        await client.expect_reset(1, Code.CANCEL)
        assert len(client.answer(1).body) == 10
        await client.send(settings((Setting.INITIAL_WINDOW_SIZE, 1 << 24)), window_update(0, 1 << 24))
        assert (await client.get(stream=3)).body == LARGE


async def test_a_body_that_stops_coming_gets_408(worker: WorkerProcess, port: int) -> None:
    limits = replace(DEFAULTS, body_idle_timeout_s=1.0)
    async with Origin() as origin, serving(worker, port, origin, limits=limits), connected(port) as client:
        await client.send(headers(1, client.request("/", "POST"), ends=False), data(1, b"a", ends=False))
        assert (await client.response()).status == 408
        assert (await client.get(stream=3)).status == 200


async def test_a_slow_upload_may_take_longer_than_a_head(worker: WorkerProcess, port: int) -> None:
    """Neither a frame that comes in pieces nor reads that never end with a frame count as a slow head."""
    limits = replace(DEFAULTS, head_timeout_s=1.0)
    body = LARGE[:20_000]
    raw = data(1, body[:10_000], ends=False) + data(1, body[10_000:])
    async with Origin() as origin, serving(worker, port, origin, limits=limits), connected(port) as client:
        await client.send(headers(1, client.request("/", "POST"), ends=False))
        for at in range(0, len(raw), 1000):
            await client.send(raw[at : at + 1000])
            await asyncio.sleep(0.15)  # 3 s in all, thrice the time of a head
        assert (await client.response()).status == 200
    assert [received for _, received in origin.requests] == [body]


async def test_a_connection_that_is_old_is_drained_without_a_failed_request(
    worker: WorkerProcess, port: int
) -> None:
    limits = replace(DEFAULTS, http2_max_age_s=1.0)
    async with Origin() as origin, serving(worker, port, origin, limits=limits), connected(port) as client:
        stream = 1
        while not client.of(Kind.GOAWAY):
            assert (await client.get(stream=stream)).status == 200
            stream += 2
        first = client.of(Kind.GOAWAY)[0]
        assert (int.from_bytes(first.payload[:4]), first.code) == ((1 << 31) - 1, Code.NO_ERROR)
        assert (await client.get(stream=stream)).status == 200  # sent before the client read that
        await client.expect_connection_end()
        last = client.of(Kind.GOAWAY)[1]
        assert (int.from_bytes(last.payload[:4]), last.code) == (stream, Code.NO_ERROR)


async def test_a_worker_that_drains_answers_what_is_under_way(worker: WorkerProcess, port: int) -> None:
    answers: list[Connection] = []

    def later(connection: Connection, _request: h11.Request) -> bytes:
        answers.append(connection)
        return b""

    async with Origin(later) as origin, serving(worker, port, origin), connected(port) as client:
        await client.send(headers(1, client.request()))
        await until(lambda: bool(answers))
        assert worker.process is not None
        os.kill(worker.process.pid, signal.SIGTERM)
        await client.until(lambda: len(client.of(Kind.GOAWAY)) == 2)
        (connection,) = answers
        assert connection.transport is not None
        connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert (await client.response()).body == b"ok"
        await client.expect_connection_end()


async def test_an_idle_connection_is_closed_with_goaway(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]}, route(port))
        (listener,) = plain.listeners
        await worker.apply(replace(plain, listeners=(replace(listener, idle_timeout_s=1.0),)))
        async with connected(port) as client:
            assert (await client.get()).status == 200
            await client.expect_connection_end()
            (frame,) = client.of(Kind.GOAWAY)
            assert (int.from_bytes(frame.payload[:4]), frame.code) == (1, Code.NO_ERROR)


async def test_the_preface_may_come_in_pieces(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin, serving(worker, port, origin):
        client = await Http2Client.connect(port, greets=False)
        raw = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings() + headers(1, client.request())
        for at in range(len(raw)):
            await client.send(raw[at : at + 1])
        assert (await client.response()).status == 200
        await client.close()


async def test_a_client_of_http1_after_the_first_request_cannot_change_to_http2(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin, serving(worker, port, origin):
        client = await RawClient.connect(port)
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert (await client.final_response())[0] == 200
        assert (await client.final_response())[0] == 400
        await client.close()


async def test_the_log_names_the_protocol(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker, Origin() as origin, serving(worker, port, origin):
        async with connected(port) as client:
            await client.get("/shop")
            await client.send(data(0))
            await client.expect_goaway(Code.PROTOCOL_ERROR)
        await until(lambda: path.exists() and path.read_bytes().count(b"}\n") == 2)
    line, fault = [json.loads(raw) for raw in path.read_bytes().splitlines()]
    assert (line["protocol"], line["path"], line["status"], line["host"]) == ("HTTP/2", "/shop", 200, "a")
    assert (fault["protocol"], fault["flag"], fault["client"]) == ("HTTP/2", "DPE", "127.0.0.1")
    assert fault["cause"] == "PROTOCOL_ERROR: DATA on stream 0"


async def test_counters_tell_requests_and_faults_of_clients(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin, serving(worker, port, origin), connected(port) as client:
        await client.get()
        await client.send(headers(3, ((":method", "GET"),)))
        await client.expect_reset(3, Code.PROTOCOL_ERROR)
        stats = await worker.stats()
        (count,) = stats.connections
        assert (count.http2, count.streams) == (1, 1)
        (error,) = stats.http2_errors
        assert (error.scope, error.code, error.count) == ("stream", "PROTOCOL_ERROR", 1)


async def test_a_body_that_comes_before_the_endpoint_is_connected_is_sent_behind_the_head(
    worker: WorkerProcess, port: int
) -> None:
    """The gateway reads 64 KiB ahead, and the rest only once an endpoint takes the request."""
    limits = replace(DEFAULTS, max_upstream_connections=1)
    answers: list[Connection] = []

    def later(connection: Connection, _request: h11.Request) -> bytes:
        answers.append(connection)
        return b""

    async with (
        Origin(later) as origin,
        serving(worker, port, origin, limits=limits),
        connected(port) as client,
        connected(port) as other,
    ):
        await other.send(headers(1, other.request()))
        await until(lambda: bool(answers))
        pieces = [LARGE[at : at + 16_384] for at in range(0, 65_535, 16_384)]
        await client.send(headers(1, client.request("/", "POST"), ends=False))
        await client.send(*(data(1, piece, ends=False) for piece in pieces[:3]))
        await client.send(data(1, pieces[3][:-1], ends=False))
        await client.until(lambda: bool(client.of(Kind.WINDOW_UPDATE, 1)))
        await client.send(data(1, LARGE[65_535:80_000], ends=False), data(1, LARGE[80_000:90_000]), ping())
        await client.expect_pong()
        origin.answer = lambda _connection, _request: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        assert answers[0].transport is not None
        answers[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert (await client.response()).status == 200
    assert [body for _, body in origin.requests] == [b"", LARGE[:90_000]]


async def test_a_client_may_keep_no_dynamic_table(worker: WorkerProcess, port: int) -> None:
    """Decoders refuse a block that does not begin with the new size of the table (RFC 7541 §4.2)."""
    async with Origin() as origin, serving(worker, port, origin):
        client = await Http2Client.connect(port, greets=False)
        client.keep_no_table()
        await client.greet((Setting.HEADER_TABLE_SIZE, 0))
        for stream in (1, 3):
            assert (await client.get(stream=stream)).status == 200
        await client.close()


async def test_a_listener_that_offers_http2_no_more_drains_its_connections(
    worker: WorkerProcess, port: int
) -> None:
    authority = Authority()
    certificate = authority.issue("a")
    worker.use_certificates(certificate)
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]}, route(port))
        for version, http2 in enumerate((True, False), 1):
            tls = ListenerTls(http2=http2, hosts=(HostTls("a", certificate.id),))
            listeners = (replace(plain.listeners[0], tls=tls),)
            await worker.apply(replace(plain, version=version, listeners=listeners))
            if http2:
                client = await Http2Client.connect(port, tls=trusting_http2(authority))
                assert (await client.get()).status == 200
        await client.expect_connection_end()
        assert [frame.code for frame in client.of(Kind.GOAWAY)][:1] == [Code.NO_ERROR]
        await client.close()


def trusting_http2(authority: Authority) -> ssl.SSLContext:
    context = authority.trusting()
    context.set_alpn_protocols(["h2"])
    return context
