"""HTTP load in open loop, on bare sockets and epoll, at the least cost per request."""

import random
import select
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from loadtest.kit.site import HOST

GIVE_UP_S: Final = 1.0
BATCH: Final = 32  # requests sent before answers are looked at again
SOURCES: Final = 16  # addresses to connect from: one has too few ports for a connection per request
HEADS: Final = 2000
_RESET: Final = struct.pack("ii", 1, 0)  # struct linger


@dataclass
class Phase:
    """The outcome of the requests that were due in one phase."""

    name: str
    due: int = 0
    good: int = 0
    refused: int = 0  # answered, not with 200
    cut: int = 0  # connection closed without an answer
    late: int = 0  # given up
    unsent: int = 0  # late requests that never had a connection
    started: float = 0.0
    seconds: float = 0.0  # time in which requests were due
    elapsed: float = 0.0
    answers: list[tuple[float, float, float]] = field(default_factory=list)
    """Good answers: when each was due, seconds since then, seconds since its request was sent."""
    worker_core: float = 0.0
    load_core: float = 0.0
    pauses: float = 0.0  # the longest time the load did not look at its clock

    def p(self, share: float, *, sent: bool = False) -> float:
        """Return a percentile of the time of good answers since they were due, or sent; in seconds."""
        took = sorted(answer[2 if sent else 1] for answer in self.answers)
        return took[min(int(len(took) * share), len(took) - 1)] if took else 0.0

    def goodput(self, since_s: float) -> float:
        """Return good answers per second, from `since_s` seconds after the start to the end."""
        first, last = self.started + since_s, self.started + self.seconds
        return sum(first <= due + took < last for due, took, _ in self.answers) / (last - first)

    def well(self, limit_s: float, bucket_s: float) -> list[float]:
        """Return the share of requests answered within a limit, for each bucket of when they were due."""
        count = int(self.seconds / bucket_s)
        each = self.due / self.seconds * bucket_s
        found = [0] * count
        for due, took, _ in self.answers:
            number = int((due - self.started) / bucket_s)
            if took <= limit_s and number < count:
                found[number] += 1
        return [good / each for good in found]

    def __str__(self) -> str:
        counts = (self.due, self.good, self.refused, self.cut, self.late, self.unsent)
        due, good, refused, cut, late, unsent = (round(count / self.seconds) for count in counts)
        return (
            f"{self.name:<10} per s: due {due:>5} good {good:>5} refused {refused:>5} cut {cut:>5}"
            f" late {late:>5} (unsent {unsent:>5})   ms:"
            f" p50 {self.p(0.5) * 1e3:>5.1f} p99 {self.p(0.99) * 1e3:>6.1f}"
            f" since sent p99 {self.p(0.99, sent=True) * 1e3:>6.1f}   load paused {self.pauses * 1e3:.0f}"
            f"   cores: worker {self.worker_core:.0%} load {self.load_core:.0%}"
        )


@dataclass(slots=True, eq=False)
class Request:
    """A request from when it is due until it is answered, cut or given up."""

    phase: Phase
    due: float
    sent: float = 0.0
    connection: "Connection | None" = None
    is_done: bool = False


class Connection:
    """A socket with at most one request on it."""

    __slots__ = ("data", "is_connected", "opened", "request", "sock")

    def __init__(self, sock: socket.socket, opened: float) -> None:
        self.sock = sock
        self.opened = opened
        self.is_connected = False
        self.request: Request | None = None
        self.data = b""


