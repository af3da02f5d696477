"""Compression of plain answers for clients that accept gzip (RFC 9110 §8.4, §12.5.3)."""

import re
import zlib
from typing import Final

from proxy.http.framing import CHUNKED
from proxy.http.response import ResponseHead
from proxy.policies.changes import without
from proxy.policies.responses import ResponseFields, varies_by

LEAST_BYTES: Final = 1024
_LEVEL: Final = 1  # measured by others again and again: most of the gain for a fraction of the work
_WINDOW_BITS: Final = 31  # with gzip's header and trailer
_MAX_REMEMBERED: Final = 1024

_TEXT_LIKE: Final = re.compile(
    rb"text/(?!event-stream)[a-z0-9.+-]+"
    rb"|application/(?:json|javascript|x-javascript|xml|[a-z0-9.-]+\+(?:json|xml))"
    rb"|image/svg\+xml"
)
"""Types that are compressed. An event stream is none: its events must not wait for a block to fill."""


class Variants:
    """The treatment of one response head on a listener that compresses."""

    __slots__ = ("compressed", "plain")

    def __init__(self, plain: ResponseHead, compressed: ResponseHead | None) -> None:
        self.plain = plain
        self.compressed = compressed  # None: every client gets the response as it is


class Compression:
    """The compression of a worker: remembers the treatment of response heads."""

    __slots__ = ("_remembered",)

    def __init__(self) -> None:
        self._remembered: dict[ResponseHead, Variants] = {}

    def variants(self, head: ResponseHead) -> Variants:
        found = self._remembered.get(head)
        if found is None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[head] = _variants(head)
        return found


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether the value of Accept-Encoding admits gzip. A mere `*` does not."""
    for element in accept_encoding.lower().split(b","):
        coding, _, parameters = element.partition(b";")
        if coding.strip() in (b"gzip", b"x-gzip"):
            weight = parameters.replace(b" ", b"")
            return not re.fullmatch(rb"q=0(?:\.0*)?", weight)
    return False


def _variants(head: ResponseHead) -> Variants:
    lines = head.start.split(b"\r\n")
    lines.pop()
    if not _is_eligible(head, ResponseFields(lines)):
        return Variants(head, None)
    if not varies_by(lines, b"accept-encoding"):
        lines.append(b"Vary: Accept-Encoding")
    plain = head.replaced(_joined(lines))
    compressed = head.replaced(_joined(_compressed(lines)))
    compressed.length = CHUNKED  # unless it is compressed as a whole
    return Variants(plain, compressed)


def _is_eligible(head: ResponseHead, fields: ResponseFields) -> bool:
    if head.has_no_body or head.status == 206 or 0 <= head.length < LEAST_BYTES:
        return False
    if fields.values(b"content-encoding"):
        return False
    types = fields.values(b"content-type")
    content_type = types[0].partition(b";")[0].strip().lower() if len(types) == 1 else b""
    if _TEXT_LIKE.fullmatch(content_type) is None:
        return False
    return b"no-transform" not in b",".join(fields.values(b"cache-control")).lower()


def _compressed(lines: list[bytes]) -> list[bytes]:
    lines = without(without(lines, b"accept-ranges:"), b"content-md5:")
    out = [_weakened(line) if line[:5].lower() == b"etag:" else line for line in lines]
    out.append(b"Content-Encoding: gzip")
    return out


def _weakened(line: bytes) -> bytes:
    """RFC 9110 §8.8.1: the bytes are not those that a strong validator stands for."""
    name, _, value = line.partition(b":")
    value = value.strip()
    return line if value.startswith(b"W/") else b"%b: W/%b" % (name, value)


def _joined(lines: list[bytes]) -> bytes:
    return b"".join([line + b"\r\n" for line in lines])


def compress(body: bytes) -> bytes:
    """Return a whole body, compressed."""
    return zlib.compress(body, _LEVEL, _WINDOW_BITS)


class Compressor:
    """Compresses a body that comes in pieces. No byte waits: the client can read each piece at once."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS)

    def feed(self, piece: bytes | memoryview) -> bytes:
        return self._stream.compress(piece) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self, last: bytes) -> bytes:
        return self._stream.compress(last) + self._stream.flush()
