"""Clients that do something else with each request: ask, leave, upload slowly, read late, open a tunnel."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from random import Random
from time import monotonic

from tests.support.requests import request
from tests.support.tokens import Marked, strangers, token

PATHS = ("plain", "policed", "retried")
_METHODS = ("GET", "GET", "POST", "PUT", "HEAD", "DELETE")
_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Ledger:
    """What became of every request that was waited for: its status, cut, or hangs."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.slowest_s = 0.0
        self.foreign: list[str] = []
        self._numbers = count()

    def new(self) -> str:
        return f"{next(self._numbers):06}"

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(self.seen.values())

    def check(self, came: bytes, *identities: str) -> None:
        """Every id in an answer, or in what there is of it, must be that of the request."""
        others = strangers(came, *identities)
        if others:
            self.foreign.append(f"{identities}: {others} in {came[:500]!r}")


class Crowd:
    """`size` clients, until `is_over`."""

    def __init__(self, port: int, random: Random, size: int) -> None:
        self.ledger = Ledger()
        self.is_over = False
        self._port = port
        self._random = random
        self._size = size

    async def run(self, seconds: float) -> None:
        clients = [asyncio.create_task(self._client()) for _ in range(self._size)]
        await asyncio.sleep(seconds)
        self.is_over = True
        await asyncio.gather(*clients)

    async def _client(self) -> None:
        acts: tuple[Callable[[Marked], Awaitable[bool]], ...] = (
            self._ask, self._ask, self._ask, self._ask, self._pipeline, self._leave, self._leave_upload,
            self._upload_slowly, self._half_close, self._speak_1_0, self._read_late, self._tunnel,
        )  # fmt: skip
        client: Marked | None = None
        while not self.is_over:
            client = client or await Marked.connect(self._port)
            client.mark()
            if not await self._random.choice(acts)(client):
                await client.close()
                client = None
        if client is not None:
            await client.close()

    # What they do. Each returns whether the connection goes on

    async def _ask(self, client: Marked) -> bool:
        identity = self.ledger.new()
        raw = self._request(identity)
        await client.send(raw)
        return await self._answer(client, identity, raw)

    async def _pipeline(self, client: Marked) -> bool:
        raw = {
            identity: self._request(identity, "GET") for identity in (self.ledger.new(), self.ledger.new())
        }
        await client.send(b"".join(raw.values()))
        for identity in raw:
            if not await self._answer(client, identity, raw[identity], *raw):
                return False
        return True

    async def _leave(self, client: Marked) -> bool:
        await client.send(self._request(self.ledger.new()))
        await self._pause(0.05)
        client.reset()
        return False

    async def _leave_upload(self, client: Marked) -> bool:
        raw = self._request(self.ledger.new(), self._random.choice(("POST", "PUT")))
        await client.send(raw[: self._random.randrange(1, len(raw))])
        await self._pause(0.05)
        if self._random.random() < 0.5:
            client.reset()
        return False

    async def _upload_slowly(self, client: Marked) -> bool:
        identity = self.ledger.new()
        raw = self._request(identity, self._random.choice(("POST", "PUT")))
        third = len(raw) // 3
        for piece in (raw[:third], raw[third : 2 * third], raw[2 * third :]):
            await client.send(piece)
            await self._pause(0.05)
        return await self._answer(client, identity, raw)

    async def _half_close(self, client: Marked) -> bool:
        identity = self.ledger.new()
        raw = self._request(identity)
        await client.send(raw)
        client.finish()
        await self._answer(client, identity, raw)
        return False

    async def _speak_1_0(self, client: Marked) -> bool:
        identity = self.ledger.new()
        await client.send(request(f"/plain/{identity}").replace(b"HTTP/1.1", b"HTTP/1.0"))
        try:
            await client.until_closed()
        except TimeoutError:
            self.ledger.seen[identity] = "hangs"
        self.ledger.check(client.came, identity)
        return False

    async def _read_late(self, client: Marked) -> bool:
        identity = self.ledger.new()
        raw = self._request(identity, "GET")
        await client.send(raw)
        await self._pause(0.4)
        return await self._answer(client, identity, raw)

    async def _tunnel(self, client: Marked) -> bool:
        identity = self.ledger.new()
        await client.send(request(f"/plain/{identity}", extra=_UPGRADE))
        try:
            status, _, _ = await client.response()
        except (EOFError, ConnectionError):
            return False
        for _ in range(self._random.randrange(5) if status == 101 else 0):
            await client.send(token(identity))
            await self._pause(0.01)
        self.ledger.check(client.came, identity)
        return False

    # How

    def _request(self, identity: str, method: str = "") -> bytes:
        method = method or self._random.choice(_METHODS)
        path = f"/{self._random.choice(PATHS)}/{identity}"
        if method not in ("POST", "PUT"):
            return request(path, method)
        body = token(identity) * self._random.choice((1, 10, 3000, 12_000))
        if self._random.random() < 0.5:
            return request(path, method, body)
        half = len(body) // 2
        pieces = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:])]
        head = f"{method} {path} HTTP/1.1\r\nHost: demo.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head.encode() + b"".join(pieces) + b"0\r\n\r\n"

    async def _answer(self, client: Marked, identity: str, raw: bytes, *beside: str) -> bool:
        """Wait for the answer and note what came of it; those `beside` were asked for with it."""
        start = monotonic()
        goes_on = False
        try:
            status, fields, body = await _final(client, is_head=raw.startswith(b"HEAD"))
            self.ledger.seen[identity] = str(status)
            goes_on = fields.get("connection") != "close"
            if "x-id" in fields and body.replace(token(identity), b""):
                self.ledger.foreign.append(f"{identity}: a body of {len(body)} bytes that is not its own")
        except (EOFError, ConnectionError):
            self.ledger.seen[identity] = "cut"
        except TimeoutError:
            self.ledger.seen[identity] = "hangs"
        self.ledger.slowest_s = max(self.ledger.slowest_s, monotonic() - start)
        self.ledger.check(client.came, identity, *beside)
        return goes_on

    async def _pause(self, at_most_s: float) -> None:
        await asyncio.sleep(self._random.uniform(0.0, at_most_s))


async def _final(client: Marked, *, is_head: bool) -> tuple[int, dict[str, str], bytes]:
    while True:
        answer = await client.response(head=is_head)
        if answer[0] >= 200:
            return answer