class Load:
    """Requests at a constant rate over a pool of connections, or each over its own."""

    def __init__(self, port: int, connections: int, fields: int) -> None:
        """`connections`: size of the pool; 0: no pool. `fields`: header fields of each request."""
        self._port = port
        self._size = connections
        self._blocks = _blocks(fields)
        self._number = 0
        self._epoll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        self._idle: deque[Connection] = deque()
        self._pending: deque[Request] = deque()  # all, by when they are due
        self._opening: deque[Connection] = deque()
        self._closed_until = 0.0

    def warm_up(self) -> None:
        """Open the pool, a few connections at a time."""
        while len(self._by_fd) < self._size:
            for _ in range(min(50, self._size - len(self._by_fd))):
                self._open(monotonic())
            self._poll(0.05)
        end = monotonic() + 5.0
        while len(self._idle) < self._size and monotonic() < end:
            self._poll(0.05)

    def close(self) -> None:
        for connection in self._by_fd.values():
            connection.sock.close()
        self._epoll.close()

    def run_closed(self, phase: Phase, clients: int, seconds: float) -> None:
        """Find the capacity: `clients` that ask again when they are answered, for `seconds`."""
        phase.started = monotonic()
        phase.seconds = seconds
        self._closed_until = phase.started + seconds
        for _ in range(clients):
            self._ask(phase, monotonic())
        self.settle()
        phase.elapsed = monotonic() - phase.started

    def run(self, phase: Phase, rate: float, seconds: float) -> None:
        """Send requests at a constant rate; return at the end, with requests still on their way."""
        phase.started = now = before = monotonic()
        phase.seconds = phase.elapsed = seconds
        wanted = int(rate * seconds)
        while phase.due < wanted or now < phase.started + seconds:
            due = min(int((now - phase.started) * rate), wanted)
            for _ in range(min(due - phase.due, BATCH)):
                self._ask(phase, phase.started + phase.due / rate)
            self._poll(0.0 if phase.due < due else 0.001)
            now = monotonic()
            phase.pauses = max(phase.pauses, now - before)
            before = now
            self._give_up(now)

    def settle(self) -> None:
        """Wait until nothing is on its way."""
        while self._pending:
            self._poll(0.01)
            self._give_up(monotonic())

    def _ask(self, phase: Phase, due: float) -> None:
        phase.due += 1
        request = Request(phase, due)
        self._pending.append(request)
        if self._idle:
            self._send(self._idle.pop(), request)
            return
        connection = self._open(due)
        if connection is None:
            self._finish(request)
            phase.cut += 1
        else:
            connection.request, request.connection = request, connection

    def _open(self, now: float) -> Connection | None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((f"127.0.1.{1 + self._number % SOURCES}", 0))
        self._number += 1
        error = sock.connect_ex(("127.0.0.1", self._port))
        if error not in (0, 115):  # EINPROGRESS
            sock.close()
            return None
        connection = self._by_fd[sock.fileno()] = Connection(sock, now)
        self._epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        if self._size:
            self._opening.append(connection)
        return connection

    def _send(self, connection: Connection, request: Request) -> None:
        connection.request, request.connection = request, connection
        request.sent = monotonic()
        self._number += 1
        keep = b"" if self._size else b"Connection: close\r\n"
        data = b"GET /svc1/90B?n=%d HTTP/1.1\r\n%bX-Number: %d\r\n%b" % (
            self._number, keep, self._number, self._blocks[self._number % HEADS],
        )  # fmt: skip
        try:
            sent = connection.sock.send(data)
        except OSError:
            self._lost(connection)
            return
        assert sent == len(data), "a socket buffer takes a whole request"

    def _poll(self, timeout: float) -> None:
        for fd, events in self._epoll.poll(timeout):
            connection = self._by_fd.get(fd)
            if connection is None:
                continue
            if not connection.is_connected:
                if events & (select.EPOLLERR | select.EPOLLHUP):
                    self._lost(connection)
                    continue
                connection.is_connected = True
                self._epoll.modify(fd, select.EPOLLIN)
                if connection.request is not None:
                    self._send(connection, connection.request)
                else:
                    self._idle.append(connection)
            elif events & ~select.EPOLLOUT:
                self._read(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._lost(connection)
            return
        data = connection.data = connection.data + data
        request = connection.request
        end = data.find(b"\r\n\r\n")
        if request is None or end < 0:
            return
        head = data[:end].lower()
        length = head.rpartition(b"\ncontent-length:")[2].partition(b"\r\n")[0]
        if len(data) < end + 4 + int(length):
            return
        connection.data = b""
        connection.request = None
        now = monotonic()
        self._finish(request)
        phase = request.phase
        if now - request.due > GIVE_UP_S:
            phase.late += 1
        elif data.startswith(b"HTTP/1.1 200"):
            phase.good += 1
            phase.answers.append((request.due, now - request.due, now - request.sent))
        else:
            phase.refused += 1
        if not self._size:
            # Reset: otherwise 100,000 connections in TIME_WAIT slow down the next measurement
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._drop(connection)
        elif b"connection: close" in head:
            self._drop(connection)
        else:
            self._idle.append(connection)
        if now < self._closed_until:
            self._ask(phase, now)

    def _lost(self, connection: Connection) -> None:
        request, connection.request = connection.request, None
        if request is not None:
            request.phase.cut += 1
            self._finish(request)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        del self._by_fd[connection.sock.fileno()]
        connection.sock.close()
        if connection.is_connected and self._size and connection.request is None:
            try:
                self._idle.remove(connection)
            except ValueError:
                pass
        if len(self._by_fd) < self._size:
            self._open(monotonic())

    def _finish(self, request: Request) -> None:
        request.is_done = True
        request.connection = None

    def _give_up(self, now: float) -> None:
        while self._pending and (self._pending[0].is_done or now - self._pending[0].due > GIVE_UP_S):
            request = self._pending.popleft()
            if request.is_done:
                continue
            request.phase.late += 1
            connection = request.connection
            self._finish(request)
            if connection is None or not connection.is_connected:
                request.phase.unsent += 1
            if connection is not None:
                connection.request = None
                self._drop(connection)
        while self._opening and (self._opening[0].is_connected or now - self._opening[0].opened > GIVE_UP_S):
            connection = self._opening.popleft()
            if not connection.is_connected and connection.sock.fileno() >= 0:
                self._drop(connection)


def _blocks(fields: int) -> list[bytes]:
    """Return the same number of fields again and again, with other values."""
    some = random.Random(1)
    host = f"Host: {HOST}\r\n"
    return [
        (
            host + "".join(f"X-Field-{n}: {some.randbytes(12).hex()}\r\n" for n in range(fields)) + "\r\n"
        ).encode()
        for _ in range(HEADS)
    ]
