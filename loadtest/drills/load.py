"""Requests at a constant rate, without regard to earlier ones; each is timed from when it was due.

A request that finds no idle connection opens one, so that no request waits in the client for another. A
quarter are POSTs. An endpoint's answer repeats the id of the request, and names in head and body the arrival
that it answers: so the client notices the answer to another request, and an answer put together of two.
"""

import asyncio
import re
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Final, Protocol, cast

from loadtest.drills.origin import ARRIVAL, REPORT
from loadtest.drills.site import DEADLINE_S, LOOPBACK
from loadtest.kit.messages import CLOSE, LENGTH
from loadtest.kit.site import HOST, PREFIX

GIVE_UP_S: Final = DEADLINE_S + 1.0
POST_PART: Final = 0.25
"""Share of POSTs, by chance: every fourth would meet the same of four endpoints that take turns. Chance falls
in run 1 as in run 1 of the other proxies, in run 2 otherwise: requests on their way when endpoints are killed
are chance, too."""
BODY: Final = b"x" * 64
CUT: Final = 0
GIVEN_UP: Final = -1
MIXED_UP: Final = -2
"""Instead of a status: no whole answer, none in time, the answer to another request, or of two attempts."""
NO_STATUS: Final = {CUT: "cut", GIVEN_UP: "given up", MIXED_UP: "mixed up"}
PASTIME_S: Final = 0.05
REMEMBERED: Final = 16
"""Slow requests that may still be on their way: no more than end within a deadline."""
_FIELDS: Final = f"Host: {HOST}\r\nUser-Agent: drill/1\r\nAccept: */*\r\n".encode()
_ARRIVAL: Final = re.compile(rb"\r\n%b: *([0-9-]+)\r\n" % ARRIVAL, re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Request:
    """Times in seconds of the monotonic clock; `status` as in HTTP, or one of the above.

    `arrival`: which one at an endpoint was answered; empty when the proxy gave the answer itself.
    """

    identity: str
    is_post: bool
    due: float
    ended: float = 0.0
    status: int = CUT
    arrival: str = ""

    @property
    def has_failed(self) -> bool:
        return self.status != 200

    @property
    def latency_s(self) -> float:
        return self.ended - self.due


def judged(request: Request, status: int, arrival: str | None, body: bytes) -> int:
    """Return the status of an answer; MIXED_UP when it is not the request's own, or of two attempts."""
    if arrival is None:
        return status if status != 200 else MIXED_UP
    request.arrival = arrival
    return status if body == f"{request.identity} {arrival}".encode() else MIXED_UP


class Load:
    """One run. `requests` are all that were due, in order; `slow` are the slow GETs beside them."""

    def __init__(
        self, port: int, rate: int, prefix: str, number: int = 1, slow_every_s: float | None = None
    ) -> None:
        """`prefix`: beginning of all ids, unique to the load. `number`: of the run, decides about POSTs."""
        self._port = port
        self._interval = 1 / rate
        self._prefix = prefix
        self._chance = Random(number)
        self._loop = asyncio.get_running_loop()
        self._idle: list[Http1Connection] = []
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._oldest = 0  # index of the first request that may still be on its way
        self._slow_every_s = slow_every_s
        self.requests: list[Request] = []
        self.slow: list[Request] = []
        self.worst_late_s = 0.0  # longest time from when a request was due to its begin: this machine's doing

    async def run(self, start: float, seconds: float) -> None:
        """Ask from `start`, a time of the monotonic clock; return when every request has ended."""
        wanted = round(seconds / self._interval)
        while len(self.requests) < wanted:
            now = monotonic()
            self._ask_slow(start, now)
            while len(self.requests) < wanted and (due := self._due(start)) <= now:
                self.worst_late_s = max(self.worst_late_s, now - due)
                self._ask(due)
            self._give_up(now)
            await asyncio.sleep(self._due(start) - monotonic())
        while not self._is_over():
            self._give_up(monotonic())
            await asyncio.sleep(PASTIME_S)

    def close(self) -> None:
        for connection in list(self._connections):
            connection.close()

    def is_idle(self, connection: "Http1Connection") -> None:
        self._idle.append(connection)

    def has_opened(self, connection: "Connection") -> None:
        self._connections.add(connection)

    def has_closed(self, connection: "Connection") -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _due(self, start: float) -> float:
        return start + len(self.requests) * self._interval

    def _ask(self, due: float) -> None:
        number = len(self.requests)
        request = Request(f"{self._prefix}{number:06d}", self._chance.random() < POST_PART, due)
        self.requests.append(request)
        self.send(request)

    def _ask_slow(self, start: float, now: float) -> None:
        while self._slow_every_s and (due := start + len(self.slow) * self._slow_every_s) <= now:
            request = Request(f"{REPORT.decode()}{self._prefix}{len(self.slow):06d}", False, due)
            self.slow.append(request)
            self.send(request)

    def send(self, request: Request) -> None:
        if self._idle:
            self._idle.pop().send(request)
        else:
            self._begin(self._open(request))

    def _begin(self, opening: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(opening)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, request: Request) -> None:
        try:
            await self._loop.create_connection(lambda: Http1Connection(self, request), LOOPBACK, self._port)
        except OSError:
            request.ended = monotonic()

    def _is_over(self) -> bool:
        return self._are_all_ended() and all(each.ended for each in self.slow)

    def _are_all_ended(self) -> bool:
        while self._oldest < len(self.requests) and self.requests[self._oldest].ended:
            self._oldest += 1
        return self._oldest == len(self.requests)

    def _give_up(self, now: float) -> None:
        """Give up requests that are too old. Most end in order: the oldest shows whether there are any."""
        waiting = [each.due for each in self.slow[-REMEMBERED:] if not each.ended]
        if not self._are_all_ended():
            waiting.append(self.requests[self._oldest].due)
        if not waiting or now - min(waiting) < GIVE_UP_S:
            return
        for connection in list(self._connections):
            connection.give_up(now)


class Connection(Protocol):
    """A connection of the load, as the load sees it."""

    def give_up(self, now: float) -> None:
        """Give up requests that are too old."""
        ...

    def close(self) -> None: ...


class Http1Connection(asyncio.Protocol):
    """A connection with at most one request on it."""

    __slots__ = ("_load", "_received", "_request", "_transport")

    def __init__(self, load: Load, request: Request) -> None:
        self._load = load
        self._request: Request | None = request
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name
        self._load.has_opened(self)
        assert self._request is not None
        self.send(self._request)

    def send(self, request: Request) -> None:
        assert self._transport is not None
        self._request = request
        method, body = (b"POST", BODY) if request.is_post else (b"GET", b"")
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        path = f"{PREFIX}/{request.identity}".encode()
        self._transport.write(b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, path, _FIELDS, length, body))

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(b"\r\n\r\n") + 4
        length = LENGTH.search(received, 0, end) if end > 4 else None
        if length is None or len(received) < end + int(length[1]):
            return
        self._received = b""
        self._finish(received, end)
        if CLOSE.search(received, 0, end):
            self.close()
        else:
            self._load.is_idle(self)

    def connection_lost(self, _: Exception | None) -> None:
        end = self._received.find(b"\r\n\r\n") + 4
        if self._request is not None and end > 4 and not LENGTH.search(self._received, 0, end):
            self._finish(self._received, end)  # HAProxy ends its own answers so
        self._end(CUT)
        self._load.has_closed(self)

    def give_up(self, now: float) -> None:
        if self._request is not None and now - self._request.due >= GIVE_UP_S:
            self._end(GIVEN_UP)
            self.close()

    def close(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def _finish(self, received: bytes, end: int) -> None:
        request = self._request
        if request is None:  # an answer to nothing: a 408 for silence
            return
        status = int(received[9:12])
        found = _ARRIVAL.search(received, 0, end)
        self._end(judged(request, status, found[1].decode() if found else None, received[end:]))

    def _end(self, status: int) -> None:
        if self._request is not None:
            self._request.status = status
            self._request.ended = monotonic()
            self._request = None
