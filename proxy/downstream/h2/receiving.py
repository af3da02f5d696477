"""The window for data that a client sends: on one stream, or on all streams of a connection."""

from proxy.http2.frames import window_frame


class ReceiveWindow:
    """Bytes that the client may send. It gets them back in large steps, once they need no memory."""

    __slots__ = ("_consumed", "_left", "_size", "_stream")

    def __init__(self, stream: int, size: int) -> None:
        """`stream`: its number, 0 for the connection."""
        self._stream = stream
        self._size = size
        self._left = size
        self._consumed = 0

    def take(self, size: int) -> bool:
        """Count data that came, padding included; return whether the window had room for it."""
        self._left -= size
        return self._left >= 0

    def give_back(self, size: int) -> bytes:
        """Count bytes that are processed; return the frame that tells the client, b"" while there is none."""
        self._consumed += size
        if self._consumed * 2 < self._size:
            return b""
        consumed, self._consumed = self._consumed, 0
        self._left += consumed
        return window_frame(self._stream, consumed)
