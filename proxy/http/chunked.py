"""Decodes chunked bodies (RFC 9112 §7.1) strictly; bodies go on framed anew, but for plain whole ones."""

import re
from typing import Final

from proxy.http import limits
from proxy.http.grammar import FIELD_LINE

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = rb"\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+\""
_EXTENSION: Final = rb"[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b|%b))?+" % (_TOKEN, _TOKEN, _QUOTED)
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16}+)((?:%b)*+)" % _EXTENSION)

END: Final = b"0\r\n\r\n"

# Size lines that were seen before, without extensions: programs send few different ones
_PLAIN_SIZES: Final[dict[bytes, int]] = {}
_MAX_PLAIN_SIZES: Final = 1024
_LARGEST_PLAIN: Final = 1 << 20
_LONGEST_PLAIN: Final = 10  # bytes of such a line with its CRLF

MOST_CHUNKS: Final = 256
"""Chunks that are decoded at once, as long as they are plain: 0.4 ms."""
_MOST_LINES: Final = 64  # lines that are decoded at once the careful way: the same time

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkError(Exception):
    """The body is not in valid chunks; nothing after this point can be trusted."""


def plain_size(data: bytes, at: int) -> int:
    """Return how many bytes are in the chunks when data[at:] is a whole body in the one plain form: sizes
    that are plain digits, no trailers, and no byte behind the body. Otherwise -1.

    Every server reads such a body alike, so the gateway passes it on as it came. A body of more than
    MOST_CHUNKS chunks gives -1, too.
    """
    total = 0
    for _ in range(MOST_CHUNKS):
        line_end = data.find(b"\r\n", at, at + _LONGEST_PLAIN)
        size = _PLAIN_SIZES.get(data[at:line_end]) if line_end > at else None
        if size is None:
            return total if data[at:] == END else -1
        at = line_end + 2 + size
        if data[at : at + 2] != b"\r\n":
            return -1
        at += 2
        total += size
    return total if data[at:] == END else -1


class ChunkDecoder:
    """Decodes one body: `feed` takes received bytes and returns payload; `done` once the last CRLF was seen.

    One call decodes a bounded number of chunks: where the input `has_more` of them, feed b"" for the next
    ones. Bytes after the end stay in `rest`, checked trailers as field lines in `trailers`.
    """

    __slots__ = (
        "_at", "_data", "_extension_bytes", "_left", "_state", "done", "has_more", "trailers",
    )  # fmt: skip

    def __init__(self) -> None:
        self._data = b""
        self._at = 0  # index of the first byte of `_data` that is not decoded
        self._state = _SIZE
        self._left = 0
        self._extension_bytes = 0
        self.done = False
        self.has_more = False
        self.trailers = b""  # at most MAX_TRAILER_BYTES, each with its CRLF

    @property
    def rest(self) -> bytes:
        return self._data[self._at :] if self.done else b""

    @property
    def rest_bytes(self) -> int:
        """The size of `rest`."""
        return len(self._data) - self._at if self.done else 0

    def feed(self, data: bytes, at: int = 0) -> bytes:
        """Return the payload in data[at:], of some MOST_CHUNKS at most. Raises ChunkError."""
        if self._data:
            if at < len(data):
                self._data = self._data[self._at :] + data[at:]
                self._at = 0
            data, at = self._data, self._at
        self._data = b""
        self.has_more = False
        payload: list[bytes] = []
        if self._state == _SIZE:
            at = self._whole_chunks(data, at, payload)
        size = len(data)
        most = _MOST_LINES if len(payload) < MOST_CHUNKS else 0
        while at < size and not self.done:
            most -= 1
            if most < 0:
                self._data, self._at = data, at
                self.has_more = True
                break
            if self._state == _DATA:
                piece = data[at : at + self._left]
                payload.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left == 0:
                    self._state = _DATA_END
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._keep_incomplete_line(data[at:])
                return b"".join(payload)
            line = data[at : end + 1]
            at = end + 1
            if line[-2:] != b"\r\n":
                raise ChunkError("a chunk line does not end with CRLF")
            self._line(line)
        if self.done and at < size:
            self._data, self._at = data, at
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _whole_chunks(self, data: bytes, at: int, payload: list[bytes]) -> int:
        """Take the chunks that data[at:] begins with, while they are plain and complete; return their end.

        The careful way takes the rest: the last chunk, one that is cut, extensions, errors.
        """
        for _ in range(MOST_CHUNKS):
            line_end = data.find(b"\r\n", at, at + _LONGEST_PLAIN)
            size = _PLAIN_SIZES.get(data[at:line_end]) if line_end > at else None
            if size is None:
                return at
            start = line_end + 2
            end = start + size
            if data[end : end + 2] != b"\r\n":
                return at
            payload.append(data[start:end])
            at = end + 2
        return at

    def _keep_incomplete_line(self, line: bytes) -> None:
        if len(line) > limits.MAX_CHUNK_LINE_BYTES and self._state != _TRAILERS:
            raise ChunkError(f"a chunk line is longer than {limits.MAX_CHUNK_LINE_BYTES} bytes")
        if len(line) > limits.MAX_LINE_BYTES:
            raise ChunkError(f"a trailer line is longer than {limits.MAX_LINE_BYTES} bytes")
        if self._state == _DATA_END and line != b"\r":
            raise ChunkError("chunk data is longer than its size says")
        self._data, self._at = line, 0

    def _line(self, line: bytes) -> None:
        if self._state == _SIZE:
            self._size_line(line[:-2])
        elif self._state == _DATA_END:
            if line != b"\r\n":
                raise ChunkError("chunk data is longer than its size says")
            self._state = _SIZE
        elif line == b"\r\n":
            self._state = _DONE
            self.done = True
        else:
            if FIELD_LINE.fullmatch(line, 0, len(line) - 2) is None:
                raise ChunkError("a trailer line is malformed")
            if len(self.trailers) + len(line) > limits.MAX_TRAILER_BYTES:
                raise ChunkError(f"the trailers are larger than {limits.MAX_TRAILER_BYTES} bytes")
            self.trailers += line

    def _size_line(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line) if len(line) <= limits.MAX_CHUNK_LINE_BYTES else None
        if match is None:
            raise ChunkError("a chunk size is not a hexadecimal number")
        self._extension_bytes += len(match.group(2))
        if self._extension_bytes > limits.MAX_CHUNK_EXTENSION_BYTES:
            raise ChunkError(f"chunk extensions are larger than {limits.MAX_CHUNK_EXTENSION_BYTES} bytes")
        digits: bytes = match.group(1)
        self._left = int(digits, 16)
        if self._left > 1 << 62:
            raise ChunkError("a chunk is larger than any body may be")
        self._state = _DATA if self._left else _TRAILERS
        if digits == line and 0 < self._left <= _LARGEST_PLAIN and len(line) < _LONGEST_PLAIN - 2:
            if len(_PLAIN_SIZES) >= _MAX_PLAIN_SIZES:
                _PLAIN_SIZES.clear()
            _PLAIN_SIZES[line] = self._left


def decode_whole(body: bytes) -> bytes:
    """Return the payload of a body that `plain_size` has accepted."""
    decoder = ChunkDecoder()
    payload = decoder.feed(body)
    return payload + decoder.feed(b"") if decoder.has_more else payload


def encode_chunk(payload: bytes) -> bytes:
    """Return `payload` (not empty) as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
