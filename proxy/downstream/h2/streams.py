"""The streams of one connection by their numbers (RFC 9113 §5.1)."""

from collections.abc import ValuesView
from typing import Final

from proxy.downstream.h2.stream import Http2Stream
from proxy.http2.errors import PROTOCOL_ERROR, STREAM_CLOSED, Http2Error

_REMEMBERED: Final = 256
"""Streams that we have reset: frames that were on their way to them are no fault of the client."""


class Streams:
    """Open streams, and what is known of closed ones."""

    __slots__ = ("_open", "_reset", "_skipped", "last")

    def __init__(self) -> None:
        self._open: dict[int, Http2Stream] = {}
        self._reset: dict[int, None] = {}
        self._skipped: list[tuple[int, int]] = []  # numbers that the client has left out, first and last
        self.last = 0  # highest number that the client has used

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> ValuesView[Http2Stream]:
        return self._open.values()

    def get(self, number: int) -> Http2Stream | None:
        return self._open.get(number)

    def use(self, number: int) -> bool:
        """Note HEADERS on a stream that is not open: True where it is new, False where it is to be ignored.

        Raises Http2Error.
        """
        if not number & 1:
            raise Http2Error(PROTOCOL_ERROR, f"a client began stream {number}")
        if number <= self.last:
            if number in self._reset:
                return False
            if any(first <= number <= last for first, last in self._skipped):  # RFC 9113 §5.1.1
                raise Http2Error(PROTOCOL_ERROR, f"a client began stream {number} after stream {self.last}")
            raise Http2Error(STREAM_CLOSED, f"HEADERS on stream {number}, which is closed")
        if number > self.last + 2 and len(self._skipped) < _REMEMBERED:
            self._skipped.append((self.last + 1, number - 1))
        self.last = number
        return True

    def open(self, stream: Http2Stream) -> None:
        self._open[stream.number] = stream

    def close(self, number: int) -> Http2Stream | None:
        return self._open.pop(number, None)

    def note_reset(self, number: int) -> None:
        self._reset[number] = None
        if len(self._reset) > _REMEMBERED:
            del self._reset[next(iter(self._reset))]

    def is_reset(self, number: int) -> bool:
        return number in self._reset

    def check_used(self, number: int, frame: str) -> None:
        """Raises Http2Error for a frame on a stream that no HEADERS have begun."""
        if number > self.last or not number & 1:
            raise Http2Error(PROTOCOL_ERROR, f"{frame} on stream {number}, which is idle")

    def clear(self) -> list[Http2Stream]:
        """Return the streams that were open, and keep none."""
        streams = list(self._open.values())
        self._open.clear()
        return streams
