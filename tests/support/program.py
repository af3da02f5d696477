"""An endpoint in a process of its own that executes so many requests at a time, and counts what it executes.

    python -m tests.support.program PORT AT_A_TIME LOG

`GET /kind/id?s=SECONDS` takes SECONDS of one of the AT_A_TIME workers; further requests queue, and so
does `OPTIONS *`.
Each execution is a line of LOG, written when it begins: `method kind id`.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from queue import SimpleQueue

from loadtest.ports import free_port

_ROOT = Path(__file__).parents[2]


def serve(port: int, at_a_time: int, log: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    queue: SimpleQueue[tuple[socket.socket, bytes]] = SimpleQueue()
    for _ in range(at_a_time):
        threading.Thread(target=_work, args=(queue, out), daemon=True).start()
    with socket.create_server(("127.0.0.1", port), backlog=512) as listener:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_read, args=(connection, queue), daemon=True).start()


def _read(connection: socket.socket, queue: "SimpleQueue[tuple[socket.socket, bytes]]") -> None:
    """One request at a time, as a gateway sends them; bodies are short and come with their head."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
            head, end, rest = received.partition(b"\r\n\r\n")
            if end and len(rest) >= _length(head):
                received = b""
                queue.put((connection, head))
    except OSError:
        pass  # the gateway has hung up


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _work(queue: "SimpleQueue[tuple[socket.socket, bytes]]", out: int) -> None:
    while True:
        connection, head = queue.get()
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        path, _, query = target.partition(b"?")
        if method != b"OPTIONS":
            os.write(out, b"%b %b\n" % (method, b" ".join(path[1:].split(b"/"))))
        if query:
            time.sleep(float(query.removeprefix(b"s=")))
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))
        except OSError:
            pass


class Program:
    """Starts one; stop() and go_on() are SIGSTOP and SIGCONT."""

    def __init__(self, at_a_time: int) -> None:
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="fleetgate-test-")
        self._log = Path(self._directory.name) / "log"
        self._log.touch()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "tests.support.program",
                str(self.port),
                str(at_a_time),
                str(self._log),
            ],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )

    def __enter__(self) -> "Program":
        end = time.monotonic() + 10.0
        while not self._listens():
            assert time.monotonic() < end, "the program does not listen"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def executed(self, kind: str = "") -> Counter[str]:
        """Return how often each request was executed, by its id."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return Counter(words[2] for words in lines if not kind or words[1] == kind)

    def _listens(self) -> bool:
        try:
            socket.create_connection(self.address, 1.0).close()
        except OSError:
            return False
        return True


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
