"""As much of HTTP/1.1 as origins and loads read: where a message ends."""

import asyncio
import re
from abc import abstractmethod
from typing import Final, cast

END: Final = b"\r\n\r\n"
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


def whole_request(received: bytes) -> int:
    """Return where the head ends of a request that has arrived with its body; -1 while parts are missing."""
    end = received.find(END)
    if end < 0:
        return -1
    length = LENGTH.search(received, 0, end)
    return end if len(received) >= end + len(END) + (int(length[1]) if length else 0) else -1


class Requests(asyncio.Protocol):
    """One connection of a proxy to an origin: a request at a time, as proxies send them."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name

    @property
    def transport(self) -> asyncio.WriteTransport:
        """The transport of a connection that has been made."""
        assert self._transport is not None
        return self._transport

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        if whole_request(received) < 0:
            self._received = received
            return
        self._received = b""
        self.on_request(received)

    @abstractmethod
    def on_request(self, received: bytes) -> None:
        """Take a request that has arrived whole, head and body."""
