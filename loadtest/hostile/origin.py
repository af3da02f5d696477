"""Endpoints, honest and hostile: `python -m loadtest.hostile.origin PORT...`; the path says which.

A response without an end goes on for as long as the gateway reads; loopback only.
"""

import argparse
import asyncio
import os
from typing import Final, cast

import uvloop

BLOCK: Final = 65536
NICENESS: Final = 10
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
_SMALL: Final = _OK + b"Content-Length: 90\r\n\r\n" + b"." * 90
_LINE: Final = b"Some text, as it is compressed by gateways, number %d of many.\n"
_TEXT: Final = b"".join(_LINE % number for number in range(1000))[:BLOCK]
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_SWITCH: Final = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
_HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def whole_blocks(piece: bytes) -> bytes:
    """Return about a block of such pieces, each of them whole."""
    return piece * (BLOCK // len(piece))


ENDLESS: Final[dict[bytes, tuple[bytes, bytes]]] = {
    b"/up/chunks": (_CHUNKED, whole_blocks(b"1\r\na\r\n")),
    b"/up/long-sizes": (_CHUNKED, whole_blocks(b"0000000001\r\na\r\n")),
    b"/up/hints": (b"", whole_blocks(_HINTS)),
    b"/up/frames": (_SWITCH, whole_blocks(b"\x81\x01a")),
    b"/up/large": (_OK + b"Content-Length: 1000000000000\r\n\r\n", _TEXT),
    b"/up/stream": (_CHUNKED, b"%x\r\n%b\r\n" % (len(_TEXT), _TEXT)),
}
"""By path: the bytes that come once, and the bytes that come again and again."""


class Endpoint(asyncio.Protocol):
    """Answers each request head; bodies are read and thrown away."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._block = b""
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._block:
            return
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            self._received = self._received[-BLOCK:]
            return
        self._received = rest
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        if path == b"/up/silent":
            return
        once, self._block = ENDLESS.get(path, (_SMALL, b""))
        if path.startswith(b"/up/body"):
            self._received, once = b"", b""
            self._transport.resume_reading()
        self._transport.write(once)
        if self._block:
            self._go_on()

    def _go_on(self) -> None:
        assert self._transport is not None
        if not self._is_paused and not self._transport.is_closing():
            self._transport.write(self._block)
            asyncio.get_running_loop().call_soon(self._go_on)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._block:
            self._go_on()


async def serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Endpoint, "127.0.0.1", port, backlog=4096) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.hostile.origin", description=__doc__)
    parser.add_argument("ports", type=int, nargs="+", help="to listen on, on 127.0.0.1")
    parser.add_argument("--nice", action="store_true", help="leave the core to others")
    options = parser.parse_args()
    if options.nice:
        os.nice(NICENESS)
    uvloop.run(serve(options.ports))


if __name__ == "__main__":
    main()
