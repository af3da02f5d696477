"""Clients of the admin port that send half of something, read nothing, or come in crowds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from controlplane.admin import connections
from controlplane.admin.connections import MAX_CONNECTIONS, PATIENCE_S, Waiting
from controlplane.admin.server import AdminServer
from tests.admin.test_api import Fixed
from tests.support.admintoken import TOKEN, token_file
from tests.support.states import serving

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = (
    b"POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer %b\r\n" % TOKEN.encode()
)

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def admin(source: Fixed | None = None) -> AsyncIterator[int]:
    server = AdminServer("127.0.0.1", 0, ())
    await server.start(source or Fixed(serving()), token_file())
    try:
        port = int(server.address.rpartition(":")[2])
        assert await asked(port) == 200
        yield port
    finally:
        await server.stop()


async def connected(port: int, first: bytes = b"") -> Stream:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    return reader, writer


async def asked(port: int) -> int:
    reader, writer = await connected(port, HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


@pytest.mark.parametrize(
    ("first", "waiting", "answer"),
    [
        (b"", Waiting.REQUEST, b""),
        (b"GET", Waiting.HEAD, b"HTTP/1.1 408 "),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n", Waiting.HEAD, b"HTTP/1.1 408 "),
        (HEAD + b"GET /livez", Waiting.HEAD, b"HTTP/1.1 408 "),
        (HEAD, Waiting.REQUEST, b"\r\n\r\nok\n"),
        (POST + b"Content-Length: 100\r\n\r\n{", Waiting.BODY, b"HTTP/1.1 408 "),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", Waiting.BODY, b"HTTP/1.1 408 "),
    ],
    ids=["nothing", "method", "head", "second-head", "idle", "body", "chunks"],
)
async def test_a_client_that_stops_half_way_is_not_waited_for(
    first: bytes, waiting: Waiting, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PATIENCE_S, waiting, 0.3)
    async with admin() as port:
        reader, writer = await connected(port, first)
        async with asyncio.timeout(8):
            said = await reader.read()
        assert answer in said or said == answer
        writer.close()


async def test_bytes_that_trickle_do_not_prolong_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE_S, Waiting.HEAD, 0.5)
    async with admin() as port:
        reader, writer = await connected(port, b"GET /livez HTTP/1.1\r\n")
        end = asyncio.create_task(reader.read())
        async with asyncio.timeout(8):
            while not end.done():
                writer.write(b"a: b\r\n")
                await asyncio.sleep(0.05)
        assert (await end).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_client_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE_S, Waiting.READING, 0.5)
    monkeypatch.setattr(connections, "_LOOK_S", 0.1)
    state = serving()
    assert state.snapshot is not None
    many = replace(state, diagnostics=state.diagnostics * 50_000)
    async with admin(Fixed(many)) as port:
        reader, writer = await connected(port, b"GET /api/v1/diagnostics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")  # a busy machine takes seconds to make the answer
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(2.5)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(30):
            body = await reader.read()
        (length,) = (int(line.split(b":")[1]) for line in head.splitlines() if b"content-length" in line)
        assert len(body) < length
        writer.close()


async def test_a_crowd_of_half_sent_heads_keeps_no_probe_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE_S, Waiting.HEAD, 60.0)  # no connection ends by itself
    async with admin() as port:
        crowd = [await connected(port, b"GET /livez") for _ in range(MAX_CONNECTIONS + 50)]
        assert [await asked(port) for _ in range(20)] == [200] * 20
        first_reader, _ = crowd[0]
        async with asyncio.timeout(5):
            assert (await first_reader.read()).startswith(b"HTTP/1.1 503 ")
        for _, writer in crowd:
            writer.close()
