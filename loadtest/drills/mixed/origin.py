"""An endpoint with the execution model of a real application server.

    python -m loadtest.drills.mixed.origin MODEL ADDRESS PORT LOG

Every executed request is a line of LOG when its execution begins, and one when it ends: `time begin|end
arrival method id`, the time of the monotonic clock in seconds. A line is one write, so that a killed
process leaves it. A request without an id (`OPTIONS *`, a health check) is executed by the same threads, and
its id is `-`. A line `time pause seconds - -`: the whole process did not run for that time.
"""

import os
import queue
import re
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from loadtest.kit.messages import CLOSE, whole_request

BACKLOG: Final = 1024
FAST_S: Final = 0.003
POOL: Final = 4
READ_S: Final = 5.0
TICK_S: Final = 0.02
PAUSE_S: Final = 0.06
_HEAD: Final = re.compile(rb"(\S+) (\S+) HTTP/1\.[01]\r\n")
_ID: Final = re.compile(rb"[?/]id[-=]([0-9a-z]+)")
NO_ID: Final = b"-"


class Model(StrEnum):
    """How an endpoint executes requests."""

    THREADED = "threaded"  # a thread for each request: as many at a time as there are
    SINGLE = "single"  # one thread that selects, executes, selects: a blocked event loop
    SYNC = "sync"  # one thread, one connection at a time, closed after its answer: a pre-fork worker
    POOL = "pool"  # four threads, connections wait in a queue for one of them


class Log:
    """The log of executions, which readers of the file count."""

    def __init__(self, path: Path, port: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._port = port
        self._numbers = count(path.read_bytes().count(b" begin "))

    def begin(self, method: bytes, identity: bytes) -> bytes:
        arrival = b"%d-%d" % (self._port, next(self._numbers))
        self._write(b"begin", arrival, method, identity)
        return arrival

    def end(self, arrival: bytes, method: bytes, identity: bytes) -> None:
        self._write(b"end", arrival, method, identity)

    def pause(self, seconds: float) -> None:
        self._write(b"pause", b"%.3f" % seconds, b"-", NO_ID)

    def _write(self, what: bytes, *words: bytes) -> None:
        os.write(self._file, b"%.6f %b %b\n" % (time.monotonic(), what, b" ".join(words)))


def answer(connection: socket.socket, log: Log, *, keep: bool) -> bool:
    """Read a request, execute it, answer it; return whether the connection can carry another one."""
    received = b""
    connection.settimeout(READ_S)
    try:
        while (end := whole_request(received)) < 0:
            data = connection.recv(65536)
            if not data:
                return False
            received += data
        head = _HEAD.match(received)
        if head is None:
            return False
        keep = keep and not CLOSE.search(received, 0, end + 2)
        body = execute(head[1], head[2], log)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%b\r\n%b"
            % (len(body), b"" if keep else b"Connection: close\r\n", b"" if head[1] == b"HEAD" else body)
        )
    except OSError:
        return False
    return keep


def execute(method: bytes, target: bytes, log: Log) -> bytes:
    """Take as long as the query says; return the answer, which names the request and its execution."""
    found = _ID.search(target)
    identity = found[1] if found else NO_ID
    arrival = log.begin(method, identity)
    asked = parse_qs(target.partition(b"?")[2])
    if identity != NO_ID:
        time.sleep(float(asked.get(b"s", [b"0"])[0]) or FAST_S)
    log.end(arrival, method, identity)
    return b"%b %b" % (identity, arrival)


class Server:
    """Idle connections are watched by one thread; a readable one is handed to `dispatch`."""

    def __init__(self, listener: socket.socket, log: Log) -> None:
        self._listener = listener
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._returned: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._waking, self._wake = socket.socketpair()
        self._selector.register(self._waking, selectors.EVENT_READ)

    def serve(self, dispatch: Callable[[socket.socket], None]) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._watch(self._listener.accept()[0])
                elif key.fileobj is self._waking:
                    self._waking.recv(4096)
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._selector.unregister(key.fileobj)
                    dispatch(key.fileobj)
            while not self._returned.empty():
                self._watch(self._returned.get())

    def handle(self, connection: socket.socket) -> None:
        """Serve one request; the connection is watched again, or closed."""
        if answer(connection, self._log, keep=True):
            self._returned.put(connection)
            self._wake.send(b"x")
        else:
            connection.close()

    def _watch(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ)


def watch_the_clock(log: Log) -> None:
    """Notice when the process has no core: the machine's pauses look like a stopped process."""
    last = time.monotonic()
    while True:
        time.sleep(TICK_S)
        now = time.monotonic()
        if now - last > PAUSE_S:
            log.pause(now - last - TICK_S)
        last = now


def serve_one_connection_at_a_time(listener: socket.socket, log: Log) -> None:
    while True:
        connection, _ = listener.accept()
        answer(connection, log, keep=False)
        connection.close()


def serve_in_pool(server: Server) -> None:
    waiting: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()

    def work() -> None:
        while True:
            server.handle(waiting.get())

    for _ in range(POOL):
        threading.Thread(target=work, daemon=True).start()
    server.serve(waiting.put)


def serve_in_threads(server: Server) -> None:
    def dispatch(connection: socket.socket) -> None:
        threading.Thread(target=server.handle, args=(connection,), daemon=True).start()

    server.serve(dispatch)


def main(model: Model, address: str, port: int, path: Path) -> None:
    log = Log(path, port)
    threading.Thread(target=watch_the_clock, args=(log,), daemon=True).start()
    listener = socket.create_server((address, port), backlog=BACKLOG)
    if model is Model.SYNC:
        serve_one_connection_at_a_time(listener, log)
    server = Server(listener, log)
    if model is Model.POOL:
        serve_in_pool(server)
    elif model is Model.THREADED:
        serve_in_threads(server)
    server.serve(server.handle)


if __name__ == "__main__":
    main(Model(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
