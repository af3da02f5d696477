"""Attackers: many connections that send one kind of traffic, and read any answer.

    python -m loadtest.hostile.attack --port PORT --kind KIND [--connections N] [--rate MB] [--seconds S]

Loopback only. A connection that is closed is opened anew. The program prints its counts as JSON in the end.
"""

import argparse
import errno
import json
import os
import select
import socket
from dataclasses import dataclass
from time import monotonic
from typing import Final

from loadtest.hostile.kinds import KINDS, Kind
from loadtest.kit.processes import raise_file_limit

NICENESS: Final = 10
"""Niceness of the attackers: they share a core with the normal traffic, and must not slow it down there."""
ROUND_S: Final = 0.005
READ_BYTES: Final = 1 << 18
SENDS: Final = 64
"""Single bytes that a connection sends before the next connection has its turn."""


@dataclass(slots=True)
class Attacker:
    """One connection; `at` is the next byte of the block it sends."""

    socket: socket.socket
    first: bytes
    at: int = 0


class Attack:
    """`rate` is in bytes per second, of all connections together; 0 is as much as they can."""

    def __init__(self, port: int, kind: Kind, connections: int, rate: float) -> None:
        self._port = port
        self._kind = kind
        self._block = memoryview(kind.block)
        self._connections = connections
        self._rate = rate
        self._epoll = select.epoll()
        self._open: dict[int, Attacker] = {}
        self.sent = 0
        self.received = 0
        self.opened = 0

    def run(self, seconds: float) -> None:
        """Attack for this time, then close all connections."""
        start = now = monotonic()
        while now < start + seconds:
            for _ in range(min(self._connections - len(self._open), 50)):
                self._connect()
            due = int((now - start) * self._rate) - self.sent if self._rate else 1 << 60
            self._send(due)
            pause = ROUND_S if self._rate or not self._block else 0.0005
            for fd, _ in self._epoll.poll(pause):
                self._read(self._open[fd])
            now = monotonic()
        for attacker in self._open.values():
            attacker.socket.close()
        self._epoll.close()

    def _connect(self) -> None:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=5.0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.opened += 1
        self._open[sock.fileno()] = Attacker(sock, self._kind.first)
        self._epoll.register(sock, select.EPOLLIN)

    def _send(self, due: int) -> None:
        for attacker in tuple(self._open.values()):
            if due <= 0:
                return
            try:
                for _ in range(SENDS if self._kind.byte_by_byte else 1):
                    due -= self._send_piece(attacker, due)
            except BlockingIOError:
                continue
            except OSError:
                self._drop(attacker)

    def _send_piece(self, attacker: Attacker, most: int) -> int:
        if attacker.first:
            attacker.first = attacker.first[attacker.socket.send(attacker.first) :]
            return 0
        if not self._block:
            return 0
        end = attacker.at + 1 if self._kind.byte_by_byte else len(self._block)
        sent = attacker.socket.send(self._block[attacker.at : end][:most])
        attacker.at = (attacker.at + sent) % len(self._block)
        self.sent += sent
        return sent

    def _read(self, attacker: Attacker) -> None:
        try:
            received = len(attacker.socket.recv(READ_BYTES))
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return
            received = 0
        self.received += received
        if not received:
            self._drop(attacker)

    def _drop(self, attacker: Attacker) -> None:
        if self._open.pop(attacker.socket.fileno(), None) is not None:
            attacker.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.hostile.attack", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of the gateway, on 127.0.0.1")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--connections", type=int, default=1, help="1 to 5000 (default 1)")
    parser.add_argument(
        "--rate", type=float, default=20.0, help="MB/s of all together, 0: no limit (default 20)"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="then it ends; up to 60 (default 5)")
    options = parser.parse_args()
    if not 1 <= options.connections <= 5000 or not 0 < options.seconds <= 60 or options.rate < 0:
        parser.error("--connections is 1 to 5000, --seconds above 0 to 60, --rate 0 or more")
    raise_file_limit()
    os.nice(NICENESS)
    attack = Attack(options.port, KINDS[options.kind], options.connections, options.rate * 1e6)
    attack.run(options.seconds)
    print(json.dumps({"sent": attack.sent, "received": attack.received, "opened": attack.opened}))


if __name__ == "__main__":
    main()
