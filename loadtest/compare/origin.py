"""A backend for work that nginx cannot do cheaply: chunked answers, and no answer before the body.

    python -m loadtest.compare.origin PORT...

Every GET is answered with the same chunked body, every POST with "ok", once its whole body has arrived.
"""

import asyncio
import sys

import uvloop

from loadtest.compare.rows import CHUNKED_SIZES
from loadtest.kit.messages import Requests

BACKLOG = 4096
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (size, b"." * size) for size in CHUNKED_SIZES)
    + b"0\r\n\r\n"
)
POSTED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Connection(Requests):
    """Answers by the method alone."""

    def on_request(self, received: bytes) -> None:
        self.transport.write(CHUNKED if received.startswith(b"GET ") else POSTED)


async def serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Connection, "127.0.0.1", port, backlog=BACKLOG) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    uvloop.run(serve([int(port) for port in sys.argv[1:]]))
