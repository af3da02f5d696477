"""Sends planned requests when they are due, without regard to earlier ones; repeats none."""

import asyncio
import re
from dataclasses import dataclass
from time import monotonic
from typing import Final

from loadtest.drills.mixed.schedule import Planned
from loadtest.kit.messages import CLOSE, LENGTH
from loadtest.kit.site import HOST

CUT: Final = 0
GIVEN_UP: Final = -1
LIMIT_S: Final = 30.0
"""Time after its earliest possible end at which a request ends at the latest."""
BODY: Final = b"x" * 64
_COOKIE: Final = re.compile(rb"\r\nset-cookie: *([^;\r]+)", re.IGNORECASE)


@dataclass(slots=True)
class Asked:
    """The outcome of a request: status (or CUT, GIVEN_UP), seconds since it was due, and the answer."""

    planned: Planned
    status: int = CUT
    took_s: float = 0.0
    answer: str = ""


class Client:
    """One run; `asked` are all requests in the order in which they were due."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._cookies: dict[int, bytes] = {}
        self.asked: list[Asked] = []
        self.worst_late_s = 0.0

    async def run(self, requests: list[Planned], start: float, longest_s: float) -> None:
        """Ask from `start`, a time of the monotonic clock; return when every request has ended."""
        limit = longest_s + LIMIT_S
        async with asyncio.TaskGroup() as group:
            for each in requests:
                await asyncio.sleep(start + each.at - monotonic())
                self.worst_late_s = max(self.worst_late_s, monotonic() - start - each.at)
                asked = Asked(each)
                self.asked.append(asked)
                group.create_task(self._ask(asked, start + each.at, start + limit))
        for _, writer in self._idle:
            writer.close()

    async def _ask(self, asked: Asked, due: float, until: float) -> None:
        try:
            async with asyncio.timeout(until - monotonic()):
                await self._exchange(asked)
        except TimeoutError:
            asked.status = GIVEN_UP
        except (OSError, asyncio.IncompleteReadError):
            asked.status = CUT
        asked.took_s = monotonic() - due

    async def _exchange(self, asked: Asked) -> None:
        reader, writer = await self._connection()
        is_whole = False
        try:
            writer.write(self._message(asked.planned))
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            body = await (reader.readexactly(int(length[1])) if length else reader.read())
            asked.status, asked.answer = int(head[9:12]), body.decode(errors="replace")
            cookie = _COOKIE.search(head)
            if cookie:
                self._cookies[asked.planned.user] = cookie[1]
            is_whole = length is not None and not CLOSE.search(head)
        finally:
            if is_whole:
                self._idle.append((reader, writer))
            else:
                writer.close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def _message(self, planned: Planned) -> bytes:
        fields = [f"{planned.method} {planned.path} HTTP/1.1", f"Host: {HOST}"]
        fields += [f"{name}: {value}" for name, value in planned.headers]
        body = BODY if planned.method in ("POST", "PUT") else b""
        if body:
            fields.append(f"Content-Length: {len(body)}")
        if planned.user in self._cookies:
            fields.append(f"Cookie: {self._cookies[planned.user].decode()}")
        return "\r\n".join(fields).encode() + b"\r\n\r\n" + body
