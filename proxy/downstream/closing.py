"""The end of a client connection: closed for writing, and read from until the client has its answer.

Closing right away would reset the connection when something of the client is still on its way, and the
client would lose the answer (RFC 9112 §9.6).
"""

import asyncio
from typing import Final

from proxy.downstream.presence import ClientWatch

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 65536
STALL_S: Final = 300.0  # a client that does not read its response
CHECK_S: Final = 1.0


class Closing:
    """A client has STALL_S to read all that is written, and LINGER_S from then on to close its side."""

    __slots__ = ("_deadline", "_left", "_transport", "_watch")

    def __init__(self, transport: asyncio.Transport, watch: ClientWatch, now: float) -> None:
        self._transport = transport
        self._watch = watch
        self._deadline = now + STALL_S
        self._left = LINGER_BYTES  # bytes that may still be read and thrown away

    def end(self) -> None:
        """Close once all is written."""
        self._transport.close()

    def linger(self) -> None:
        """Close for writing, and wait for the client to close its side."""
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def throw_away(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left <= 0:
            self._transport.abort()

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
        if not self._transport.get_write_buffer_size():
            if self._transport.is_closing():
                return None
            self._deadline = min(self._deadline, now + LINGER_S)
        elif not self._watch.is_there(self._transport, now):
            self._deadline = now
        if now < self._deadline:
            return now + CHECK_S
        self._transport.abort()
        return None
