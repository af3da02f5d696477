"""An answer that is cut in the middle: its client sees that, nobody else notices, nobody is asked again."""

import asyncio
from collections import Counter
from random import Random

import h11
import pytest

from tests.support.origin import Connection, Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.tokens import Marked, strangers, token
from tests.support.worker import WorkerProcess

CLIENTS = 12
REQUESTS = 24
SIZES = (100, 4000, 60_000)
"""Lines of eight bytes: of the last one the rest is read into buffers that are used again."""


class Cutting:
    """Answers /whole/<id> whole and of /cut/<id> a part."""

    def __init__(self, framing: str, how: str) -> None:
        self.asked: Counter[str] = Counter()
        self._framing = framing
        self._how = how
        self._random = Random(9)

    def answer(self, connection: Connection, asked: h11.Request) -> bytes:
        kind, identity = asked.target.decode().split("/")[1:]
        self.asked[identity] += 1
        body = token(identity) * self._random.choice(SIZES)
        if self._framing == "length":
            wire = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        else:
            half = len(body) // 2
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))
            wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks
        if kind == "whole":
            return wire
        cut = self._random.randrange(wire.index(b"\r\n\r\n") + 4, len(wire))
        asyncio.get_running_loop().call_later(
            self._random.uniform(0.01, 0.05), getattr(connection, self._how)
        )
        return wire[:cut]


async def client(port: int, number: int, seen: Counter[str]) -> None:
    """Ask for whole answers and such that are cut, by turns, over as few connections as that needs."""
    client = await Marked.connect(port)
    for turn in range(REQUESTS):
        kind = ("whole", "cut")[turn % 2]
        identity = f"{number:02}x{turn:03}"
        client.mark()
        await client.send(request(f"/{kind}/{identity}"))
        try:
            status, _, _ = await client.response()
            seen[f"{kind}: {status}"] += 1
        except (EOFError, ConnectionError):
            seen[f"{kind}: truncated"] += 1
            await client.close()
            client = await Marked.connect(port)
        assert not strangers(client.came, identity)
    await client.close()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_every_client_sees_that_its_answer_was_cut(
    worker: WorkerProcess, port: int, framing: str, how: str
) -> None:
    cutting = Cutting(framing, how)
    seen: Counter[str] = Counter()
    async with Origin(cutting.answer) as one, Origin(cutting.answer) as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        await asyncio.gather(*(client(port, number, seen) for number in range(CLIENTS)))
        stats = await worker.stats()
    half = CLIENTS * REQUESTS // 2
    assert seen == {"whole: 200": half, "cut: truncated": half}
    # A GET that waits for long at a busy machine is asked for again: that is not of the cut
    again = sum(each.count for each in stats.attempts if each.reason == "stalled" and each.to_cluster)
    assert sum(count - 1 for count in cutting.asked.values()) <= again
    assert sum(each.count for each in stats.requests if each.flag == "UC") == half
    assert all(endpoint.in_flight == 0 for endpoint in stats.endpoints)
