"""The demo pod's HTTP/1.1: framing, order, limits and refusals, on real connections."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from controlplane.embedded import webdemo
from controlplane.embedded.webdemo_http import MAX_HEAD_BYTES, BadRequest, Connection, parse_head

GET = b"GET /svc1 HTTP/1.1\r\nhost: a\r\n\r\n"
HELLO = b"This is env cluster1 ! Config file is \n"


class Client:
    """A raw connection to a pod."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self, with_body: bool = True) -> tuple[bytes, bytes]:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        if not with_body or head.startswith(b"HTTP/1.1 100"):
            return head, b""
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head, await asyncio.wait_for(self._reader.readexactly(length), 5)

    async def end(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(), 5)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@pytest.fixture
def demo() -> webdemo.WebDemo:
    return webdemo.WebDemo(
        webdemo.parse_arguments(["--env", "cluster1", "--pod", "web-demo-0", "--cluster", "c1"])
    )


@pytest.fixture
async def client(demo: webdemo.WebDemo) -> AsyncIterator[Client]:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(demo.site), "127.0.0.1", 0)
    client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
    yield client
    await client.close()
    server.close()
    await server.wait_closed()


async def test_the_answer_is_the_tutorials(client: Client) -> None:
    client.send(GET)
    head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-pod: web-demo-0\r\nx-cluster: c1\r\n" in head
    assert body == HELLO


async def test_the_configuration_text_ends_the_answer() -> None:
    demo = webdemo.WebDemo(webdemo.parse_arguments(["--env", "e", "--config", "a=b"]))
    assert demo.answer(parse_head(GET)).body == b"This is env e ! Config file is a=b\n"


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    post = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"
    client.send(GET + post + b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n" + GET)
    assert (await client.answer())[1] == HELLO
    assert b'"bodyLength": 3' in (await client.answer())[1]
    head, _ = await client.answer(with_body=False)
    assert b"content-length: 39\r\n" in head
    assert (await client.answer())[1] == HELLO


async def test_requests_may_come_byte_by_byte(client: Client) -> None:
    for byte in b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi" + GET:
        client.send(bytes((byte,)))
        await asyncio.sleep(0)
    assert b'"bodyLength": 2' in (await client.answer())[1]
    assert (await client.answer())[1] == HELLO


async def test_chunked_bodies_are_counted_without_their_framing(client: Client) -> None:
    head = b"PUT /echo?x=1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    client.send(head + b"5;ext=1\r\nhello\r\n3\r\nabc\r\n0\r\ntrailer: x\r\n\r\n" + GET)
    body = (await client.answer())[1]
    assert b'"method": "PUT"' in body
    assert b'"query": "x=1"' in body
    assert b'"bodyLength": 8' in body
    assert (await client.answer())[1] == HELLO


async def test_a_client_that_expects_it_is_told_to_continue(client: Client) -> None:
    client.send(b"POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n")
    assert (await client.answer())[0] == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"x")
    assert b'"bodyLength": 1' in (await client.answer())[1]


@pytest.mark.parametrize(
    "request_head",
    [b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"],
    ids=["close", "http-1.0"],
)
async def test_the_connection_ends_when_the_client_says_so(client: Client, request_head: bytes) -> None:
    client.send(request_head)
    head, _ = await client.answer()
    assert b"connection: close\r\n" in head
    assert await client.end() == b""


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * MAX_HEAD_BYTES, 431),
    ],
)
async def test_malformed_or_unsupported_requests_are_refused(
    client: Client, request_bytes: bytes, status: int
) -> None:
    client.send(request_bytes)
    head, _ = await client.answer()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close\r\n" in head


def test_repeated_headers_are_joined() -> None:
    request = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2 \r\n\r\n")
    assert request.headers() == {"host": "a", "x-a": "1, 2"}


def test_a_head_with_a_control_character_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse_head(b"GET / HTTP/1.1\r\nhost: a\r\nx: \x00\r\n\r\n")
