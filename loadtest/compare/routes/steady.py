"""Light, constant load on one connection: a request each millisecond.

    python -m loadtest.compare.routes.steady PORT PATH PID...

For every line on standard input the program prints the figures since the last line, as JSON, until the input
ends. Each PID is a process on the way of a request. When such a process, or this one, waits for its core
because another process runs there, the proxy did not cause the wait: such waits are counted separately.
"""

import json
import os
import selectors
import socket
import sys
import time

from loadtest.kit.processes import CoreWaits
from loadtest.kit.site import HOST

INTERVAL_S = 0.001


class Steady:
    """Requests that are sent one after the other. Times in seconds."""

    def __init__(self, port: int, path: str, pids: list[int]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        self._waits = CoreWaits(os.getpid(), *pids)
        self._taken: list[tuple[float, float]] = []  # of each request: all of it, and less the waits
        self._failed = 0

    def step(self) -> None:
        waited = self._waits.seconds()
        start = time.perf_counter()
        self._socket.sendall(self._request)
        answer = self._socket.recv(65536)  # a small answer comes at once
        latency = time.perf_counter() - start
        waited = self._waits.seconds() - waited
        self._taken.append((latency, max(0.0, latency - waited)))
        self._failed += not answer.startswith(b"HTTP/1.1 200 ")
        if not answer:
            raise SystemExit("the proxy closed the connection")

    def take(self) -> dict[str, float]:
        taken, self._taken = self._taken, []
        failed, self._failed = self._failed, 0
        return {
            "requests": len(taken),
            "failed": failed,
            "worst_s": max((latency for latency, _ in taken), default=0.0),
            "worst_own_s": max((own for _, own in taken), default=0.0),
        }


def main(port: int, path: str, pids: list[int]) -> None:
    load = Steady(port, path, pids)
    due = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            if selector.select(max(0.0, due - time.perf_counter())):
                if not sys.stdin.readline():
                    return
                print(json.dumps(load.take()), flush=True)
                continue
            load.step()
            due = max(due + INTERVAL_S, time.perf_counter())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], [int(pid) for pid in sys.argv[3:]])
