"""Frames of HTTP/2 (RFC 9113 §4, §6): cut out of the bytes of a connection, and made.

The reader checks all that a frame alone shows: its size, its stream, its padding, and that nothing comes
between the frames of one header block. States of streams are none of its business.
"""

from struct import Struct
from typing import Final

from proxy.http2.errors import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Http2Error,
    StreamError,
)

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of a client (RFC 9113 §3.4)."""

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9
UNKNOWN: Final = 10
"""Kind of every frame whose type has no meaning here."""

END_STREAM: Final = 1
ACK: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
HAS_PRIORITY: Final = 32

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6
ENABLE_CONNECT_PROTOCOL: Final = 8  # RFC 8441 §3

HEAD_BYTES: Final = 9
FRAME_BYTES: Final = 16384
"""Largest payload that we accept, and the least that every peer accepts (RFC 9113 §4.2)."""
DEFAULT_WINDOW: Final = 65535
MOST_WINDOW: Final = (1 << 31) - 1
MAX_BLOCK_BYTES: Final = 65536
MAX_CONTINUATIONS: Final = 8
"""CONTINUATION frames of one header block: without a bound they never end (CVE-2024-27316 and others)."""
_MOST_FRAME_SIZE: Final = (1 << 24) - 1

_HEAD: Final = Struct(">BHBBI")
_SETTING: Final = Struct(">HI")
_FIXED: Final = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_WITHOUT_STREAM: Final = frozenset((SETTINGS, PING, GOAWAY))
_WITH_STREAM: Final = frozenset((DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION, PUSH_PROMISE))


class FrameReader:
    """Reads the frames of one connection. `next` sets the members that describe the frame."""

    __slots__ = (
        "_at", "_block", "_block_ends", "_block_stream", "_continuations", "_data", "_left", "_left_ends",
        "_left_stream", "ends", "flow", "is_ack", "is_own_parent", "kind", "payload", "stream",
    )  # fmt: skip

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._block: list[bytes] = []  # pieces of an incomplete header block
        self._block_stream = 0  # its stream; 0: there is none
        self._block_ends = False
        self._continuations = 0
        self._left = 0  # bytes still to come of a frame of data, whose beginning was delivered
        self._left_stream = 0
        self._left_ends = False
        # The frame that was read last
        self.kind = UNKNOWN
        self.stream = 0
        self.ends = False  # END_STREAM
        self.is_own_parent = False  # a stream that depends on itself, by its HEADERS
        self.is_ack = False  # of SETTINGS and PING
        self.payload = b""  # without padding and priority; of HEADERS the whole header block
        self.flow = 0  # bytes of DATA that count for flow control, with the padding

    def feed(self, data: bytes) -> None:
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0

    @property
    def is_within(self) -> bool:
        """Whether a frame, or a header block, has begun and is not complete; data does not wait."""
        return self._at < len(self._data) or self._block_stream != 0

    @property
    def waiting_bytes(self) -> int:
        return len(self._data) - self._at

    def has_frame(self) -> bool:
        """Whether a frame waits, or a part of data."""
        data, at = self._data, self._at
        left = len(data) - at
        if self._left:
            return left > 0
        return left >= HEAD_BYTES and (left >= HEAD_BYTES + _size(data, at) or self._is_data(left, at))

    def next(self) -> bool:
        """Read the next frame, header block, or part of data; return whether there was one.

        Slow clients may take minutes for a frame of data, so data does not wait for its frame.
        Raises Http2Error, StreamError; after a StreamError the reader goes on with the next frame.
        """
        if self._left:
            return self._read_more_data()
        while True:
            data, at = self._data, self._at
            left = len(data) - at - HEAD_BYTES
            if left < 0:
                return False
            size = _size(data, at)
            if size > FRAME_BYTES:
                raise Http2Error(FRAME_SIZE_ERROR, f"a frame of {size} bytes; the most are {FRAME_BYTES}")
            if left < size:
                return self._is_data(left + HEAD_BYTES, at) and self._begin_data(at, size)
            kind, flags = data[at + 3], data[at + 4]
            at += HEAD_BYTES
            self._at = at + size
            self.stream = (data[at - 4] & 127) << 24 | data[at - 3] << 16 | data[at - 2] << 8 | data[at - 1]
            self.kind = kind
            self.payload = data[at : at + size]
            if self._block_stream or kind > DATA:
                if not self._is_whole(kind, flags, size):
                    continue
            else:
                self._read_data(flags, size)
            return True

    def _is_data(self, left: int, at: int) -> bool:
        """Whether an incomplete frame, of which `left` bytes are there, has data that can be delivered."""
        data = self._data
        if left <= HEAD_BYTES or self._block_stream or data[at + 3] != DATA or data[at + 4] & PADDED:
            return False
        return number_of(data[at + 5 : at + HEAD_BYTES]) != 0

    def _begin_data(self, at: int, size: int) -> bool:
        """Deliver the beginning of a frame of data."""
        self._left = size
        self._left_stream = number_of(self._data[at + 5 : at + HEAD_BYTES])
        self._left_ends = self._data[at + 4] & END_STREAM != 0
        self._at = at + HEAD_BYTES
        return self._read_more_data()

    def _read_more_data(self) -> bool:
        at = self._at
        payload = self._data[at : at + self._left]
        if not payload:
            return False
        self._at = at + len(payload)
        self._left -= len(payload)
        self.kind = DATA
        self.stream = self._left_stream
        self.payload = payload
        self.flow = len(payload)
        self.ends = self._left_ends and not self._left
        return True

    def _read_data(self, flags: int, size: int) -> None:
        if not self.stream:
            raise Http2Error(PROTOCOL_ERROR, "DATA on stream 0")
        self.ends = flags & END_STREAM != 0
        self.flow = size
        if flags & PADDED:
            self._unpad(0)

    def _is_whole(self, kind: int, flags: int, size: int) -> bool:
        """Check the frame; False where more frames of its header block are to come."""
        if kind == HEADERS and not self._block_stream:
            self._read_headers(flags)
            return self._begins_whole(flags)
        if self._block_stream:
            return self._continues(kind, flags)
        self._check(kind, flags, size)
        return True

    def _check(self, kind: int, flags: int, size: int) -> None:
        """Check a frame that is neither DATA nor of a header block."""
        if kind > CONTINUATION:
            self.kind = UNKNOWN
            return
        if (kind in _WITHOUT_STREAM) if self.stream else (kind in _WITH_STREAM):
            raise Http2Error(PROTOCOL_ERROR, f"a frame of type {kind} on stream {self.stream}")
        if kind in (PUSH_PROMISE, CONTINUATION):
            raise Http2Error(PROTOCOL_ERROR, f"a frame of type {kind} that nothing announced")
        self.is_ack = flags & ACK != 0
        if kind == SETTINGS:
            if size % 6 or (self.is_ack and size):
                raise Http2Error(FRAME_SIZE_ERROR, f"SETTINGS of {size} bytes")
            return
        if kind == GOAWAY:
            if size < 8:
                raise Http2Error(FRAME_SIZE_ERROR, f"GOAWAY of {size} bytes")
            return
        if size != _FIXED[kind]:
            if kind == PRIORITY:  # RFC 9113 §6.3
                raise StreamError(self.stream, FRAME_SIZE_ERROR, f"PRIORITY of {size} bytes")
            raise Http2Error(FRAME_SIZE_ERROR, f"a frame of type {kind} of {size} bytes")

    # Header blocks

    def _read_headers(self, flags: int) -> None:
        """Take padding and priority off the payload."""
        if not self.stream:
            raise Http2Error(PROTOCOL_ERROR, "HEADERS on stream 0")
        self.ends = flags & END_STREAM != 0
        self.is_own_parent = False
        if flags & PADDED:
            self._unpad(5 if flags & HAS_PRIORITY else 0)
        if flags & HAS_PRIORITY:
            if len(self.payload) < 5:
                raise Http2Error(FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            self.is_own_parent = number_of(self.payload) == self.stream
            self.payload = self.payload[5:]

    def _unpad(self, least: int) -> None:
        """Take off the padding of a payload that has `least` bytes before its content."""
        payload = self.payload
        if not payload:
            raise Http2Error(FRAME_SIZE_ERROR, "a padded frame without the length of its padding")
        end = len(payload) - payload[0]
        if end < 1 + least:
            raise Http2Error(PROTOCOL_ERROR, "padding as long as the frame")
        self.payload = payload[1:end]

    def _begins_whole(self, flags: int) -> bool:
        if flags & END_HEADERS:
            return True
        self._block = [self.payload]
        self._block_stream = self.stream
        self._block_ends = self.ends
        self._continuations = 0
        return False

    def _continues(self, kind: int, flags: int) -> bool:
        if kind != CONTINUATION or self.stream != self._block_stream:
            raise Http2Error(PROTOCOL_ERROR, "another frame within a header block")
        self._block.append(self.payload)
        self._continuations += 1
        if self._continuations > MAX_CONTINUATIONS or sum(map(len, self._block)) > MAX_BLOCK_BYTES:
            raise Http2Error(ENHANCE_YOUR_CALM, "a header block of too many frames, or bytes")
        if not flags & END_HEADERS:
            return False
        self.kind = HEADERS
        self.payload = b"".join(self._block)
        self.ends = self._block_ends
        self._block.clear()
        self._block_stream = 0
        return True


def _size(data: bytes, at: int) -> int:
    return data[at] << 16 | data[at + 1] << 8 | data[at + 2]


def number_of(payload: bytes) -> int:
    """Return the 31 bits of WINDOW_UPDATE, or of another payload that begins with such a number."""
    return int.from_bytes(payload[:4]) & MOST_WINDOW


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return identifiers and values, in their order. Raises Http2Error for a value out of its range."""
    settings: list[tuple[int, int]] = []
    for at in range(0, len(payload), _SETTING.size):
        name, value = _SETTING.unpack_from(payload, at)
        if name == ENABLE_PUSH and value > 1:
            raise Http2Error(PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH is {value}, neither 0 nor 1")
        if name == INITIAL_WINDOW_SIZE and value > MOST_WINDOW:
            raise Http2Error(FLOW_CONTROL_ERROR, f"SETTINGS_INITIAL_WINDOW_SIZE is {value}")
        if name == MAX_FRAME_SIZE and not FRAME_BYTES <= value <= _MOST_FRAME_SIZE:
            raise Http2Error(PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE is {value}")
        settings.append((name, value))
    return settings


def frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    return _HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream)


def settings_frame(settings: tuple[tuple[int, int], ...]) -> bytes:
    payload = b"".join([_SETTING.pack(name, value) for name, value in settings])
    return frame_head(len(payload), SETTINGS, 0, 0) + payload


SETTINGS_ACK: Final = frame_head(0, SETTINGS, ACK, 0)


def ping_ack(payload: bytes) -> bytes:
    return frame_head(len(payload), PING, ACK, 0) + payload


def reset_frame(stream: int, code: int) -> bytes:
    return frame_head(4, RST_STREAM, 0, stream) + code.to_bytes(4)


def goaway_frame(last_stream: int, code: int, detail: str) -> bytes:
    """`detail` is for the people who debug the peer."""
    payload = last_stream.to_bytes(4) + code.to_bytes(4) + detail.encode("ascii", "replace")
    return frame_head(len(payload), GOAWAY, 0, 0) + payload


def window_frame(stream: int, increment: int) -> bytes:
    return frame_head(4, WINDOW_UPDATE, 0, stream) + increment.to_bytes(4)


def headers_frames(stream: int, block: bytes, *, ends: bool) -> bytes:
    """Return HEADERS, and CONTINUATION where the block needs more than a frame."""
    flags = END_STREAM if ends else 0
    if len(block) <= FRAME_BYTES:
        return frame_head(len(block), HEADERS, flags | END_HEADERS, stream) + block
    frames = [frame_head(FRAME_BYTES, HEADERS, flags, stream), block[:FRAME_BYTES]]
    for at in range(FRAME_BYTES, len(block), FRAME_BYTES):
        piece = block[at : at + FRAME_BYTES]
        is_last = at + FRAME_BYTES >= len(block)
        frames += frame_head(len(piece), CONTINUATION, END_HEADERS if is_last else 0, stream), piece
    return b"".join(frames)
