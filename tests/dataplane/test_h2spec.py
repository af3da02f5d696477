"""The cases of h2spec (github.com/summerwind/h2spec) in words of our own, in the clear and over TLS.

A case is named as there: specification, section, number. h2spec was written for RFC 7540 and RFC 7541: its
sections are theirs. Where it accepts any error, or a connection that just closes, this table demands what RFC
9113 does, and GOAWAY before the end (§5.4.1: a SHOULD). A stream error may always be a connection error with
the same code (§5.4.2).
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import groupby
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.support.http2client import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HAS_PRIORITY,
    INCREMENTAL,
    MOST_WINDOW,
    NEVER_INDEXED,
    PADDED,
    PREFACE,
    WITHOUT_INDEXING,
    Code,
    Ending,
    Fields,
    Http2Client,
    Kind,
    Setting,
    block,
    continuation,
    data,
    dependency,
    frame,
    goaway,
    headers,
    indexed,
    integer,
    literal,
    ping,
    priority,
    reset,
    settings,
    string,
    table_size,
    window_update,
)
from tests.support.origin import Origin
from tests.support.snapshots import route, service
from tests.support.twoports import serve_two_ports
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/h2spec"  # the endpoint answers with it, so DATA has seven bytes
UNKNOWN_KIND = 0x16
UNKNOWN_SETTING = 0xFF
UNKNOWN_CODE = 0xFF
UNDEFINED_FLAGS = 0x16  # all but that of ACK
RESERVED_BIT = 1 << 31
DEFAULT_TABLE = 4096
USER_AGENT = 58  # its index in the static table
BEYOND = 70  # the static table has 61 entries, and the dynamic table none

Step = bytes | Callable[[Http2Client], Awaitable[None]]
"""Bytes to send, or something else to do."""
Expectation = Callable[[Http2Client], Awaitable[None]]


class Case(NamedTuple):
    section: str
    steps: tuple[Step, ...]  # what the client does
    expected: Expectation  # what has to come of it
    greets: bool = True  # the client has sent and received SETTINGS before


class Target(NamedTuple):
    """Ports to test, and the context of clients of the second."""

    port: int
    tls_port: int
    context: ssl.SSLContext


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def h2_target() -> AsyncIterator[Target]:
    async with Origin() as origin, WorkerProcess() as worker:
        services = (service({"c1": [origin.address]}),)
        ports = await serve_two_ports(worker, (route(0),), services, http2=True)
        yield Target(ports.plain, ports.tls, ports.trusting("h2"))


# Expectations


def answered(stream: int = 1) -> Expectation:
    async def check(client: Http2Client) -> None:
        assert (await client.response(stream)).status == 200

    return check


def connection_error(*codes: Code) -> Expectation:
    async def check(client: Http2Client) -> None:
        await client.expect_goaway(*codes)

    return check


def stream_error(*codes: Code, stream: int = 1) -> Expectation:
    async def check(client: Http2Client) -> None:
        found = await client.fails(stream)
        assert found.how in ("reset", "goaway"), (found, client.frames)
        assert found.code in codes, found
        assert client.answer(stream).status == 0 or client.answer(stream).status >= 400

    return check


def error_on_answered_stream(*codes: Code, stream: int = 1) -> Expectation:
    """Expect what `stream_error` does on a stream whose request was right, and may be answered."""

    async def check(client: Http2Client) -> None:
        found = await client.fails(stream)
        assert found.how in ("reset", "goaway"), (found, client.frames)
        assert found.code in codes, found

    return check


def pong(payload: bytes = b"\0" * 8) -> Expectation:
    async def check(client: Http2Client) -> None:
        await client.expect_pong(payload)
        assert client.ending(None) is None

    return check


async def pong_or_end(client: Http2Client) -> None:
    """Expect the answer to a PING behind a GOAWAY, after which the gateway may close."""
    await client.until(lambda: bool(client.of(Kind.PING)) or client.has_ended)
    assert client.ending(None) in (None, Ending("closed"))


async def settings_first(client: Http2Client) -> None:
    await client.until(lambda: bool(client.frames))
    assert client.frames[0].kind == Kind.SETTINGS
    assert not client.frames[0].flags & ACK


async def ended(client: Http2Client) -> None:
    await client.expect_connection_end()


async def refused_preface(client: Http2Client) -> None:
    """Expect the end: in the clear, bytes that are no preface are a bad request of HTTP/1."""
    await client.expect_connection_end()
    if client.scheme == "https":
        assert client.ending(None) in (Ending("closed"), Ending("goaway", Code.PROTOCOL_ERROR))
    assert client.answers == {}


async def only_the_second_pong(client: Http2Client) -> None:
    await client.expect_pong(b"question")
    assert [got.payload for got in client.of(Kind.PING)] == [b"question"]


async def last_stream_refused(client: Http2Client) -> None:
    last = 1 + 2 * client.settings[Setting.MAX_CONCURRENT_STREAMS]
    await client.expect_reset(last, Code.PROTOCOL_ERROR, Code.REFUSED_STREAM)


async def some_data(client: Http2Client) -> None:
    await client.until(lambda: bool(client.of(Kind.DATA, 1)))


async def one_byte(client: Http2Client) -> None:
    """Expect DATA of the one byte that the window allows."""
    await some_data(client)
    await client.send(ping(b"no more!"))
    await client.expect_pong(b"no more!")
    assert [len(got.payload) for got in client.of(Kind.DATA, 1)] == [1]


async def one_more_byte(client: Http2Client) -> None:
    """Expect DATA of one byte behind the three that had gone before."""
    await client.until(lambda: len(client.answer(1).body) > 3)
    await client.send(ping(b"no more!"))
    await client.expect_pong(b"no more!")
    assert len(client.answer(1).body) == 4


# Steps that are no bytes


async def response_comes(client: Http2Client) -> None:
    assert (await client.response(1)).status == 200


async def settings_acknowledged(client: Http2Client) -> None:
    """Wait for the acknowledgement of the second SETTINGS; the first are those of the greeting."""
    await client.until(lambda: client.acknowledged >= 2)


async def last_settings_acknowledged(client: Http2Client) -> None:
    await client.until(lambda: client.acknowledged >= 3)


async def three_bytes(client: Http2Client) -> None:
    await client.until(lambda: len(client.answer(1).body) == 3)


async def more_streams_than_allowed(client: Http2Client) -> None:
    allowed = client.settings[Setting.MAX_CONCURRENT_STREAMS]
    fields = client.request(PATH)
    await client.send(*(headers(1 + 2 * number, fields) for number in range(allowed + 1)))


async def table_above_limit(client: Http2Client) -> None:
    limit = client.settings.get(Setting.HEADER_TABLE_SIZE, DEFAULT_TABLE)
    await client.send(headers(1, table_size(limit + 1) + block(client.request(PATH))))


def cases(scheme: str) -> list[Case]:
    fields: Fields = ((":method", "GET"), (":scheme", scheme), (":path", PATH), (":authority", "a"))
    method, scheme_field, path, authority = fields
    post: Fields = ((":method", "POST"), *fields[1:])
    more: Fields = (("x-more", "x" * 1000),)
    half = len(block(fields)) // 2
    no_window = settings((Setting.INITIAL_WINDOW_SIZE, 0))

    def got(*extra: tuple[str, str]) -> bytes:
        return headers(1, fields + extra)

    def with_block(raw: bytes) -> bytes:
        return headers(1, block(fields) + raw)

    begun = headers(1, fields, whole=False)  # a header block that goes on
    begun_post = headers(1, post, ends=False, whole=False)
    opened = headers(1, post, ends=False)  # a request whose body goes on
    # Without a window the response stays unfinished, so the stream is half-closed for as long as it takes
    half_closed = no_window + got()

    # RFC 9113 §5.4.1 and §6.7: PING belongs to stream 0
    bad_ping = frame(Kind.PING, 0, 3, b"\0" * 8)
    unknown = frame(UNKNOWN_KIND, 0, 0, b"\0" * 8)
    huffman_name = bytes.fromhex("25a849e95ba97d7f")  # custom-key (RFC 7541 §C.4.3)
    huffman_value = bytes.fromhex("25a849e95bb8e8b4bf")  # custom-value

    def huffman_literal(form: int, bits: int) -> bytes:
        named = integer(0, bits, form) + string(huffman_name, huffman=True)
        return named + string(huffman_value, huffman=True)

    def huffman_indexed(form: int, bits: int) -> bytes:
        return integer(USER_AGENT, bits, form) + string(huffman_value, huffman=True)

    def bad_huffman(code: str) -> bytes:
        return literal("x-test", "")[:-1] + string(bytes.fromhex(code), huffman=True)

    protocol_error = connection_error(Code.PROTOCOL_ERROR)
    size_error = connection_error(Code.FRAME_SIZE_ERROR)
    compression_error = connection_error(Code.COMPRESSION_ERROR)
    malformed = stream_error(Code.PROTOCOL_ERROR)
    return [
        # What every endpoint can do
        Case("generic/1", (PREFACE + settings((Setting.INITIAL_WINDOW_SIZE, 65535)),), settings_first, False),
        Case("generic/2", (priority(1, weight=255), ping()), pong()),
        Case("generic/2", (half_closed, window_update(1, 1)), some_data),
        Case("generic/2", (half_closed, priority(1, weight=255), window_update(1, 1)), some_data),
        Case("generic/2", (half_closed, reset(1), ping()), pong()),
        Case("generic/2", (got(), response_comes, priority(1, weight=255), ping()), pong()),
        Case("generic/3.1", (opened, data(1, b"test")), answered()),
        Case("generic/3.1", (opened, data(1, b"test", ends=False), data(1, b"test")), answered()),
        Case(
            "generic/3.1",
            (opened, frame(Kind.DATA, END_STREAM | PADDED, 1, b"\x05test" + b"\0" * 5)),
            answered(),
        ),
        Case("generic/3.2", (got(),), answered()),
        Case("generic/3.2", (headers(1, b"\x08" + block(fields) + b"\0" * 8, flags=PADDED),), answered()),
        Case(
            "generic/3.2",
            (headers(1, dependency(weight=255) + block(fields), flags=HAS_PRIORITY),),
            answered(),
        ),
        Case("generic/3.3", (priority(1, weight=0), got()), answered()),
        Case("generic/3.3", (priority(1, weight=255), got()), answered()),
        Case("generic/3.3", (priority(3, on=1, weight=0), got()), answered()),
        Case("generic/3.3", (priority(1, exclusive=True, weight=0), got()), answered()),
        Case("generic/3.3", (priority(3, weight=255), got()), answered()),
        Case("generic/3.4", (opened, reset(1), ping()), pong()),
        Case(
            "generic/3.5",
            (
                settings(
                    (Setting.HEADER_TABLE_SIZE, 4096),
                    (Setting.ENABLE_PUSH, 1),
                    (Setting.MAX_CONCURRENT_STREAMS, 100),
                    (Setting.INITIAL_WINDOW_SIZE, 65535),
                    (Setting.MAX_FRAME_SIZE, 16384),
                    (Setting.MAX_HEADER_LIST_SIZE, 100),
                ),
            ),
            settings_acknowledged,
        ),
        Case("generic/3.7", (ping(),), pong()),
        Case("generic/3.8", (goaway(debug=b"farewell"), ping()), pong_or_end),
        Case("generic/3.9", (window_update(0, 1), ping()), pong()),
        Case("generic/3.9", (half_closed, window_update(1, MOST_WINDOW)), answered()),
        Case(
            "generic/3.10",
            (headers(1, block(fields)[:half], whole=False), continuation(1, block(fields)[half:])),
            answered(),
        ),
        Case(
            "generic/3.10",
            (
                headers(1, block(fields)[:5], whole=False),
                continuation(1, block(fields)[5:half], whole=False),
                continuation(1, block(fields)[half:]),
            ),
            answered(),
        ),
        Case("generic/4", (got(),), answered()),
        Case("generic/4", (headers(1, ((":method", "HEAD"), *fields[1:])),), answered()),
        Case("generic/4", (opened, data(1, b"test")), answered()),
        Case(
            "generic/4",
            (
                headers(1, (*post, ("trailer", "x-test")), ends=False),
                data(1, b"test", ends=False),
                headers(1, (("x-test", "ok"),)),
            ),
            answered(),
        ),
        Case("generic/5", (with_block(indexed(USER_AGENT)),), answered()),
        Case("generic/5", (with_block(literal(USER_AGENT, "test", INCREMENTAL)),), answered()),
        Case("generic/5", (with_block(huffman_indexed(INCREMENTAL, 6)),), answered()),
        Case("generic/5", (with_block(literal("x-test", "test", INCREMENTAL)),), answered()),
        Case("generic/5", (with_block(huffman_literal(INCREMENTAL, 6)),), answered()),
        Case("generic/5", (with_block(literal(USER_AGENT, "test")),), answered()),
        Case("generic/5", (with_block(huffman_indexed(WITHOUT_INDEXING, 4)),), answered()),
        Case("generic/5", (with_block(literal("x-test", "test")),), answered()),
        Case("generic/5", (with_block(huffman_literal(WITHOUT_INDEXING, 4)),), answered()),
        Case("generic/5", (with_block(literal(USER_AGENT, "test", NEVER_INDEXED)),), answered()),
        Case("generic/5", (with_block(huffman_indexed(NEVER_INDEXED, 4)),), answered()),
        Case("generic/5", (with_block(literal("x-test", "test", NEVER_INDEXED)),), answered()),
        Case("generic/5", (with_block(huffman_literal(NEVER_INDEXED, 4)),), answered()),
        Case("generic/5", (headers(1, table_size(128) + block(fields)),), answered()),
        Case("generic/5", (headers(1, table_size(128) + table_size(4096) + block(fields)),), answered()),
        # Preface (RFC 9113 §3.4)
        Case("http2/3.5", (PREFACE + settings((Setting.INITIAL_WINDOW_SIZE, 65535)),), settings_first, False),
        Case("http2/3.5", (b"NO PREFACE OF HTTP/2\r\n\r\n",), refused_preface, False),
        # Frames (§4)
        Case("http2/4.1", (unknown, ping()), pong()),
        Case("http2/4.1", (frame(Kind.PING, UNDEFINED_FLAGS, 0, b"\0" * 8),), pong()),
        Case("http2/4.1", (frame(Kind.PING, UNDEFINED_FLAGS, RESERVED_BIT, b"\0" * 8),), pong()),
        Case("http2/4.2", (opened, data(1, b"x" * FRAME_BYTES)), answered()),
        Case("http2/4.2", (opened, data(1, b"x" * (FRAME_BYTES + 1))), stream_error(Code.FRAME_SIZE_ERROR)),
        Case("http2/4.2", (with_block(literal("x-long", "x" * FRAME_BYTES)),), size_error),
        Case("http2/4.3", (headers(1, bytes((INCREMENTAL,))),), compression_error),
        Case("http2/4.3", (begun, priority(1, weight=255), continuation(1, more)), protocol_error),
        Case("http2/4.3", (begun, headers(3, fields), continuation(1, more)), protocol_error),
        # Idle streams (§5.1): RST_STREAM may not be sent on them (§6.4), so each of these ends the connection
        Case("http2/5.1", (data(1, b"test"),), connection_error(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
        Case("http2/5.1", (reset(1),), protocol_error),
        Case("http2/5.1", (window_update(1, 100),), protocol_error),
        Case("http2/5.1", (continuation(1, fields),), protocol_error),
        # Half-closed streams
        Case("http2/5.1", (half_closed, data(1, b"test")), error_on_answered_stream(Code.STREAM_CLOSED)),
        Case("http2/5.1", (half_closed, got()), error_on_answered_stream(Code.STREAM_CLOSED)),
        Case("http2/5.1", (half_closed, continuation(1, fields)), protocol_error),  # §6.10 goes before
        # Streams that the client has reset
        Case("http2/5.1", (opened, reset(1), data(1, b"test")), stream_error(Code.STREAM_CLOSED)),
        Case("http2/5.1", (opened, reset(1), got()), stream_error(Code.STREAM_CLOSED)),
        Case("http2/5.1", (opened, reset(1), continuation(1, more)), protocol_error),
        # Streams that are over
        Case(
            "http2/5.1",
            (got(), response_comes, data(1, b"test")),
            error_on_answered_stream(Code.STREAM_CLOSED),
        ),
        Case("http2/5.1", (got(), response_comes, got()), connection_error(Code.STREAM_CLOSED)),
        Case("http2/5.1", (got(), response_comes, continuation(1, more)), protocol_error),
        Case("http2/5.1.1", (headers(2, fields),), protocol_error),
        Case("http2/5.1.1", (headers(5, fields), headers(3, fields)), protocol_error),
        Case("http2/5.1.2", (no_window, more_streams_than_allowed), last_stream_refused),
        # RFC 7540 §5.3.1; RFC 9113 does without dependencies, and no longer forbids these
        Case(
            "http2/5.3.1",
            (headers(1, dependency(on=1) + block(fields), flags=HAS_PRIORITY),),
            error_on_answered_stream(Code.PROTOCOL_ERROR),
        ),
        Case("http2/5.3.1", (priority(1, on=1),), stream_error(Code.PROTOCOL_ERROR)),
        Case("http2/5.4.1", (bad_ping,), ended),
        Case("http2/5.4.1", (bad_ping,), protocol_error),  # h2spec asks for this one only with --strict
        Case("http2/5.5", (unknown, ping()), pong()),
        Case("http2/5.5", (begun, unknown), protocol_error),
        # DATA (§6.1)
        Case("http2/6.1", (data(0, b"test"),), protocol_error),
        Case(
            "http2/6.1",
            (no_window + headers(1, post), data(1, b"test")),
            error_on_answered_stream(Code.STREAM_CLOSED),
        ),
        Case(
            "http2/6.1",
            (
                headers(1, (*post, ("content-length", "4")), ends=False),
                frame(Kind.DATA, END_STREAM | PADDED, 1, b"\x06test"),
            ),
            protocol_error,
        ),
        # HEADERS (§6.2)
        Case("http2/6.2", (begun, priority(1, weight=255), continuation(1, more)), protocol_error),
        Case("http2/6.2", (begun, headers(3, fields), continuation(1, more)), protocol_error),
        Case("http2/6.2", (headers(0, fields),), protocol_error),
        Case(
            "http2/6.2",
            (headers(1, bytes((len(block(fields)) + 2,)) + block(fields), flags=PADDED),),
            protocol_error,  # of the connection: the block is lost, and with it the table (§4.3)
        ),
        # PRIORITY (§6.3)
        Case("http2/6.3", (priority(0, weight=255),), protocol_error),
        Case(
            "http2/6.3",
            (half_closed, frame(Kind.PRIORITY, 0, 1, b"\x80\0\0\x01")),
            error_on_answered_stream(Code.FRAME_SIZE_ERROR),
        ),
        # RST_STREAM (§6.4)
        Case("http2/6.4", (reset(0),), protocol_error),
        Case("http2/6.4", (reset(1),), protocol_error),
        Case("http2/6.4", (half_closed, frame(Kind.RST_STREAM, 0, 1, b"\0" * 3)), size_error),
        # SETTINGS (§6.5)
        Case("http2/6.5", (frame(Kind.SETTINGS, ACK, 0, b"\0"),), size_error),
        Case("http2/6.5", (frame(Kind.SETTINGS, 0, 1, b"\0\x03\0\0\0\x64"),), protocol_error),
        Case("http2/6.5", (frame(Kind.SETTINGS, 0, 0, b"\0\x03\0"),), size_error),
        Case("http2/6.5.2", (settings((Setting.ENABLE_PUSH, 2)),), protocol_error),
        Case(
            "http2/6.5.2",
            (settings((Setting.INITIAL_WINDOW_SIZE, MOST_WINDOW + 1)),),
            connection_error(Code.FLOW_CONTROL_ERROR),
        ),
        Case("http2/6.5.2", (settings((Setting.MAX_FRAME_SIZE, 16383)),), protocol_error),
        Case("http2/6.5.2", (settings((Setting.MAX_FRAME_SIZE, 1 << 24)),), protocol_error),
        Case("http2/6.5.2", (settings((UNKNOWN_SETTING, 1)), ping()), pong()),
        Case(
            "http2/6.5.3",
            (
                settings((Setting.INITIAL_WINDOW_SIZE, 100), (Setting.INITIAL_WINDOW_SIZE, 1)),
                settings_acknowledged,
                got(),
            ),
            one_byte,
        ),
        Case("http2/6.5.3", (settings((Setting.ENABLE_PUSH, 0)),), settings_acknowledged),
        # PING (§6.7)
        Case("http2/6.7", (ping(b"question"),), pong(b"question")),
        Case("http2/6.7", (ping(b"answered", ack=True), ping(b"question")), only_the_second_pong),
        Case("http2/6.7", (frame(Kind.PING, 0, 1, b"\0" * 8),), protocol_error),
        Case("http2/6.7", (frame(Kind.PING, 0, 0, b"\0" * 6),), size_error),
        # GOAWAY (§6.8)
        Case("http2/6.8", (goaway(stream=1),), protocol_error),
        # WINDOW_UPDATE (§6.9)
        Case("http2/6.9", (window_update(0, 0),), protocol_error),
        Case("http2/6.9", (opened, window_update(1, 0)), stream_error(Code.PROTOCOL_ERROR)),
        Case("http2/6.9", (frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\x01"),), size_error),
        Case(
            "http2/6.9.1",
            (settings((Setting.INITIAL_WINDOW_SIZE, 1)), settings_acknowledged, got()),
            one_byte,
        ),
        Case(
            "http2/6.9.1",
            (window_update(0, MOST_WINDOW), window_update(0, MOST_WINDOW)),
            connection_error(Code.FLOW_CONTROL_ERROR),
        ),
        Case(
            "http2/6.9.1",
            (opened, window_update(1, MOST_WINDOW), window_update(1, MOST_WINDOW)),
            stream_error(Code.FLOW_CONTROL_ERROR),
        ),
        Case(
            "http2/6.9.2",
            (no_window, settings_acknowledged, got(), settings((Setting.INITIAL_WINDOW_SIZE, 1))),
            one_byte,
        ),
        Case(
            "http2/6.9.2",
            (
                settings((Setting.INITIAL_WINDOW_SIZE, 3)),
                settings_acknowledged,
                got(),
                three_bytes,
                settings((Setting.INITIAL_WINDOW_SIZE, 2)),
                last_settings_acknowledged,
                window_update(1, 2),
            ),
            one_more_byte,
        ),
        Case(
            "http2/6.9.2",
            (settings((Setting.INITIAL_WINDOW_SIZE, MOST_WINDOW + 1)),),
            connection_error(Code.FLOW_CONTROL_ERROR),
        ),
        # CONTINUATION (§6.10)
        Case("http2/6.10", (begun, continuation(1, more, whole=False), continuation(1, more)), answered()),
        Case(
            "http2/6.10", (begun_post, continuation(1, more, whole=False), data(1, b"test")), protocol_error
        ),
        Case("http2/6.10", (begun, continuation(0, more)), protocol_error),
        Case("http2/6.10", (half_closed, continuation(1, more)), protocol_error),
        Case("http2/6.10", (no_window, begun, continuation(1, more), continuation(1, more)), protocol_error),
        Case(
            "http2/6.10",
            (begun_post, data(1, b"test"), continuation(1, more, whole=False), continuation(0, more)),
            protocol_error,
        ),
        # Error codes (§7)
        Case("http2/7", (goaway(UNKNOWN_CODE), ping()), pong_or_end),
        Case("http2/7", (opened, reset(1, UNKNOWN_CODE), ping()), pong()),
        # Messages (§8)
        Case(
            "http2/8.1",
            (opened, data(1, b"test", ends=False), headers(1, (("x-test", "ok"),), ends=False)),
            malformed,
        ),
        Case("http2/8.1.2", (got(("X-TEST", "ok")),), malformed),
        Case("http2/8.1.2.1", (got((":test", "ok")),), malformed),
        Case("http2/8.1.2.1", (got((":status", "200")),), malformed),
        Case("http2/8.1.2.1", (opened, data(1, b"test", ends=False), headers(1, (method,))), malformed),
        Case("http2/8.1.2.1", (headers(1, (("x-test", "ok"), *fields)),), malformed),
        Case("http2/8.1.2.2", (got(("connection", "keep-alive")),), malformed),
        Case("http2/8.1.2.2", (got(("trailers", "test"), ("te", "trailers, deflate")),), malformed),
        Case("http2/8.1.2.3", (headers(1, (method, scheme_field, (":path", ""), authority)),), malformed),
        Case("http2/8.1.2.3", (headers(1, (scheme_field, path, authority)),), malformed),
        Case("http2/8.1.2.3", (headers(1, (method, path, authority)),), malformed),
        Case("http2/8.1.2.3", (headers(1, (method, scheme_field, authority)),), malformed),
        Case("http2/8.1.2.3", (got(method),), malformed),
        Case("http2/8.1.2.3", (got(scheme_field),), malformed),
        Case("http2/8.1.2.3", (got(path),), malformed),
        Case(
            "http2/8.1.2.6",
            (headers(1, (*post, ("content-length", "1")), ends=False), data(1, b"test")),
            malformed,
        ),
        Case(
            "http2/8.1.2.6",
            (
                headers(1, (*post, ("content-length", "1")), ends=False),
                data(1, b"test", ends=False),
                data(1, b"test"),
            ),
            malformed,
        ),
        Case(
            "http2/8.2",
            (frame(Kind.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x03" + block(fields)),),
            protocol_error,
        ),
        # Header compression (RFC 7541)
        Case("hpack/2.3.3", (with_block(indexed(BEYOND)),), compression_error),
        Case("hpack/2.3.3", (with_block(literal(BEYOND, "", INCREMENTAL)),), compression_error),
        Case("hpack/4.2", (with_block(table_size(1)),), compression_error),
        # The letter a is 00011, EOS is thirty ones, padding is the beginning of EOS, of seven bits at most
        Case("hpack/5.2", (with_block(bad_huffman("1fff")),), compression_error),
        Case("hpack/5.2", (with_block(bad_huffman("18")),), compression_error),
        Case("hpack/5.2", (with_block(bad_huffman("1fffffffe3")),), compression_error),
        Case("hpack/6.1", (with_block(b"\x80"),), compression_error),
        Case("hpack/6.3", (table_above_limit,), compression_error),
    ]


def numbered() -> list[Any]:
    """Return the cases with their names, over both transports."""
    return [
        pytest.param(case, transport, id=f"{section}/{number}-{transport}")
        for transport, scheme in (("h2c", "http"), ("tls", "https"))
        for section, group in groupby(cases(scheme), key=lambda case: case.section)
        for number, case in enumerate(group, 1)
    ]


async def test_the_table_is_complete() -> None:
    """h2spec has 146 cases, and one more with --strict."""
    assert len(numbered()) == 2 * 147
    assert len({param.id for param in numbered()}) == len(numbered())


@pytest.mark.parametrize(("case", "transport"), numbered())
async def test_h2spec(h2_target: Target, case: Case, transport: str) -> None:
    client = await Http2Client.connect(
        h2_target.tls_port if transport == "tls" else h2_target.port,
        tls=h2_target.context if transport == "tls" else None,
        greets=case.greets,
    )
    try:
        for step in case.steps:
            if isinstance(step, bytes):
                await client.send(step)
            else:
                await step(client)
        await case.expected(client)
    finally:
        await client.close()
