"""Slowloris: many connections, each sending a request head a byte at a time, opened anew when closed.

    python -m loadtest.soak.attackers --port PORT [--connections N] [--seconds S]

Loopback only. The program prints the outcome of its connections as JSON when its time is over.
"""

import argparse
import contextlib
import json
import os
import selectors
import socket
from collections import Counter, deque
from dataclasses import dataclass
from statistics import median
from time import monotonic

from loadtest.compare.idle import IP_BIND_ADDRESS_NO_PORT, PER_ADDRESS
from loadtest.kit.processes import raise_file_limit
from loadtest.kit.site import HOST

HEAD = f"GET /svc1/90B HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ".encode()
NICENESS = 10
"""Niceness of the attackers: they share a core with the normal traffic, and must not slow it down there."""


@dataclass(slots=True)
class Attacker:
    """One connection; times are monotonic seconds."""

    socket: socket.socket
    number: int
    opened: float
    sent: int = 0
    answer: bytes = b""


class Attack:
    """`connections` at a time, each sending a byte every `byte_every` seconds."""

    def __init__(self, port: int, connections: int, byte_every: float, opening_s: float) -> None:
        self._port = port
        self._byte_every = byte_every
        self._pause = opening_s / connections
        self._to_open = deque(range(connections))
        self._open: dict[int, Attacker] = {}
        self._turns: deque[tuple[float, Attacker]] = deque()  # by the time of the next byte, in order
        self._selector = selectors.DefaultSelector()
        self.most = 0
        self.ages: list[float] = []
        self.answers: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Attack for this time, then close all connections."""
        now = monotonic()
        end, next_open = now + seconds, now
        while now < end:
            while self._to_open and next_open <= now:
                self._connect(self._to_open.popleft())
                next_open = max(next_open, now - 1) + self._pause
            while self._turns and self._turns[0][0] <= now:
                self._send(self._turns.popleft()[1], now)
            for key, _ in self._selector.select(0.005):
                self._read(key.data)
            now = monotonic()
        for attacker in self._open.values():
            attacker.socket.close()
        self._selector.close()

    def _connect(self, number: int) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((f"127.0.2.{1 + number // PER_ADDRESS}", 0))
        sock.settimeout(5.0)
        sock.connect(("127.0.0.1", self._port))
        sock.setblocking(False)
        attacker = self._open[number] = Attacker(sock, number, monotonic())
        self.most = max(self.most, len(self._open))
        self._selector.register(sock, selectors.EVENT_READ, attacker)
        self._send(attacker, attacker.opened)

    def _send(self, attacker: Attacker, now: float) -> None:
        if self._open.get(attacker.number) is not attacker:
            return
        byte = HEAD[attacker.sent : attacker.sent + 1] or b"a"
        with contextlib.suppress(OSError):  # the next read finds the error
            attacker.sent += attacker.socket.send(byte)
        self._turns.append((now + self._byte_every, attacker))

    def _read(self, attacker: Attacker) -> None:
        try:
            data = attacker.socket.recv(4096)
        except OSError as error:
            data, attacker.answer = b"", attacker.answer or type(error).__name__.encode()
        attacker.answer += data
        if data:
            return
        self.ages.append(monotonic() - attacker.opened)
        self.answers[attacker.answer.partition(b"\r\n")[0].decode("latin-1") or "nothing"] += 1
        self._selector.unregister(attacker.socket)
        attacker.socket.close()
        del self._open[attacker.number]
        self._to_open.append(attacker.number)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.soak.attackers", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of the gateway, on 127.0.0.1")
    parser.add_argument("--connections", type=int, default=5000, help="at a time (default 5000)")
    parser.add_argument("--byte-every", type=float, default=2.5, help="seconds (default 2.5)")
    parser.add_argument("--opening-s", type=float, default=5.0, help="all are opened in so long (default 5)")
    parser.add_argument("--seconds", type=float, default=30.0, help="then it ends (default 30)")
    options = parser.parse_args()
    raise_file_limit()
    os.nice(NICENESS)
    attack = Attack(options.port, options.connections, options.byte_every, options.opening_s)
    attack.run(options.seconds)
    ages = sorted(attack.ages) or [0.0]
    print(
        json.dumps(
            {
                "most_open": attack.most,
                "closed": len(attack.ages),
                "answers": attack.answers,
                "age_s": {"least": ages[0], "median": median(ages), "most": ages[-1]},
            }
        )
    )


if __name__ == "__main__":
    main()
