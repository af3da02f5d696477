"""One endpoint of a drill: answers after a few milliseconds, and fails in the mode of its last order.

    python -m loadtest.drills.origin ADDRESS PORT DIRECTORY

Every request that has arrived whole is a line of DIRECTORY/PORT.log, written before any other step
for it: `time method id arrival`, the time of the monotonic clock in seconds, the arrival a name that no other
has. A line is one write, so that the line is there when the process is killed. The answer has id and arrival
in its body, and the arrival in its head too: this tells the answers to two attempts of one request apart.
DIRECTORY/PORT.control takes modes as datagrams and answers each with it.
"""

import asyncio
import os
import random
import re
import socket
import struct
import sys
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop

from loadtest.kit.messages import Requests

BACKLOG: Final = 4096
SERVICE_S: Final = 0.005
SLOWDOWN: Final = 20
REPORT: Final = b"report/"
"""Beginning of the ids of slow requests, which take REPORT_S in every mode."""
REPORT_S: Final = 2.0
ERROR_SHARE: Final = 0.1
FILLERS: Final = 4
"""Connections of its own that keep the queue of a deaf endpoint full; more than fit are harmless."""
HEALTH: Final = b"health"
"""The id of health checks and of other requests of a proxy: answered as in the mode, and not logged."""
ARRIVAL: Final = b"X-Arrival"
_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: close with a RST
_HEAD: Final = re.compile(rb"(\S+) /svc1/([^ ?]+)\S* HTTP/1\.1\r\n")
_FAILURES: Final = {503: b"503 Service Unavailable", 502: b"502 Bad Gateway"}


class Mode(StrEnum):
    OK = "ok"
    GONE = "gone"  # no process listens, open connections are reset
    RESET = "reset"  # connections are accepted, and reset with the first request
    DEAF = "deaf"  # open connections are closed in order, new ones never come about: each SYN is lost
    ERROR = "error"  # 503 to all requests
    RANDOM = "random"  # 502 to some
    SLOW = "slow"


class Endpoint:
    """A listening socket, its connections, and the mode."""

    def __init__(self, address: str, port: int, directory: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = (address, port)
        self._random = random.Random(port)
        log = directory / f"{port}.log"
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._arrivals = log.read_bytes().count(b"\n")  # those of an earlier process included
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._control.bind(str(directory / f"{port}.control"))
        self._control.setblocking(False)
        self._fillers: list[socket.socket] = []
        self._accepting: set[asyncio.Task[object]] = set()
        self._listener: socket.socket | None = None
        self.connections: set[Connection] = set()
        self.mode = Mode.OK
        self.listen()
        self._loop.add_reader(self._control, self._on_order)

    def listen(self) -> None:
        if self._listener is None:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(self._address)
            self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener, self._accept, self._listener)

    def log(self, method: bytes, identity: bytes) -> bytes:
        """Write the line of a request; return the name of its arrival."""
        self._arrivals += 1
        arrival = b"%d-%d" % (self._address[1], self._arrivals)
        os.write(self._log, b"%.6f %b %b %b\n" % (monotonic(), method, identity, arrival))
        return arrival

    def delay_s(self, identity: bytes) -> float:
        if identity.startswith(REPORT):
            return REPORT_S
        return SERVICE_S * SLOWDOWN if self.mode is Mode.SLOW else SERVICE_S

    def status(self) -> int:
        """Return the status of the next answer."""
        if self.mode is Mode.ERROR:
            return 503
        return 502 if self.mode is Mode.RANDOM and self._random.random() < ERROR_SHARE else 200

    def _on_order(self) -> None:
        data, sender = self._control.recvfrom(100)
        self._enter(Mode(data.decode()))
        self._control.sendto(data, sender)

    def _enter(self, mode: Mode) -> None:
        self.mode = mode
        if mode is Mode.GONE:
            self._stop_listening()
        elif mode is Mode.DEAF:
            self._fill_queue()
        else:
            self.listen()
            for filler in self._fillers:
                filler.close()
            self._fillers.clear()
        for connection in list(self.connections):
            connection.on_mode(mode)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _fill_queue(self) -> None:
        """Let the kernel drop further SYNs: fill a queue for one connection, which is never accepted."""
        assert self._listener is not None
        self._loop.remove_reader(self._listener)
        self._listener.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self._address)
            self._fillers.append(filler)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:  # no more, or it has gone away already
                return
            task = self._loop.create_task(
                self._loop.connect_accepted_socket(lambda: Connection(self), accepted)
            )
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)


class Connection(Requests):
    """A connection of a proxy: answers when it is time, unless the mode says otherwise."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._answering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._endpoint.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._endpoint.connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def on_mode(self, mode: Mode) -> None:
        if mode in (Mode.GONE, Mode.RESET):
            self._reset()
        elif mode is Mode.DEAF and self._answering is None:
            self._close()

    def on_request(self, received: bytes) -> None:
        head = _HEAD.match(received)
        method, identity = head.groups() if head is not None else (b"", HEALTH)
        arrival = self._endpoint.log(method, identity) if identity != HEALTH else HEALTH
        if self._endpoint.mode is Mode.RESET:
            self._reset()
            return
        loop = asyncio.get_running_loop()
        self._answering = loop.call_later(self._endpoint.delay_s(identity), self._answer, identity, arrival)

    def _answer(self, identity: bytes, arrival: bytes) -> None:
        self._answering = None
        status = self._endpoint.status()
        line = _FAILURES.get(status, b"200 OK")
        body = b"%b %b" % (identity, arrival)
        self.transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\n%b: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (line, ARRIVAL, arrival, len(body), body)
        )
        if self._endpoint.mode is Mode.DEAF:
            self._close()

    def _reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _close(self) -> None:
        self.transport.close()


async def serve(address: str, port: int, directory: Path) -> None:
    Endpoint(address, port, directory)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
