"""Normal traffic: requests in constant arrival over keep-alive connections."""

import select
import socket
from collections import deque
from dataclasses import dataclass, field
from math import ceil
from time import monotonic

from loadtest.compare.rows import SIZES
from loadtest.kit.site import HOST

REQUEST = f"GET /svc1/90B HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: normal/1\r\nAccept: */*\r\n\r\n".encode()
END = b"\r\n\r\n" + b"." * SIZES["90B"]
ANSWER_S = 5.0
"""A request that takes longer has failed."""


@dataclass(slots=True)
class Seen:
    """Latencies in seconds, counted from when a request was due, and how many requests failed."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def add(self, other: "Seen") -> None:
        self.latencies += other.latencies
        self.failed += other.failed

    def percentile_ms(self, percent: float) -> float:
        """Raises ValueError when nothing was answered."""
        if not self.latencies:
            raise ValueError("no request was answered")
        ordered = sorted(self.latencies)
        return ordered[ceil(len(ordered) * percent / 100) - 1] * 1e3


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.received = b""

    def fileno(self) -> int:
        return self.socket.fileno()


class Traffic:
    """The traffic, as a context manager. A request that finds no free connection waits, and its time runs."""

    def __init__(self, port: int, rate: int, connections: int) -> None:
        self._port = port
        self._interval = 1 / rate
        self._next_due = 0.0
        self._free = deque(_Connection(port) for _ in range(connections))
        self._busy: set[_Connection] = set()
        self._seen = Seen()

    def __enter__(self) -> "Traffic":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (*self._free, *self._busy):
            connection.socket.close()

    def run(self, seconds: float) -> Seen:
        """Keep the traffic up for this time; requests under way in the end belong to the next run.

        select(), not epoll: its timeout is exact to the microsecond, and there are few connections.
        """
        self._seen = Seen()
        now = monotonic()
        end = now + seconds
        self._next_due = max(self._next_due, now - 1)
        while now < end:
            self._send(now)
            pause = max(0.0, min(end, self._next_due) - now) if self._free else end - now
            for connection in select.select(self._busy, (), (), pause)[0]:
                self._read(connection)
            now = monotonic()
            if self._busy:
                self._check_oldest(now)
        return self._seen

    def start(self) -> None:
        """Begin the traffic: the first request is due now."""
        self._next_due = monotonic()

    def _send(self, now: float) -> None:
        while self._free and self._next_due <= now:
            connection = self._free.popleft()
            connection.due = self._next_due
            connection.received = b""
            self._next_due += self._interval
            self._busy.add(connection)
            try:
                connection.socket.sendall(REQUEST)
            except OSError:
                self._replace(connection)

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(65536)
        except OSError:
            data = b""
        connection.received += data
        if not data or not connection.received.startswith(b"HTTP/1.1 200 "[: len(connection.received)]):
            self._replace(connection)
        elif connection.received.endswith(END):
            self._seen.latencies.append(monotonic() - connection.due)
            self._busy.remove(connection)
            self._free.append(connection)

    def _check_oldest(self, now: float) -> None:
        oldest = min(self._busy, key=lambda connection: connection.due)
        if now - oldest.due > ANSWER_S:
            self._replace(oldest)

    def _replace(self, connection: _Connection) -> None:
        """Replace a connection whose request has failed. Raises OSError when no connection can be opened."""
        self._seen.failed += 1
        self._busy.remove(connection)
        connection.socket.close()
        self._free.append(_Connection(self._port))
