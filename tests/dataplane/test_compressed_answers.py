"""Compression on the wire: every framing, in both versions of HTTP."""

import asyncio
import zlib

import h11
import pytest

from tests.dataplane.conftest import Connect
from tests.support.origin import Connection, Origin
from tests.support.policies import policed
from tests.support.requests import request
from tests.support.worker import WorkerProcess

TEXT = b"".join(b"line %d of a text that says little\n" % n for n in range(40_000))  # 1.4 MB
GZIP = "Accept-Encoding: gzip\r\n"


def framed(body: bytes, framing: str, kind: bytes = b"text/plain") -> bytes:
    head = b'HTTP/1.1 200 OK\r\nContent-Type: %b\r\nETag: "1"\r\n' % kind
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    if framing == "close":
        return head + b"Connection: close\r\n\r\n" + body
    extension = b";x" if framing == "extended" else b""
    pieces = [body[i : i + 50_000] for i in range(0, len(body), 50_000)]
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@pytest.mark.parametrize("framing", ["length", "chunked", "extended", "close"])
@pytest.mark.parametrize("size", [1500, len(TEXT)])
async def test_texts(worker: WorkerProcess, port: int, connect: Connect, framing: str, size: int) -> None:
    def answer(connection: Connection, _request: h11.Request) -> bytes | None:
        assert connection.transport is not None
        connection.transport.write(framed(TEXT[:size], framing))
        return None if framing == "close" else b""

    async with Origin(answer) as origin:
        await worker.apply(policed(port, origin, gzip=True))
        client = await connect()
        for _ in range(3):
            await client.send(request(extra=GZIP))
            _, fields, body = await client.response()
            assert (fields["content-encoding"], fields["etag"]) == ("gzip", 'W/"1"')
            assert fields["vary"] == "Accept-Encoding"
            assert zlib.decompress(body, 31) == TEXT[:size]
            assert len(body) < size / 2
        await client.send(request())
        _, fields, body = await client.response()
        assert (fields.get("content-encoding"), fields["etag"], body) == (None, '"1"', TEXT[:size])
        assert fields["vary"] == "Accept-Encoding"


async def test_http_1_0_gets_it_plain(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin(lambda *_: framed(TEXT[:2000], "chunked")) as origin:
        await worker.apply(policed(port, origin, gzip=True))
        client = await connect()
        await client.send(b"GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _, body = (await client.until_closed()).partition(b"\r\n\r\n")
        assert (b"Content-Encoding" in head, body) == (False, TEXT[:2000])


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        (1000, b"text/plain"),
        (2000, b"image/png"),
        (2000, b"text/plain\r\nCache-Control: no-transform"),
        (2000, b"text/plain\r\nContent-Encoding: br"),
        (2000, b"text/event-stream"),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_answers_that_are_not_compressed_stay_as_they_are(
    worker: WorkerProcess, port: int, connect: Connect, size: int, kind: bytes, framing: str
) -> None:
    async with Origin(lambda *_: framed(TEXT[:size], framing, kind)) as origin:
        await worker.apply(policed(port, origin, gzip=True))
        client = await connect()
        await client.send(request(extra=GZIP))
        _, fields, body = await client.response()
        assert (fields.get("content-encoding") in (None, "br"), fields["etag"], body) == (
            True, '"1"', TEXT[:size],
        )  # fmt: skip


async def test_heads_and_parts_stay_as_they_are(worker: WorkerProcess, port: int, connect: Connect) -> None:
    def answer(_connection: Connection, got: h11.Request) -> bytes:
        if got.method == b"HEAD":
            return framed(b"", "length").replace(b"Length: 0", b"Length: 2000")
        return framed(TEXT[:2000], "length").replace(b"200 OK", b"206 Partial Content")

    async with Origin(answer) as origin:
        await worker.apply(policed(port, origin, gzip=True))
        client = await connect()
        await client.send(request(method="HEAD", extra=GZIP) + request(extra=GZIP))
        _, fields, _ = await client.response(head=True)
        assert (fields.get("content-encoding"), fields["content-length"]) == (None, "2000")
        status, fields, body = await client.response()
        assert (status, fields.get("content-encoding"), body) == (206, None, TEXT[:2000])


async def test_a_text_that_comes_slowly_is_not_held_back(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    go_on = asyncio.Event()

    def answer(connection: Connection, _request: h11.Request) -> bytes:
        transport = connection.transport
        assert transport is not None

        async def write() -> None:
            await go_on.wait()
            transport.write(b"3\r\nend\r\n0\r\n\r\n")

        connection.task = asyncio.ensure_future(write())  # type: ignore[attr-defined]
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n"
        )

    async with Origin(answer) as origin:
        await worker.apply(policed(port, origin, gzip=True))
        client = await connect()
        await client.send(request(extra=GZIP))
        reader = zlib.decompressobj(31)
        seen = b""
        while seen != b"begin":
            seen += reader.decompress(await client.chunk())
        go_on.set()
        while not reader.eof:
            seen += reader.decompress(await client.chunk())
        assert seen == b"beginend"


async def test_listeners_begin_and_cease_to_compress(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin(lambda *_: framed(TEXT[:2000], "length")) as origin:
        client = None
        for version, gzip in enumerate((False, True, False), 1):
            await worker.apply(policed(port, origin, version=version, gzip=gzip))
            client = client or await connect()
            await client.send(request(extra=GZIP))
            assert ("content-encoding" in (await client.response())[1]) == gzip
