"""Attacks by clients of HTTP/2, with the end that each must have, and honest requests that look alike.

Requests of an attack name their path by what may become of them: not one byte of NEVER reaches an endpoint,
PARTIAL is never a complete request there, and FINE is meant for it.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from hpack import Encoder

from tests.support.http2client import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HAS_PRIORITY,
    INCREMENTAL,
    MOST_WINDOW,
    PADDED,
    PREFACE,
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

NEVER: Final = "/never"
PARTIAL: Final = "/partial"
FINE: Final = "/fine"
STALLED: Final = "/stalled"  # its endpoint accepts connections, and reads nothing
SMUGGLED: Final = "smuggled"  # is in every text that only a gateway that was deceived would pass on

Step = bytes | Callable[[Http2Client], Awaitable[None]]
"""Bytes to send, or something else to do."""


class Attack(NamedTuple):
    name: str
    steps: tuple[Step, ...]
    ends: tuple[Ending, ...]  # the ways that are right
    stream: int | None = 1  # that ends so; None: the whole connection
    relief: bytes = b""  # lets the connection go on after a stream error
    greets: bool = True  # preface and SETTINGS have been exchanged before
    bodies: tuple[bytes, ...] = ()  # of PARTIAL requests that look right until more comes


class Honest(NamedTuple):
    """A request that a client may make."""

    name: str
    steps: tuple[Step, ...]
    answered: tuple[int, ...] = ()  # the streams that get 200


def _goaway(*codes: Code) -> tuple[Ending, ...]:
    return tuple(Ending("goaway", code) for code in codes)


def _either(*codes: Code) -> tuple[Ending, ...]:
    """A stream error, or the connection error that it may be instead (RFC 9113 §5.4.2)."""
    return tuple(Ending("reset", code) for code in codes) + _goaway(*codes)


def _answer(*statuses: int) -> tuple[Ending, ...]:
    return tuple(Ending("answer", status) for status in statuses)


CALM: Final = _goaway(Code.ENHANCE_YOUR_CALM)
LOST: Final = _goaway(Code.COMPRESSION_ERROR)  # the table is lost, and the connection with it
BROKEN: Final = _goaway(Code.PROTOCOL_ERROR)
SIZE: Final = _goaway(Code.FRAME_SIZE_ERROR)
MALFORMED: Final = _either(Code.PROTOCOL_ERROR)  # RFC 9113 §8.1.1 demands it
BAD: Final = MALFORMED + _answer(400)  # RFC 9113 leaves it open; HTTP/1 answers 400
TOO_LARGE: Final = _answer(431)

_BURST: Final = 400  # the gateway allows 200 streams that come to nothing, and 30 more each second
_MANY: Final = 1500  # and 500 frames that do nothing, and 50 more each second
_FIRST_DYNAMIC: Final = 62  # the newest entry of the dynamic table
_NO_WINDOW: Final = settings((Setting.INITIAL_WINDOW_SIZE, 0))


def _ask(path: str = NEVER, *more: tuple[str, str], method: str = "GET", scheme: str = "http") -> Fields:
    return (":method", method), (":scheme", scheme), (":authority", "a"), (":path", path), *more


def _post(path: str, *more: tuple[str, str]) -> Fields:
    return _ask(path, *more, method="POST")


def _without(name: str) -> Fields:
    return tuple(field for field in _ask() if field[0] != name)


def _with(name: str, value: str) -> Fields:
    """Return a request with another value of a pseudo-header field."""
    return tuple((key, value if key == name else old) for key, old in _ask())


def _streams(count: int, first: int = 1) -> Iterable[int]:
    return range(first, first + 2 * count, 2)


def _each(make: Callable[[int], bytes], count: int = _BURST) -> tuple[bytes]:
    """Return the same on many streams."""
    return (b"".join(make(stream) for stream in _streams(count)),)


_OPENED: Final = headers(1, _post(PARTIAL), ends=False)  # the body goes on
# Without a window the response stays unfinished, so the stream is half-closed for as long as it takes
_HALF_CLOSED: Final = _NO_WINDOW + headers(1, _ask(FINE))
_BEGUN: Final = headers(1, _ask(), whole=False)  # the header block goes on
_UNKNOWN: Final = 0x16  # a type of frame
_PRIORITY_UPDATE: Final = 0x10  # RFC 9218 §7.1

FLOODS: Final = [
    # CVE-2023-44487: streams that the client itself resets do not count for MAX_CONCURRENT_STREAMS
    Attack("rapid-reset", _each(lambda s: headers(s, _ask(FINE)) + reset(s)), CALM, None),
    Attack(
        "rapid-reset-of-uploads",
        _each(lambda s: headers(s, _post(PARTIAL), ends=False) + reset(s)),
        CALM,
        None,
    ),
    Attack(
        "rapid-reset-with-no-error",
        _each(lambda s: headers(s, _ask(FINE)) + reset(s, Code.NO_ERROR)),
        CALM,
        None,
    ),
    # CVE-2025-8671, MadeYouReset: the client makes the gateway reset streams, for nothing but frames
    Attack(
        "made-you-reset-by-window-update-of-0",
        _each(lambda s: headers(s, _post(PARTIAL), ends=False) + window_update(s, 0)),
        CALM + BROKEN,
        None,
    ),
    Attack(
        "made-you-reset-by-window-overflow",
        _each(lambda s: headers(s, _post(PARTIAL), ends=False) + window_update(s, MOST_WINDOW)),
        CALM + _goaway(Code.FLOW_CONTROL_ERROR),
        None,
    ),
    Attack(
        "made-you-reset-by-data-when-half-closed",
        (_NO_WINDOW, *_each(lambda s: headers(s, _ask(FINE)) + data(s, b"x"))),
        CALM + _goaway(Code.STREAM_CLOSED),
        None,
    ),
    Attack(
        "made-you-reset-by-headers-when-half-closed",
        (_NO_WINDOW, *_each(lambda s: headers(s, _ask(FINE)) + headers(s, (("x", "y"),)))),
        CALM + _goaway(Code.STREAM_CLOSED),
        None,
    ),
    Attack(
        "made-you-reset-by-priority-of-4-bytes",
        _each(lambda s: headers(s, _post(PARTIAL), ends=False) + frame(Kind.PRIORITY, 0, s, b"\0" * 4)),
        CALM + SIZE,
        None,
    ),
    Attack(
        "made-you-reset-by-dependence-on-itself",
        _each(lambda s: headers(s, _post(PARTIAL), ends=False) + priority(s, on=s), _MANY),
        CALM + BROKEN,
        None,
    ),
    Attack(
        "made-you-reset-by-malformed-requests",
        _each(lambda s: headers(s, _ask(NEVER, ("X", "y")))),
        CALM,
        None,
    ),
    Attack(
        "made-you-reset-by-content-length",
        _each(lambda s: headers(s, _post(NEVER, ("content-length", "1")))),
        CALM,
        None,
    ),
    Attack(
        "made-you-reset-by-too-long-bodies",
        _each(lambda s: headers(s, _post(PARTIAL, ("content-length", "1")), ends=False) + data(s, b"xx")),
        CALM,
        None,
    ),
    Attack(
        "made-you-reset-by-trailers-that-do-not-end",
        _each(lambda s: headers(s, _post(PARTIAL), ends=False) + headers(s, (("x", "y"),), ends=False)),
        CALM,
        None,
    ),
    Attack(
        "refused-streams", _each(lambda s: headers(s, _post(PARTIAL), ends=False), 128 + _BURST), CALM, None
    ),
    # CVE-2024-27316 and others: a header block without end
    Attack(
        "continuation-of-1-byte",
        (headers(1, b"", whole=False), *(continuation(1, bytes((b,)), whole=False) for b in block(_ask()))),
        CALM,
        None,
    ),
    Attack("continuation-of-0-bytes", (_BEGUN, continuation(1, b"", whole=False) * 2000), CALM, None),
    Attack(
        "continuation-above-64-kib",
        (_BEGUN, continuation(1, literal("x", "y" * (FRAME_BYTES - 6)), whole=False) * 5),
        CALM,
        None,
    ),
    Attack(
        "continuation-that-ends-at-last",
        (_BEGUN, continuation(1, (("x", "y"),), whole=False) * 20, continuation(1, b"")),
        CALM,
        None,
    ),
    Attack(
        "continuation-of-trailers",
        (_OPENED, headers(1, (("x", "y"),), whole=False), continuation(1, (("x", "y"),), whole=False) * 20),
        CALM,
        None,
    ),
    # Frames that cost the client nine bytes, and do nothing (CVE-2019-9512, -9513, -9515, -9518)
    Attack("settings", (settings() * _MANY,), CALM, None),
    Attack("settings-of-many-values", (settings(*((0xFF, 1),) * 2000) * (_MANY // 2),), CALM, None),
    Attack("settings-acknowledgements", (frame(Kind.SETTINGS, ACK, 0) * _MANY,), CALM + BROKEN, None),
    Attack(
        "settings-that-move-all-windows",
        (
            *_each(lambda s: headers(s, _post(PARTIAL), ends=False), 100),
            (settings((Setting.INITIAL_WINDOW_SIZE, 0)) + settings((Setting.INITIAL_WINDOW_SIZE, 65535)))
            * _MANY,
        ),
        CALM,
        None,
    ),
    Attack("settings-of-the-table-size", (settings((Setting.HEADER_TABLE_SIZE, 0)) * _MANY,), CALM, None),
    Attack("ping", (ping() * _MANY,), CALM, None),
    Attack("ping-acknowledgements", (ping(ack=True) * _MANY,), CALM, None),
    Attack("priority-of-an-idle-stream", (priority(1) * _MANY,), CALM, None),
    Attack("priority-of-many-streams", _each(lambda s: priority(s, on=s + 2), _MANY), CALM, None),
    Attack("priority-update", (frame(_PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1") * _MANY,), CALM, None),
    Attack("empty-data", (_OPENED, data(1, ends=False) * _MANY), CALM, None),
    Attack("data-of-padding-only", (_OPENED, frame(Kind.DATA, PADDED, 1, b"\x03\0\0\0") * _MANY), CALM, None),
    Attack("unknown-frames", (frame(_UNKNOWN, 0, 0) * _MANY,), CALM, None),
    Attack("unknown-frames-on-a-stream", (_OPENED, frame(_UNKNOWN, 0, 1, b"x") * _MANY), CALM, None),
]


async def _stalled_upload(client: Http2Client) -> None:
    """Send far more than the windows, and what the kernel keeps for an endpoint that reads nothing."""
    await client.send(headers(1, _post(STALLED), ends=False))
    await client.send(data(1, b"x" * FRAME_BYTES, ends=False) * 1024)


async def _one_above_the_limit(client: Http2Client) -> None:
    assert client.settings[Setting.MAX_CONCURRENT_STREAMS] == 128
    await client.send(*_each(lambda s: headers(s, _post(PARTIAL), ends=False), 129))


FLOW_CONTROL: Final = [
    Attack("window-update-of-0-on-the-connection", (window_update(0, 0),), BROKEN, None),
    Attack("window-update-of-0-on-a-stream", (_OPENED, window_update(1, 0)), MALFORMED),
    Attack(
        "window-overflow-on-the-connection",
        (window_update(0, MOST_WINDOW) * 2,),
        _goaway(Code.FLOW_CONTROL_ERROR),
        None,
    ),
    Attack(
        "window-overflow-on-a-stream",
        (_OPENED, window_update(1, MOST_WINDOW)),
        _either(Code.FLOW_CONTROL_ERROR),
    ),
    Attack(
        "window-overflow-by-settings",  # RFC 9113 §6.9.2: of an open stream whose window is at its limit
        (_OPENED, window_update(1, MOST_WINDOW - 65535), settings((Setting.INITIAL_WINDOW_SIZE, 65536))),
        _goaway(Code.FLOW_CONTROL_ERROR),
        None,
    ),
    Attack(
        "initial-window-of-31-bits-and-one",
        (settings((Setting.INITIAL_WINDOW_SIZE, MOST_WINDOW + 1)),),
        _goaway(Code.FLOW_CONTROL_ERROR),
        None,
    ),
    Attack("body-beyond-the-window", (_stalled_upload,), _either(Code.FLOW_CONTROL_ERROR)),
    Attack(
        "one-stream-more-than-allowed",
        (_one_above_the_limit,),
        _either(Code.REFUSED_STREAM),
        257,
        relief=reset(1),
    ),
]

FRAMES: Final = [
    Attack("data-too-large", (_OPENED, data(1, b"x" * (FRAME_BYTES + 1))), _either(Code.FRAME_SIZE_ERROR)),
    Attack("headers-too-large", (headers(1, literal("x", "y" * FRAME_BYTES)),), SIZE, None),
    Attack("unknown-too-large", (frame(_UNKNOWN, 0, 0, b"x" * (FRAME_BYTES + 1)),), SIZE, None),
    # The head of a frame is enough to refuse it: what follows must not be waited for
    Attack("frame-of-16-mib", (frame(Kind.HEADERS, END_HEADERS, 1, length=(1 << 24) - 1),), SIZE, None),
    Attack("settings-of-5-bytes", (frame(Kind.SETTINGS, 0, 0, b"\0" * 5),), SIZE, None),
    Attack("settings-acknowledged-with-more", (frame(Kind.SETTINGS, ACK, 0, b"\0" * 6),), SIZE, None),
    Attack("ping-of-7-bytes", (frame(Kind.PING, 0, 0, b"\0" * 7),), SIZE, None),
    Attack("reset-of-5-bytes", (_HALF_CLOSED, frame(Kind.RST_STREAM, 0, 1, b"\0" * 5)), SIZE, None),
    Attack("window-update-of-3-bytes", (frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\1"),), SIZE, None),
    Attack(
        "priority-of-6-bytes",
        (_OPENED, frame(Kind.PRIORITY, 0, 1, b"\0" * 6)),
        _either(Code.FRAME_SIZE_ERROR),
    ),
    Attack("goaway-of-7-bytes", (frame(Kind.GOAWAY, 0, 0, b"\0" * 7),), SIZE, None),
    Attack("padding-without-length", (headers(1, b"", flags=PADDED),), SIZE + BROKEN, None),
    Attack("priority-without-its-bytes", (headers(1, b"\0" * 4, flags=HAS_PRIORITY),), SIZE + BROKEN, None),
    Attack(
        "padding-as-long-as-data",
        (_OPENED, frame(Kind.DATA, END_STREAM | PADDED, 1, b"\x05test")),
        BROKEN,
        None,
    ),
    Attack("padding-longer-than-headers", (headers(1, b"\xff" + block(_ask()), flags=PADDED),), BROKEN, None),
    Attack(
        "padding-that-leaves-no-priority",
        (headers(1, b"\x03" + dependency(), flags=PADDED | HAS_PRIORITY),),
        BROKEN + SIZE,
        None,
    ),
    Attack(
        "push-promise",
        (frame(Kind.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + block(_ask())),),
        BROKEN,
        None,
    ),
    Attack("goaway-on-a-stream", (goaway(stream=1),), BROKEN, None),
    Attack("ping-on-a-stream", (frame(Kind.PING, 0, 1, b"\0" * 8),), BROKEN, None),
    Attack("settings-on-a-stream", (frame(Kind.SETTINGS, 0, 1),), BROKEN, None),
    Attack("data-on-stream-0", (data(0, b"x"),), BROKEN, None),
    Attack("headers-on-stream-0", (headers(0, _ask()),), BROKEN, None),
    Attack("reset-of-stream-0", (reset(0),), BROKEN, None),
    Attack("priority-of-stream-0", (priority(0),), BROKEN, None),
    Attack("continuation-on-stream-0", (_BEGUN, continuation(0, b"")), BROKEN, None),
    Attack("reset-of-an-idle-stream", (reset(1),), BROKEN, None),
    Attack("window-update-of-an-idle-stream", (window_update(1, 1),), BROKEN, None),
    Attack(
        "data-on-an-idle-stream", (data(1, b"x"),), _goaway(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED), None
    ),
    Attack("reset-of-an-idle-even-stream", (reset(2),), BROKEN, None),
    Attack("continuation-of-nothing", (continuation(1, _ask()),), BROKEN, None),
    Attack("even-stream", (headers(2, _ask()),), BROKEN, None),
    Attack("decreasing-streams", (headers(5, _ask(FINE)), headers(3, _ask())), BROKEN, None),
    Attack(
        "headers-on-a-half-closed-stream", (_HALF_CLOSED, headers(1, _ask())), _either(Code.STREAM_CLOSED)
    ),
    Attack("data-on-a-half-closed-stream", (_HALF_CLOSED, data(1, b"x")), _either(Code.STREAM_CLOSED)),
    Attack("ping-in-a-header-block", (_BEGUN, ping(), continuation(1, b"")), BROKEN, None),
    Attack("settings-in-a-header-block", (_BEGUN, settings(), continuation(1, b"")), BROKEN, None),
    Attack("unknown-in-a-header-block", (_BEGUN, frame(_UNKNOWN, 0, 1), continuation(1, b"")), BROKEN, None),
    Attack("headers-in-a-header-block", (_BEGUN, headers(1, _ask())), BROKEN, None),
    Attack("data-in-a-header-block", (_BEGUN, data(1, b"x")), BROKEN, None),
    Attack("continuation-of-another-stream", (_BEGUN, continuation(3, b"")), BROKEN, None),
    Attack("request-instead-of-settings", (PREFACE, headers(1, _ask())), BROKEN, None, greets=False),
    Attack("enable-push-of-2", (settings((Setting.ENABLE_PUSH, 2)),), BROKEN, None),
    Attack("frame-size-of-0", (settings((Setting.MAX_FRAME_SIZE, 0)),), BROKEN, None),
]


def _hostile(raw: bytes) -> tuple[bytes]:
    """Return a header block of a request, with bytes behind it."""
    return (headers(1, block(_ask()) + raw),)


def _huffman(name: str, value: str) -> bytes:
    """Encode a field with Huffman code, and have no table take it."""
    return bytes(Encoder().encode([(name, value, True)], huffman=True))


_GIANT: Final = b"\xff" * 10 + b"\x7f"  # goes on behind a prefix of ones

HPACK: Final = [
    Attack("index-0", _hostile(b"\x80"), LOST, None),
    Attack("index-of-an-empty-table", _hostile(indexed(_FIRST_DYNAMIC)), LOST, None),
    Attack(
        "index-behind-the-table",
        _hostile(literal("x", "y", INCREMENTAL) + indexed(_FIRST_DYNAMIC + 1)),
        LOST,
        None,
    ),
    Attack("name-behind-the-table", _hostile(literal(_FIRST_DYNAMIC, "y")), LOST, None),
    Attack("giant-index", _hostile(b"\xff" + _GIANT), LOST, None),
    Attack("giant-index-of-a-name", _hostile(b"\x7f" + _GIANT), LOST, None),
    Attack("giant-length-of-a-name", _hostile(b"\x00\x7f" + _GIANT), LOST, None),
    Attack("giant-length-of-a-value", _hostile(b"\x00\x01x\x7f" + _GIANT), LOST, None),
    Attack("giant-table", (headers(1, b"\x3f" + _GIANT + block(_ask())),), LOST, None),
    # RFC 7541 §5.1 has no bound for zeros that change nothing; §5.1 lets an implementation set one
    Attack("integer-of-many-zeros", _hostile(b"\xff" + b"\x80" * 4000 + b"\x00"), LOST, None),
    Attack("integer-without-end", _hostile(b"\xff\x80"), LOST, None),
    Attack("string-without-end", _hostile(b"\x00\x05x"), LOST, None),
    Attack(
        "string-of-64-kib-in-20-bytes", _hostile(b"\x00\x01x" + integer(65536, 7) + b"y" * 20), LOST, None
    ),
    Attack("literal-without-value", _hostile(b"\x00\x01x"), LOST, None),
    Attack("size-update-within-a-block", _hostile(table_size(0) + literal("x", "y")), LOST, None),
    Attack("size-update-behind-a-block", _hostile(table_size(0)), LOST, None),
    Attack("size-update-above-the-limit", (headers(1, table_size(1 << 20) + block(_ask())),), LOST, None),
    Attack(
        "size-update-in-trailers", (_OPENED, headers(1, block((("x", "y"),)) + table_size(0))), LOST, None
    ),
    # The letter a is 00011 in Huffman code; padding is at most seven ones, the beginning of EOS
    Attack(
        "huffman-padding-of-8-bits", _hostile(b"\x00\x01x" + string(b"\x1f\xff", huffman=True)), LOST, None
    ),
    Attack("huffman-padding-of-zeros", _hostile(b"\x00\x01x" + string(b"\x18", huffman=True)), LOST, None),
    Attack(
        "huffman-with-eos", _hostile(b"\x00\x01x" + string(b"\x1f\xff\xff\xff\xe3", huffman=True)), LOST, None
    ),
    # CVE-2016-6581: a few bytes that stand for megabytes
    Attack(
        "bomb-of-indexes",
        _hostile(literal("x-bomb", "y" * 3900, INCREMENTAL) + indexed(_FIRST_DYNAMIC) * 8000),
        TOO_LARGE + CALM,
    ),
    Attack(
        "bomb-of-names",
        _hostile(literal("x" * 3900, "y", INCREMENTAL) + literal(_FIRST_DYNAMIC, "z") * 3000),
        TOO_LARGE + CALM,
    ),
    Attack("bomb-of-static-indexes", _hostile(indexed(32) * 8000), TOO_LARGE + CALM),  # empty cookies
    Attack(
        "bomb-of-insertions", _hostile(literal("x", "y", INCREMENTAL) * 3000), TOO_LARGE + CALM
    ),  # each evicts another, in the end
    Attack("101-fields", _hostile(literal("x", "y") * 101), TOO_LARGE),
    Attack(
        "list-above-32-kib",
        (
            _BEGUN,
            continuation(1, literal("x", "y" * 8000), whole=False) * 4,
            continuation(1, literal("x", "y" * 8000)),
        ),
        TOO_LARGE,
    ),
    Attack("field-above-8-kib", _hostile(literal("x", "y" * 9000)), TOO_LARGE + BAD),
    Attack("200-crumbs-of-cookies", _hostile(literal("cookie", "a=b") * 200), TOO_LARGE),
]


def _asked(*more: tuple[str, str]) -> tuple[bytes]:
    """Return a request with more fields."""
    return (headers(1, _ask(NEVER, *more)),)


def _inserted(name: str, value: str) -> tuple[bytes, ...]:
    """Return a request that puts a field into the dynamic table, and one on stream 3 that refers to it.

    The gateway's memory beside an entry of its table must not make a bad field good.
    """
    return (
        headers(1, block(_ask()) + literal(name, value, INCREMENTAL)),
        headers(3, block(_ask()) + indexed(_FIRST_DYNAMIC)),
    )


def _short(path: str) -> bytes:
    """Return the block of a request as browsers make it: everything by index, but the path."""
    return indexed(2) + indexed(6) + literal(4, path) + literal(1, "a")


_FIRST_AFTER_FAMILIAR: Final = 9


def _familiar(path: str) -> tuple[Step, ...]:
    """Return a hostile path in a block that the gateway has seen, and answered, several times.

    The attack is on stream 9. The streams before it have the same block with other paths, and with the same.
    """
    first = (headers(1, _short(FINE)), headers(3, _short(FINE)), headers(5, _short(FINE + "?x")))
    return (*first, headers(7, _short(FINE)), _answers(1, 3, 5, 7), headers(9, _short(path)))


def _answers(*streams: int) -> Callable[[Http2Client], Awaitable[None]]:
    async def wait(client: Http2Client) -> None:
        for stream in streams:
            assert (await client.response(stream)).status == 200

    return wait


_LINE: Final = f"{NEVER} HTTP/1.1\r\nHost: a\r\n\r\nGET /{SMUGGLED}"

PSEUDO: Final = [
    *(
        Attack(f"second-{name[1:]}", (headers(1, (*_ask(), (name, value))),), MALFORMED)
        for name, value in _ask()
    ),
    *(
        Attack(f"no-{name[1:]}", (headers(1, _without(name)),), MALFORMED)
        for name in (":method", ":scheme", ":path")
    ),
    *(
        Attack(f"empty-{name[1:]}", (headers(1, _with(name, "")),), MALFORMED)
        for name in (":method", ":path")
    ),
    Attack("empty-scheme", (headers(1, _with(":scheme", "")),), BAD),
    Attack("empty-authority", (headers(1, _with(":authority", "")),), BAD),
    Attack("no-authority-and-no-host", (headers(1, _without(":authority")),), BAD),
    Attack("no-pseudo-header-fields", (headers(1, (("host", "a"), ("x", "y"))),), MALFORMED),
    Attack("empty-block", (headers(1, b""),), MALFORMED),
    Attack("unknown-pseudo", _asked((":unknown", "x")), MALFORMED),
    Attack("empty-pseudo", _asked((":", "x")), MALFORMED),
    Attack("pseudo-of-responses", _asked((":status", "200")), MALFORMED),
    Attack("pseudo-with-capitals", (headers(1, (*_without(":path"), (":Path", NEVER))),), MALFORMED),
    *(
        Attack(
            f"{name[1:]}-after-fields", (headers(1, (*_without(name), ("x", "y"), (name, value))),), MALFORMED
        )
        for name, value in _ask()
    ),
    Attack(
        "pseudo-in-trailers", (_OPENED, data(1, b"x", ends=False), headers(1, ((":path", NEVER),))), MALFORMED
    ),
    # RFC 8441 §4 has :protocol for CONNECT alone
    Attack("protocol-of-get", _asked((":protocol", "websocket")), MALFORMED),
    Attack(
        "unknown-protocol",
        (headers(1, _ask(NEVER, (":protocol", SMUGGLED), method="CONNECT"), ends=False),),
        BAD + _answer(405, 501),
    ),
    Attack(
        "connect",
        (headers(1, ((":method", "CONNECT"), (":authority", "a:443")), ends=False),),
        BAD + _answer(403, 404, 405, 501),
    ),
    Attack("connect-with-path", (headers(1, _ask(method="CONNECT"), ends=False),), BAD + _answer(405, 501)),
    Attack("connect-without-authority", (headers(1, ((":method", "CONNECT"),)),), BAD + _answer(405, 501)),
    # RFC 9113 §8.3.1: a path begins with a slash, but that of OPTIONS may be an asterisk
    Attack("path-without-slash", (headers(1, _with(":path", NEVER[1:])),), BAD),
    Attack("path-of-an-absolute-url", (headers(1, _with(":path", f"http://b{NEVER}")),), BAD),
    Attack("path-of-an-authority", (headers(1, _with(":path", "a:80")),), BAD),
    Attack("path-of-a-query", (headers(1, _with(":path", f"?{NEVER}")),), BAD),
    Attack("asterisk-of-get", (headers(1, _with(":path", "*")),), BAD),
    Attack("path-with-space", (headers(1, _with(":path", f"{NEVER} x")),), BAD),
    Attack("path-with-tab", (headers(1, _with(":path", f"{NEVER}\tx")),), BAD),
    Attack("path-that-begins-with-space", (headers(1, _with(":path", f" {NEVER}")),), BAD),
    Attack("path-that-ends-with-space", (headers(1, _with(":path", f"{NEVER} ")),), BAD),
    Attack("path-with-fragment", (headers(1, _with(":path", f"{NEVER}#x")),), BAD),
    Attack("path-with-delete", (headers(1, _with(":path", f"{NEVER}\x7f")),), BAD),
    Attack("path-with-cr", (headers(1, _with(":path", f"{NEVER}\rx")),), BAD),
    Attack("path-with-lf", (headers(1, _with(":path", f"{NEVER}\nx")),), BAD),
    Attack("path-with-nul", (headers(1, _with(":path", f"{NEVER}\0x")),), BAD),
    Attack("path-with-a-request", (headers(1, _with(":path", _LINE)),), BAD),
    Attack("path-with-version", (headers(1, _with(":path", f"{NEVER} HTTP/1.1")),), BAD),
    Attack(
        "path-with-a-request-in-huffman-code",
        (headers(1, block(_without(":path")) + _huffman(":path", _LINE)),),
        BAD,
    ),
    Attack("path-of-9000-bytes", (headers(1, _with(":path", NEVER + "x" * 9000)),), BAD + _answer(414, 431)),
    *(
        Attack(f"familiar-block-{name}", _familiar(path), ends, _FIRST_AFTER_FAMILIAR)
        for name, path, ends in (
            ("with-a-request", _LINE, BAD),
            ("with-space", f"{NEVER} x", BAD),
            ("with-nul", f"{NEVER}\0", BAD),
            ("with-fragment", f"{NEVER}#x", BAD),
            ("without-slash", NEVER[1:], BAD),
            ("with-asterisk", "*", BAD),
            ("without-path", "", MALFORMED),
        )
    ),
    Attack("method-with-space", (headers(1, _with(":method", "GET GET")),), BAD),
    Attack("method-with-a-request", (headers(1, _with(":method", f"GET {_LINE}\r\nX: ")),), BAD),
    Attack("method-with-nul", (headers(1, _with(":method", "GE\0T")),), BAD),
    Attack("method-with-parenthesis", (headers(1, _with(":method", "G(T")),), BAD),
    Attack("scheme-ftp", (headers(1, _with(":scheme", "ftp")),), BAD),
    Attack("scheme-with-lf", (headers(1, _with(":scheme", f"http\n{SMUGGLED}: x")),), BAD),
    Attack("scheme-with-url", (headers(1, _with(":scheme", f"http://b/{SMUGGLED}?")),), BAD),
    Attack("authority-with-userinfo", (headers(1, _with(":authority", "u:p@a")),), BAD),
    Attack("authority-with-space", (headers(1, _with(":authority", "a b")),), BAD),
    Attack("authority-with-path", (headers(1, _with(":authority", f"a/{SMUGGLED}")),), BAD),
    Attack("authority-with-a-field", (headers(1, _with(":authority", f"a\r\n{SMUGGLED}: x")),), BAD),
    Attack("authority-with-two-hosts", (headers(1, _with(":authority", "a,b")),), BAD),
    Attack("authority-with-bad-port", (headers(1, _with(":authority", "a:99999x")),), BAD),
    Attack("host-differs-from-authority", _asked(("host", "b")), BAD),
    Attack("host-differs-in-port", _asked(("host", "a:81")), BAD),
    Attack("two-hosts-beside-authority", _asked(("host", "a"), ("host", "b")), BAD),
    Attack("two-hosts", (headers(1, (*_without(":authority"), ("host", "a"), ("host", "b"))),), BAD),
    Attack("two-equal-hosts", (headers(1, (*_without(":authority"), ("host", "a"), ("host", "a"))),), BAD),
]

_BAD_FIELDS: Final[tuple[tuple[str, str, str, tuple[Ending, ...]], ...]] = (
    ("name-of-no-bytes", "", "x", MALFORMED),
    ("name-in-capitals", "X-Never", "x", MALFORMED),
    ("name-with-one-capital", "x-neveR", "x", MALFORMED),
    ("name-with-colon", "x:y", "x", MALFORMED),
    ("name-with-space", "x y", "x", MALFORMED),
    ("name-that-ends-with-space", "content-length ", "0", MALFORMED),
    ("name-with-tab", "x\ty", "x", MALFORMED),
    ("name-with-nul", "x\0", "x", MALFORMED),
    ("name-with-lf", f"x\n{SMUGGLED}", "x", MALFORMED),
    ("name-with-a-field", f"x: y\r\n{SMUGGLED}", "x", MALFORMED),
    ("name-with-delete", "x\x7f", "x", MALFORMED),
    ("name-beyond-ascii", "x\xe4", "x", MALFORMED),
    ("name-with-parenthesis", "x(y)", "x", BAD),  # no token, which RFC 9113 §8.2.1 does not ask for
    ("value-with-cr", "x", f"y\r{SMUGGLED}", MALFORMED),
    ("value-with-lf", "x", f"y\n{SMUGGLED}", MALFORMED),
    ("value-with-a-field", "x", f"y\r\n{SMUGGLED}: z", MALFORMED),
    ("value-with-a-request", "x", f"y\r\n\r\nGET /{SMUGGLED} HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ("value-with-nul", "x", "y\0z", MALFORMED),
    ("value-with-control", "x", "y\x01z", BAD),
    ("value-that-begins-with-space", "x", " y", MALFORMED),
    ("value-that-begins-with-tab", "x", "\ty", MALFORMED),
    ("value-that-ends-with-space", "x", "y ", MALFORMED),
    ("value-that-ends-with-tab", "x", "y\t", MALFORMED),
    ("value-of-a-space", "x", " ", MALFORMED),
    ("connection", "connection", "close", MALFORMED),
    ("connection-that-names-host", "connection", "host", MALFORMED),
    ("keep-alive", "keep-alive", "timeout=5", MALFORMED),
    ("proxy-connection", "proxy-connection", "close", MALFORMED),
    ("transfer-encoding", "transfer-encoding", "chunked", MALFORMED),
    ("transfer-encoding-identity", "transfer-encoding", "identity", MALFORMED),
    ("upgrade", "upgrade", "websocket", MALFORMED),
    ("upgrade-to-h2c", "upgrade", "h2c", MALFORMED),
    ("te-gzip", "te", "gzip", MALFORMED),
    ("te-trailers-and-more", "te", "trailers, deflate", MALFORMED),
)

FIELDS: Final = [
    *(Attack(f"field-{name}", _asked((key, value)), ends) for name, key, value, ends in _BAD_FIELDS),
    *(
        Attack(f"huffman-{name}", _hostile(_huffman(key, value)), ends)
        for name, key, value, ends in _BAD_FIELDS
    ),
    *(Attack(f"inserted-{name}", _inserted(key, value), ends, 3) for name, key, value, ends in _BAD_FIELDS),
    *(
        Attack(f"trailer-{name}", (_OPENED, data(1, b"x", ends=False), headers(1, ((key, value),))), ends)
        for name, key, value, ends in _BAD_FIELDS
        if not name.startswith("te-")
    ),
    # An entry whose name is good, with a bad value, and the other way round
    Attack(
        "good-entry-with-bad-value",
        (
            headers(1, block(_ask(FINE)) + literal("x", "y", INCREMENTAL)),
            _answers(1),
            headers(3, block(_ask()) + literal(_FIRST_DYNAMIC, f"y\r\n{SMUGGLED}: z")),
        ),
        MALFORMED,
        3,
    ),
    Attack(
        "te-by-its-name-in-the-table",
        (
            headers(1, block(_ask(FINE)) + literal("te", "trailers", INCREMENTAL)),
            _answers(1),
            headers(3, block(_ask()) + literal(_FIRST_DYNAMIC, "gzip")),
        ),
        MALFORMED,
        3,
    ),
]


def _upload(length: str, *pieces: bytes, path: str = PARTIAL) -> tuple[bytes]:
    """Return a request with this Content-Length, and these pieces of a body; the last one ends it."""
    opened = headers(1, _post(path, ("content-length", length)), ends=False)
    parts = (data(1, piece, ends=number == len(pieces)) for number, piece in enumerate(pieces, 1))
    return (opened + b"".join(parts),)


def _unended(length: str, *pieces: bytes) -> tuple[bytes]:
    """Return what `_upload` does, without the end of the body."""
    opened = headers(1, _post(PARTIAL, ("content-length", length)), ends=False)
    return (opened + b"".join(data(1, piece, ends=False) for piece in pieces),)


_REQUEST: Final = f"GET /{SMUGGLED} HTTP/1.1\r\nHost: a\r\n\r\n".encode()

BODIES: Final = [
    Attack("body-shorter-than-announced", _upload("5", b"test"), MALFORMED),
    Attack("body-shorter-in-pieces", _upload("9", b"test", b"test"), MALFORMED),
    Attack("body-longer-than-announced", _upload("3", b"test"), MALFORMED),
    Attack("body-longer-in-pieces", _upload("4", b"test", b"x"), MALFORMED, bodies=(b"test",)),
    Attack("body-with-a-request-behind-it", _upload("4", b"test" + _REQUEST), MALFORMED),
    Attack(
        "body-with-a-request-in-the-next-piece", _upload("4", b"test", _REQUEST), MALFORMED, bodies=(b"test",)
    ),
    # Excess is refused before the end comes, or an endpoint would take the excess for the next request
    Attack("body-longer-without-end", _unended("3", b"test"), MALFORMED),
    Attack("body-with-a-request-and-no-end", _unended("4", b"test" + _REQUEST), MALFORMED),
    Attack(
        "body-with-a-request-next-and-no-end", _unended("4", b"test", _REQUEST), MALFORMED, bodies=(b"test",)
    ),
    Attack("body-behind-length-0", _upload("0", _REQUEST), MALFORMED, bodies=(b"",)),
    Attack(
        "body-behind-length-0-of-get",
        (headers(1, _ask(PARTIAL, ("content-length", "0")), ends=False), data(1, _REQUEST)),
        MALFORMED,
        bodies=(b"",),
    ),
    Attack("no-body-but-a-length", (headers(1, _post(NEVER, ("content-length", "4"))),), MALFORMED),
    Attack("empty-body-but-a-length", _upload("4", b""), MALFORMED),
    Attack(
        "trailers-before-the-length",
        (
            headers(1, _post(PARTIAL, ("content-length", "9")), ends=False),
            data(1, b"test", ends=False),
            headers(1, (("x", "y"),)),
        ),
        MALFORMED,
    ),
    Attack(
        "two-lengths",
        (
            headers(1, _post(NEVER, ("content-length", "4"), ("content-length", "5")), ends=False),
            data(1, b"test"),
        ),
        BAD,
    ),
    *(
        Attack(f"length-{name}", _upload(value, b"test", path=NEVER), BAD)
        for name, value in (
            ("with-plus", "+4"),
            ("with-minus", "-4"),
            ("in-hexadecimal", "0x4"),
            ("as-a-list", "4, 5"),
            ("of-no-bytes", ""),
            ("with-a-letter", "4a"),
            ("with-a-fraction", "4.0"),
            ("with-underscore", "0_4"),
        )
    ),
    Attack("length-of-30-digits", _upload("9" * 30, b"test", path=NEVER), BAD + _answer(413)),
    Attack("length-above-the-limit", _upload(str(1 << 40), b"test", path=NEVER), BAD + _answer(413)),
    Attack(
        "trailers-that-do-not-end",
        (_OPENED, data(1, b"x", ends=False), headers(1, (("x", "y"),), ends=False)),
        MALFORMED,
    ),
    Attack(
        "transfer-encoding-behind-the-body",
        (_OPENED, data(1, b"x", ends=False), headers(1, (("transfer-encoding", "chunked"),))),
        MALFORMED,
    ),
]


ATTACKS: Final = [*FLOODS, *FLOW_CONTROL, *FRAMES, *HPACK, *PSEUDO, *FIELDS, *BODIES]

HONEST: Final = [
    Honest("cancels-100-requests", _each(lambda s: headers(s, _ask(FINE)) + reset(s), 100)),
    Honest("asks-128-times-at-once", _each(lambda s: headers(s, _ask(FINE)), 128), tuple(_streams(128))),
    Honest("pings-300-times", (ping() * 300,)),
    Honest("changes-settings-100-times", (settings((Setting.INITIAL_WINDOW_SIZE, 70000)) * 100,)),
    Honest("opens-the-window-2000-times", (window_update(0, 1) * 2000,)),
    Honest("sends-priorities-of-100-streams", _each(priority, 100)),
    Honest("sends-priority-updates", (frame(_PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1") * 100,)),
    Honest(
        "needs-8-continuations",
        (headers(1, b"", whole=False), continuation(1, b"", whole=False) * 7, continuation(1, _ask(FINE))),
        (1,),
    ),
    Honest("sends-90-fields", (headers(1, _ask(FINE, *(("x", "y"),) * 90)),), (1,)),
    Honest(
        "sends-28-kib-of-fields",
        (
            headers(1, _ask(FINE, *(("x", "y" * 7000),) * 2), whole=False),
            continuation(1, (("x", "y" * 7000),) * 2),
        ),
        (1,),
    ),
    Honest("pads-by-255-bytes", (headers(1, b"\xff" + block(_ask(FINE)) + b"\0" * 255, flags=PADDED),), (1,)),
    Honest("takes-trailers", (headers(1, _ask(FINE, ("te", "trailers"))),), (1,)),
    Honest("repeats-its-host", (headers(1, _ask(FINE, ("host", "a"))),), (1,)),
    Honest(
        "has-host-and-no-authority",
        (headers(1, ((":method", "GET"), (":scheme", "http"), (":path", FINE), ("host", "a"))),),
        (1,),
    ),
    Honest("offers-a-table-of-4-gib", (settings((Setting.HEADER_TABLE_SIZE, (1 << 32) - 1)),)),
    Honest("sends-unknown-settings", (settings((0xFF, 1), (0, 7), (8, 1)),)),
    Honest("splits-its-cookies", (headers(1, _ask(FINE, ("cookie", "a=b"), ("cookie", "c=d"))),), (1,)),
    Honest("ends-by-empty-data", (headers(1, _ask(FINE), ends=False), data(1)), (1,)),
    # Frames that were on the way when the gateway reset the stream (RFC 9113 §5.4.2)
    Honest(
        "goes-on-with-a-stream-that-was-reset",
        (
            headers(1, _ask(NEVER, ("X", "y")), ends=False),
            data(1, b"x", ends=False),
            window_update(1, 1),
            data(1, b"x"),
            reset(1),
        ),
    ),
    Honest(
        "touches-what-is-over",
        (headers(1, _ask(FINE)), _answers(1), window_update(1, 1) + priority(1) + reset(1)),
        (1,),
    ),
    # The table has what a malformed block inserted (RFC 9113 §4.3)
    Honest(
        "refers-to-what-a-malformed-request-inserted",
        (
            headers(1, block(_ask()) + literal("x", "y", INCREMENTAL) + literal("X", "y")),
            headers(3, block(_ask(FINE)) + indexed(_FIRST_DYNAMIC)),
        ),
        (3,),
    ),
    Honest(
        "refers-to-what-a-too-large-request-inserted",
        (
            headers(1, block(_ask()) + literal("x", "y", INCREMENTAL) + literal("z", "y") * 200),
            headers(3, block(_ask(FINE)) + indexed(_FIRST_DYNAMIC)),
        ),
        (3,),
    ),
]
