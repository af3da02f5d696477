"""Bytes of a client that wait: for a response, for the client to read, for a turn of the event loop."""

import asyncio
from typing import Final

HIGH_WATER_BYTES: Final = 65536


class Inbox:
    """The unprocessed bytes of one connection, which stops reading while too many of them wait."""

    __slots__ = ("_more", "_more_bytes", "_transport", "at", "checked", "data", "is_held", "is_wanted")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.data = b""  # pipelined requests, an incomplete head, more of a body
        self.at = 0  # where the unprocessed bytes of `data` begin
        self.checked = 0  # bytes of an incomplete head, at the beginning of `data`
        self._more: list[bytes] = []  # received behind `data`
        self._more_bytes = 0
        self.is_held = False  # too many bytes wait
        self.is_wanted = True  # whether more of the request body can be used

    def put_back(self, data: bytes, at: int) -> None:
        """Keep data[at:], the unprocessed rest of bytes that were taken out."""
        if self.checked or at > HIGH_WATER_BYTES:
            data, at = data[at:], 0
        self.data, self.at = (data, at) if at < len(data) else (b"", 0)

    def add(self, data: bytes) -> None:
        """Keep newly received bytes behind the others."""
        if self.data:
            self._more.append(data)  # joined later: many small pieces would be copied again and again
            self._more_bytes += len(data)
        else:
            self.data = data
        if self.is_full():
            self.hold(True)

    def is_full(self) -> bool:
        return len(self.data) - self.at + self._more_bytes > HIGH_WATER_BYTES

    def take(self) -> bytes:
        """Return the kept bytes, and keep none; read `at` before."""
        data = self.data
        if self._more:
            data = b"".join((data, *self._more))
            self._more.clear()
            self._more_bytes = 0
        self.data = b""
        self.at = 0
        return data

    def discard(self) -> None:
        """Drop all, and read from the client again."""
        self.data = b""
        self.at = 0
        self._more.clear()
        self._more_bytes = 0
        self.is_wanted = True
        self._transport.resume_reading()

    def hold(self, held: bool) -> None:
        """Stop reading from the client, or go on, because of the bytes that wait here."""
        if held != self.is_held:
            self.is_held = held
            self._read_or_pause()

    def want(self, wanted: bool) -> None:
        """Stop reading from the client, or go on, as the body is wanted."""
        self.is_wanted = wanted
        self._read_or_pause()

    def _read_or_pause(self) -> None:
        if self._transport.is_closing():
            return
        if self.is_wanted and not self.is_held:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
