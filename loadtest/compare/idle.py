"""Connections that have done one request each and then are silent."""

import selectors
import socket
from types import TracebackType

from loadtest.compare.rows import Row
from loadtest.kit.site import HOST

PER_ADDRESS = 1000
"""Connections per source address of 127.0.0.0/8: each has its own ports, and its own limit in a proxy."""
AT_ONCE = 200
OPEN_S = 30.0


class IdleConnections:
    """Opens the connections on entry. Raises OSError when the proxy refuses, or answers with an error."""

    def __init__(self, row: Row, port: int) -> None:
        self._row = row
        self._port = port
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> "IdleConnections":
        for first in range(0, self._row.idle, AT_ONCE):
            self._open(range(first, min(first + AT_ONCE, self._row.idle)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._sockets:
            each.close()

    def closed(self) -> int:
        """Return how many connections the proxy has closed in the meantime."""
        return sum(1 for each in self._sockets if not _is_open(each))

    def _open(self, numbers: range) -> None:
        """Open a batch and wait until each has its answer."""
        request = f"GET {self._row.path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        with selectors.DefaultSelector() as selector:
            for number in numbers:
                sock = socket.socket()
                self._sockets.append(sock)
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((f"127.0.1.{1 + number // PER_ADDRESS}", 0))
                sock.settimeout(OPEN_S)
                sock.connect(("127.0.0.1", self._port))
                sock.sendall(request)
                sock.setblocking(False)
                selector.register(sock, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(OPEN_S)
                if not ready:
                    raise TimeoutError(f"an idle connection got no answer within {OPEN_S:g} s")
                for key, _ in ready:
                    _check(key.fileobj)  # type: ignore[arg-type]
                    selector.unregister(key.fileobj)


IP_BIND_ADDRESS_NO_PORT = 24
"""linux/in.h: the port is chosen at connect(), so that only the four-tuple has to be unique."""


def _check(sock: socket.socket) -> None:
    """The answer is one small segment."""
    answer = sock.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"an idle connection was answered with {answer[:80]!r}")


def _is_open(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
