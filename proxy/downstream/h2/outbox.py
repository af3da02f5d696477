"""Frames on their way to a client: those of one turn of the event loop are one write, and one TLS record."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from proxy.http2.errors import FLOW_CONTROL_ERROR, Http2Error
from proxy.http2.frames import DEFAULT_WINDOW, MOST_WINDOW
from proxy.http2.hpack_encoder import size_update

_NO_TABLE: Final = size_update(0)
_TURN_BYTES: Final = 131072
"""Bytes of bodies that one connection writes per turn of the loop."""


class DataStream(ABC):
    """A stream with data, or the end of its data, to send."""

    __slots__ = ("is_waiting",)

    is_waiting: bool  # listed in the outbox

    @abstractmethod
    def send_some(self, room: int) -> int:
        """Send a frame of at most `room` bytes of data; return the bytes sent, -1 if no frame could be sent.

        -1 as well after the last frame.
        """


class Outbox:
    """The frames of one connection, its window, and the streams that take turns with their data."""

    __slots__ = (
        "_frames",
        "_has_smaller_table",
        "_is_scheduled",
        "_loop",
        "_size",
        "_streams",
        "_transport",
        "is_paused",
        "window",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._frames: list[bytes] = []
        self._size = 0
        self._is_scheduled = False
        self._has_smaller_table = False  # the client has said so, and no block has since
        self._streams: deque[DataStream] = deque()
        self.window = DEFAULT_WINDOW  # bytes of data that the client takes on all streams together
        self.is_paused = False  # the client does not read: no more data for now

    def shrink_table(self) -> None:
        """Note that the client keeps a smaller dynamic table than before."""
        self._has_smaller_table = True

    def block(self, block: bytes) -> bytes:
        """Return a header block that is written next, as the client takes it.

        The first one after a smaller table has to say how small it is (RFC 7541 §4.2): ours needs none.
        """
        if not self._has_smaller_table:
            return block
        self._has_smaller_table = False
        return _NO_TABLE + block

    def add(self, frame: bytes) -> None:
        """Write a frame, or some, at the end of the turn."""
        self._frames.append(frame)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self.flush)

    def add_any(self, frame: bytes) -> None:
        """Write a frame, if there is one."""
        if frame:
            self.add(frame)

    def send_data(self, stream: DataStream) -> None:
        """Let a stream send its data, in turns with others."""
        if not stream.is_waiting:
            stream.is_waiting = True
            self._streams.append(stream)
            if not self._is_scheduled:
                self._is_scheduled = True
                self._loop.call_soon(self.flush)

    def count_data(self, frame: bytes, size: int) -> None:
        """Write a frame with `size` bytes of data; called by streams within `send_some`."""
        self._frames.append(frame)
        self._size += size
        self.window -= size

    def widen(self, increment: int) -> None:
        """Take a WINDOW_UPDATE of the connection. Raises Http2Error for a window beyond RFC 9113 §6.9.1."""
        self.window += increment
        if self.window > MOST_WINDOW:
            raise Http2Error(FLOW_CONTROL_ERROR, "the window of the connection is too large")
        if self._streams:
            self.add(b"")

    def resume(self) -> None:
        """Go on sending data: the client reads."""
        self.is_paused = False
        if self._streams:
            self.add(b"")

    def flush(self) -> None:
        """Write what was added, and data of the streams whose turn it is."""
        self._is_scheduled = False
        if self._transport.is_closing():
            self.clear()
            return
        if self._streams and not self.is_paused:
            self._send_streams()
        frames = self._frames
        if len(frames) == 1:
            if frames[0]:
                self._transport.write(frames[0])
        elif frames:
            self._transport.write(b"".join(frames))
        frames.clear()
        if self._size >= _TURN_BYTES and self._streams and not self.is_paused:
            self.add(b"")  # the rest in the next turn
        self._size = 0

    def clear(self) -> None:
        """Drop everything: the connection is gone."""
        self._frames.clear()
        self._streams.clear()

    def _send_streams(self) -> None:
        """Give each stream one frame at a time. A stream that its own window stops leaves the row."""
        streams = self._streams
        stopped = 0  # streams in a row that only the connection's window stops
        while streams and stopped < len(streams) and self._size < _TURN_BYTES:
            stream = streams.popleft()
            sent = stream.send_some(self.window)
            if sent < 0:
                stream.is_waiting = False
            else:
                streams.append(stream)
                stopped = 0 if sent else stopped + 1
