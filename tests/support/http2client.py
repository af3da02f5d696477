"""A client of HTTP/2 that sends any bytes it is told to, and reads frames with a deadline on everything.

Nothing that it sends is checked, so that a test can break each rule of RFC 9113 by itself. Functions make the
bytes of frames and of header blocks; `Http2Client` sends them and keeps all that comes back.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal, NamedTuple, Self

from hpack import Decoder

DEADLINE_S = 10.0
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MOST_WINDOW: Final = (1 << 31) - 1
FRAME_BYTES: Final = 16384
HEAD_BYTES: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

Fields = tuple[tuple[str, str], ...]


class Kind(IntEnum):
    """Types of frames (RFC 9113 §6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Code(IntEnum):
    """Codes of errors (RFC 9113 §7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(IntEnum):
    """Identifiers of settings (RFC 9113 §6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


# Bytes of frames


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """`length` is what the head claims, if not the truth. The highest bit of `stream` is the reserved one."""
    size = len(payload) if length is None else length
    return struct.pack(">BHBBI", size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def headers(
    stream: int, fields: Fields | bytes, *, ends: bool = True, whole: bool = True, flags: int = 0
) -> bytes:
    """Return HEADERS with the block of these fields, or with these bytes as its payload."""
    payload = fields if isinstance(fields, bytes) else block(fields)
    flags |= (END_STREAM if ends else 0) | (END_HEADERS if whole else 0)
    return frame(Kind.HEADERS, flags, stream, payload)


def continuation(stream: int, fields: Fields | bytes, *, whole: bool = True) -> bytes:
    payload = fields if isinstance(fields, bytes) else block(fields)
    return frame(Kind.CONTINUATION, END_HEADERS if whole else 0, stream, payload)


def data(stream: int, payload: bytes = b"", *, ends: bool = True) -> bytes:
    return frame(Kind.DATA, END_STREAM if ends else 0, stream, payload)


def settings(*values: tuple[int, int]) -> bytes:
    return frame(Kind.SETTINGS, 0, 0, b"".join(struct.pack(">HI", name, value) for name, value in values))


def ping(payload: bytes = b"\0" * 8, *, ack: bool = False) -> bytes:
    return frame(Kind.PING, ACK if ack else 0, 0, payload)


def reset(stream: int, code: int = Code.CANCEL) -> bytes:
    return frame(Kind.RST_STREAM, 0, stream, struct.pack(">I", code))


def window_update(stream: int, increment: int) -> bytes:
    return frame(Kind.WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def dependency(on: int = 0, *, exclusive: bool = False, weight: int = 15) -> bytes:
    """Return the five bytes of a priority, as PRIORITY and HEADERS carry them; the weight is one less."""
    return struct.pack(">IB", on | (1 << 31 if exclusive else 0), weight)


def priority(stream: int, on: int = 0, *, exclusive: bool = False, weight: int = 15) -> bytes:
    return frame(Kind.PRIORITY, 0, stream, dependency(on, exclusive=exclusive, weight=weight))


def goaway(code: int = Code.NO_ERROR, *, stream: int = 0, debug: bytes = b"") -> bytes:
    return frame(Kind.GOAWAY, 0, stream, struct.pack(">II", 0, code) + debug)


# Bytes of header blocks (RFC 7541)

INDEXED: Final = 0x80
INCREMENTAL: Final = 0x40
SIZE_UPDATE: Final = 0x20
NEVER_INDEXED: Final = 0x10
WITHOUT_INDEXING: Final = 0x00
_PREFIX_BITS: Final = {INDEXED: 7, INCREMENTAL: 6, SIZE_UPDATE: 5, NEVER_INDEXED: 4, WITHOUT_INDEXING: 4}


def integer(value: int, bits: int, pattern: int = 0) -> bytes:
    """Encode an integer with a prefix of `bits` bits behind the bits of `pattern` (RFC 7541 §5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((pattern | value,))
    value -= most
    encoded = bytearray((pattern | most,))
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def string(text: str | bytes, *, huffman: bool = False) -> bytes:
    """Encode a string as it is; with `huffman` its bytes are claimed to be Huffman code (RFC 7541 §5.2)."""
    raw = text if isinstance(text, bytes) else text.encode("latin-1")
    return integer(len(raw), 7, 0x80 if huffman else 0) + raw


def literal(name: str | bytes | int, value: str | bytes, form: int = WITHOUT_INDEXING) -> bytes:
    """Encode a field as a literal of a `form`; a name that is a number is an index (RFC 7541 §6.2)."""
    bits = _PREFIX_BITS[form]
    if isinstance(name, int):
        return integer(name, bits, form) + string(value)
    return integer(0, bits, form) + string(name) + string(value)


def indexed(index: int) -> bytes:
    return integer(index, 7, INDEXED)


def table_size(size: int) -> bytes:
    return integer(size, 5, SIZE_UPDATE)


def block(fields: Fields) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


# Answers


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    def __repr__(self) -> str:
        name = Kind(self.kind).name if self.kind in set(Kind) else f"type {self.kind}"
        shown = self.payload.hex() if len(self.payload) <= 16 else f"{len(self.payload)} bytes"
        return f"{name}(stream {self.stream}, flags {self.flags:#x}, {shown})"

    @property
    def code(self) -> int:
        """The error code in RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[-4:] if self.kind == Kind.RST_STREAM else self.payload[4:8])


@dataclass
class Answer:
    """The part of a response that has come on one stream."""

    status: int = 0  # 0: no head of a final response yet
    fields: list[tuple[str, str]] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_complete: bool = False

    def __getitem__(self, name: str) -> str:
        """Return the value of the only field with this name."""
        (value,) = [value for key, value in self.fields if key == name]
        return value


class Ending(NamedTuple):
    """How a stream, or a connection, came to an end: with an error code, or with a status."""

    how: Literal["goaway", "reset", "answer", "closed"]
    code: int = 0

    def __repr__(self) -> str:
        if self.how == "closed":
            return self.how
        is_code = self.how != "answer" and self.code in set(Code)
        return f"{self.how} {Code(self.code).name if is_code else self.code}"


class Ended(Exception):
    """The gateway has ended the connection, and what was waited for did not come."""


class Line:
    """A TCP connection, with TLS or without: a failed write leaves what has been received to be read.

    asyncio's transports drop what they have not delivered when a write fails. So they would lose the GOAWAY
    of a gateway that closes while the client still sends.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._writes = asyncio.Lock()

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await self._received())
            else:
                await self._flush()
                return

    @property
    def protocol(self) -> str | None:
        """The protocol that ALPN chose."""
        return None if self._tls is None else self._tls.selected_alpn_protocol()

    async def write(self, raw: bytes) -> None:
        if self._tls is None:
            async with self._writes:
                await self._loop.sock_sendall(self.socket, raw)
        elif raw:
            self._tls.write(raw)
            await self._flush()

    async def read(self) -> bytes:
        """Return what came; b"" at the end of the connection, in order or not."""
        try:
            if self._tls is None:
                return await self._loop.sock_recv(self.socket, 1 << 16)
            return await self._decrypted(self._tls)
        except (OSError, EOFError):
            return b""

    async def _decrypted(self, tls: ssl.SSLObject) -> bytes:
        while True:
            try:
                return tls.read(1 << 16)
            except ssl.SSLWantReadError:
                self._incoming.write(await self._received())

    async def _received(self) -> bytes:
        received = await self._loop.sock_recv(self.socket, 1 << 16)
        if not received:
            raise EOFError
        return received

    async def _flush(self) -> None:
        async with self._writes:
            if encrypted := self._outgoing.read():
                await self._loop.sock_sendall(self.socket, encrypted)


class Http2Client:
    """One connection. Everything is read at once as it comes, unless `stop_reading` was called."""

    def __init__(self, line: Line, scheme: str) -> None:
        self.scheme = scheme
        self.frames: list[Frame] = []  # all that came
        self.answers: dict[int, Answer] = {}  # by stream
        self.settings: dict[int, int] = {}  # of the gateway
        self.has_ended = False  # the gateway has closed its side
        self.rest = b""  # bytes behind the last frame
        self._line = line
        self._decoder = Decoder()
        self._block = b""
        self._block_ends = False  # the stream ends with it
        self._fault: Exception | None = None  # of what the gateway sent
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(
        cls, port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, server_name: str = "a",
        greets: bool = True, values: tuple[tuple[int, int], ...] = (),
    ) -> Self:  # fmt: skip
        """Connect with prior knowledge or, with `tls`, by ALPN; without `greets` nothing is sent then.

        `values` are the settings of the client. A greeting is over when both sides know each other's.
        """
        connection = socket.socket()
        connection.setblocking(False)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.get_running_loop().sock_connect(connection, (host, port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line = Line(connection)
                if tls is not None:
                    await line.start_tls(tls, server_name)
                    assert line.protocol == "h2", line.protocol
        except BaseException:
            connection.close()
            raise
        client = cls(line, "http" if tls is None else "https")
        if greets:
            try:
                await client.greet(*values)
            except BaseException:
                await client.close()
                raise
        return client

    async def greet(self, *values: tuple[int, int]) -> None:
        await self.send(PREFACE, settings(*values))
        await self.until(lambda: bool(self.settings_frames) and bool(self.acknowledged))

    def keep_no_table(self) -> None:
        """Refuse header blocks until one has said that the gateway uses no dynamic table."""
        self._decoder.max_allowed_table_size = 0

    async def send(self, *pieces: bytes) -> None:
        """Send all; a gateway that has refused and closed already is none of the sender's business."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._line.write(b"".join(pieces))
        except OSError:
            pass

    def forget(self) -> None:
        """Keep nothing of what came so far."""
        self.frames.clear()
        self.answers.clear()

    async def stop_reading(self) -> None:
        """Read nothing more: the buffers between here and the gateway fill up."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def close(self) -> None:
        await self.stop_reading()
        self._line.socket.close()

    # Knowledge

    @property
    def settings_frames(self) -> list[Frame]:
        """The SETTINGS of the gateway that are no acknowledgement."""
        return [each for each in self.frames if each.kind == Kind.SETTINGS and not each.flags & ACK]

    @property
    def acknowledged(self) -> int:
        """How many SETTINGS of the client the gateway has acknowledged."""
        return sum(each.kind == Kind.SETTINGS and bool(each.flags & ACK) for each in self.frames)

    def of(self, kind: Kind, stream: int | None = None) -> list[Frame]:
        """Return the frames of a kind that came, on a stream if one is given."""
        return [each for each in self.frames if each.kind == kind and stream in (None, each.stream)]

    def answer(self, stream: int) -> Answer:
        """Return what has come so far."""
        return self.answers.get(stream) or Answer()

    def ending(self, stream: int | None) -> Ending | None:
        """Return how the stream, or the connection if that came first, ended; with None the connection."""
        for each in self.frames:
            if each.kind == Kind.GOAWAY and each.code != Code.NO_ERROR:
                return Ending("goaway", each.code)
            if each.kind == Kind.RST_STREAM and each.stream == stream and not self._is_afterthought(each):
                return Ending("reset", each.code)
        if stream is not None and self.answer(stream).is_complete:
            return Ending("answer", self.answer(stream).status)
        return Ending("closed") if self.has_ended else None

    def _is_afterthought(self, got: Frame) -> bool:
        """Whether the gateway needs no more of a request that it has answered (RFC 9113 §8.1)."""
        return got.code == Code.NO_ERROR and self.answer(got.stream).is_complete

    def error(self, stream: int) -> Ending | None:
        """Return what `ending` does, except that a response is no end."""
        found = self.ending(stream)
        if found is not None and found.how == "answer":
            return self.ending(None)
        return found

    # Waiting

    async def until(self, condition: Callable[[], bool], *, within: float | None = None) -> None:
        """Wait for something to be true of what came. Raises Ended, TimeoutError; the message shows all."""
        try:
            async with asyncio.timeout(DEADLINE_S if within is None else within):
                while not condition():
                    if self._fault is not None:
                        raise self._fault
                    if self.has_ended:
                        raise Ended(f"the connection ended after {self.frames[-20:]}, {self.rest[:80]!r}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"nothing else came than {self.frames[-20:]}, {self.rest[:80]!r}") from None

    async def response(self, stream: int = 1) -> Answer:
        """Return a complete response; fails when the stream or the connection is ended without one."""
        await self.until(lambda: self.ending(stream) is not None)
        found = self.ending(stream)
        assert found is not None
        assert found.how == "answer", found
        return self.answers[stream]

    async def get(self, path: str = "/", stream: int = 1, *, authority: str = "a") -> Answer:
        await self.send(headers(stream, self.request(path, authority=authority)))
        return await self.response(stream)

    def request(
        self, path: str = "/", method: str = "GET", *more: tuple[str, str], authority: str = "a"
    ) -> Fields:
        """Return the fields of a request as browsers send them, with the scheme of this connection."""
        return (
            (":method", method), (":scheme", self.scheme), (":authority", authority), (":path", path), *more,
        )  # fmt: skip

    async def ends(self, stream: int | None = None) -> Ending:
        """Wait for the end of a stream or, without one, of the connection by GOAWAY or without it."""
        try:
            await self.until(lambda: self.ending(stream) is not None)
        except Ended:
            pass  # without a reason: `ending` says so
        found = self.ending(stream)
        assert found is not None
        return found

    async def fails(self, stream: int) -> Ending:
        """Wait for what `ends` waits for, but let a response be no end."""
        try:
            await self.until(lambda: self.error(stream) is not None)
        except Ended:
            pass
        found = self.error(stream)
        assert found is not None
        return found

    async def expect_goaway(self, *codes: Code) -> None:
        """Wait for GOAWAY with one of these codes, and the end of the connection (RFC 9113 §5.4.1)."""
        found = await self.ends()
        assert found in [Ending("goaway", code) for code in codes], (found, self.frames[-20:])
        await self.expect_connection_end()

    async def expect_reset(self, stream: int, *codes: Code) -> None:
        """Wait for RST_STREAM on a stream, with one of these codes."""
        found = await self.fails(stream)
        assert found in [Ending("reset", code) for code in codes], (found, self.frames[-20:])

    async def expect_connection_end(self) -> None:
        """Wait until the gateway closes the connection, whatever it says before."""
        await self.until(lambda: self.has_ended)

    async def expect_pong(self, payload: bytes = b"\0" * 8) -> None:
        """Wait for the acknowledgement of a PING."""
        await self.until(lambda: any(p.flags & ACK and p.payload == payload for p in self.of(Kind.PING)))

    # Reading

    async def _read(self) -> None:
        try:
            while received := await self._line.read():
                self.rest += received
                self._cut()
                self._news.set()
        except Exception as fault:
            self._fault = fault
        finally:
            self.has_ended = True
            self._news.set()

    def _cut(self) -> None:
        at, raw = 0, self.rest
        while len(raw) - at >= HEAD_BYTES:
            high, low, kind, flags, stream = struct.unpack_from(">BHBBI", raw, at)
            end = at + HEAD_BYTES + (high << 16 | low)
            if end > len(raw):
                break
            self._take(Frame(kind, flags, stream & MOST_WINDOW, raw[at + HEAD_BYTES : end]))
            at = end
        self.rest = raw[at:]

    def _take(self, got: Frame) -> None:
        self.frames.append(got)
        if got.kind == Kind.SETTINGS and not got.flags & ACK:
            self.settings.update(struct.iter_unpack(">HI", got.payload))
        elif got.kind == Kind.HEADERS or got.kind == Kind.CONTINUATION:
            self._take_block(got)
        elif got.kind == Kind.DATA:
            answer = self.answers.setdefault(got.stream, Answer())
            answer.body += got.payload
            answer.is_complete = bool(got.flags & END_STREAM)

    def _take_block(self, got: Frame) -> None:
        """Decode a header block in its turn, whoever waits for it: blocks share one table."""
        if got.kind == Kind.HEADERS:
            assert not got.flags & (PADDED | HAS_PRIORITY), got
            self._block, self._block_ends = b"", bool(got.flags & END_STREAM)
        self._block += got.payload
        if not got.flags & END_HEADERS:
            return
        answer = self.answers.setdefault(got.stream, Answer())
        answer.is_complete = self._block_ends
        decoded = [
            (name.decode(), value.decode()) for name, value in self._decoder.decode(self._block, raw=True)
        ]
        status = int(dict(decoded).get(":status", "0"))
        if not status:
            answer.trailers = decoded
        elif status >= 200:
            answer.status, answer.fields = status, decoded[1:]
