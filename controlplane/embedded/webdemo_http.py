"""HTTP/1.1 for the demo pod: keep-alive, pipelining in order, bodies of both framings, strict heads."""

import asyncio
import re
from collections.abc import Callable
from typing import cast

import msgspec
from msgspec import field

MAX_HEAD_BYTES = 65536
MAX_CHUNK_LINE_BYTES = 256

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.([01])\r\n")
_FIELD_BLOCK = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"
)  # RFC 9112 §5: no space before the colon, no folding
_FIELD = re.compile(rb"([^:]+):[ \t]*([^\r]*?)[ \t]*\r\n")
_SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"})
_DIGITS = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")

REASONS = {
    200: "OK",
    400: "Bad Request",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class BadRequest(Exception):
    """The bytes are no request this server accepts; the connection ends after the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request(msgspec.Struct):
    """One request head and how its body is framed. `body_bytes` counts the body as it arrives."""

    method: str
    target: str
    fields: bytes
    keep_alive: bool
    expects_continue: bool
    length: int = 0
    chunked: bool = False
    body_bytes: int = 0

    def headers(self) -> dict[str, str]:
        """Return the headers by lower-case name, repeated ones joined by a comma."""
        joined: dict[str, str] = {}
        for raw_name, raw_value in _FIELD.findall(self.fields):
            name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined


class Answer(msgspec.Struct, frozen=True):
    status: int
    content_type: str
    body: bytes


class Site(msgspec.Struct):
    """The site that all connections of one server share."""

    answer: Callable[[Request], Answer]
    extra_headers: bytes  # complete header lines, sent with every answer
    date: bytes = b""  # complete Date line, refreshed once a second
    draining: bool = False
    connections: set["Connection"] = field(default_factory=set)


def parse_head(head: bytes) -> Request:
    """Return the request whose head is `head`, both final line ends included. Raises BadRequest."""
    line = _REQUEST_LINE.match(head)
    fields = head[line.end() : -2] if line else b""
    if line is None or _FIELD_BLOCK.fullmatch(fields) is None:
        raise BadRequest(400)
    special: dict[bytes, list[bytes]] = {}
    for name, value in _FIELD.findall(fields):
        lower = name.lower()
        if lower in _SPECIAL:
            special.setdefault(lower, []).append(value)
    method, target, minor = line.groups()
    hosts = len(special.get(b"host", ()))
    if hosts > 1 or (hosts == 0 and minor == b"1"):  # RFC 9112 §3.2
        raise BadRequest(400)
    length, chunked = _framing(special, minor)
    return Request(
        method=method.decode("ascii"),
        target=target.decode("ascii"),
        fields=fields,
        keep_alive=_keeps_alive(special.get(b"connection", []), minor),
        expects_continue=special.get(b"expect", [b""])[0].lower() == b"100-continue" and minor == b"1",
        length=length,
        chunked=chunked,
    )


def _framing(special: dict[bytes, list[bytes]], minor: bytes) -> tuple[int, bool]:
    codings, lengths = special.get(b"transfer-encoding"), special.get(b"content-length")
    if codings is not None:
        if lengths is not None or minor == b"0":  # RFC 9112 §6.1: the signature of smuggling
            raise BadRequest(400)
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise BadRequest(501)
        return 0, True
    if lengths is None:
        return 0, False
    if len(lengths) != 1 or _DIGITS.fullmatch(lengths[0]) is None:
        raise BadRequest(400)
    return int(lengths[0]), False


def _keeps_alive(values: list[bytes], minor: bytes) -> bool:
    if not values:
        return minor == b"1"
    options = {option.strip() for option in b",".join(values).lower().split(b",")}
    return b"close" not in options and (minor == b"1" or b"keep-alive" in options)


class Connection(asyncio.Protocol):
    """One client connection: reads a head, then a body, answers, and starts over."""

    __slots__ = ("_buffer", "_paused", "_request", "_site", "_step", "_transport", "_wanted")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = bytearray()
        self._request: Request | None = None
        self._step: Callable[[], bool] = self._read_head
        self._wanted = 0  # body or chunk bytes still to come
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        self._site.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._site.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def pause_writing(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._transport.resume_reading()
        self._advance()

    def close_if_idle(self) -> bool:
        """Close the connection unless a request is under way on it; say whether it was closed."""
        if self._request is not None or self._buffer:
            return False
        self._transport.close()
        return True

    def _advance(self) -> None:
        try:
            while not self._paused and not self._transport.is_closing() and self._step():
                pass
        except BadRequest as error:
            self._refuse(error.status)

    def _read_head(self) -> bool:
        buffer = self._buffer
        while buffer[:2] == b"\r\n":  # RFC 9112 §2.2: empty lines before a request line are ignored
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(buffer) >= MAX_HEAD_BYTES:
                raise BadRequest(431)
            return False
        head = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        request = self._request = parse_head(head)
        if request.expects_continue and not buffer:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.chunked:
            self._step = self._read_chunk_line
        elif request.length:
            self._wanted = request.length
            self._step = self._read_body
        else:
            self._finish()
        return True

    def _read_body(self) -> bool:
        if not self._take():
            return False
        self._finish()
        return True

    def _take(self) -> bool:
        """Count and drop the wanted bytes that have come; say whether all of them have."""
        assert self._request is not None
        taken = min(self._wanted, len(self._buffer))
        del self._buffer[:taken]
        self._wanted -= taken
        self._request.body_bytes += taken
        return self._wanted == 0

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, MAX_CHUNK_LINE_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_CHUNK_LINE_BYTES:
                raise BadRequest(400)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_chunk_line(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise BadRequest(400)
        self._wanted = int(size[1], 16)
        self._step = self._read_chunk if self._wanted else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        if not self._take() or len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise BadRequest(400)
        del self._buffer[:2]
        self._step = self._read_chunk_line
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._finish()
        return True

    def _finish(self) -> None:
        request, site = self._request, self._site
        assert request is not None
        self._request = None
        self._step = self._read_head
        answer = site.answer(request)
        keep_alive = request.keep_alive and not site.draining
        self._write(answer, keep_alive, with_body=request.method != "HEAD")

    def _refuse(self, status: int) -> None:
        self._buffer.clear()
        self._request = None
        self._write(Answer(status, "text/plain", b""), keep_alive=False, with_body=True)

    def _write(self, answer: Answer, keep_alive: bool, with_body: bool) -> None:
        site = self._site
        head = (
            f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\n"
            f"content-type: {answer.content_type}\r\n"
            f"content-length: {len(answer.body)}\r\n"
            f"{'' if keep_alive else 'connection: close'}"
        )
        end = b"\r\n" if not keep_alive else b""
        body = answer.body if with_body else b""
        self._transport.write(head.encode("ascii") + end + site.date + site.extra_headers + b"\r\n" + body)
        if not keep_alive:
            self._transport.close()
