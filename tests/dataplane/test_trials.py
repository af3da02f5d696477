"""An endpoint that is let in again shows with one request whether it is well."""

import asyncio
from collections import Counter

import h11
import pytest

from tests.dataplane.test_failover import state_of
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import tally
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Ill(Origin):
    """Takes a tenth of a second for each answer, and counts how many requests wait for one at a time."""

    def __init__(self) -> None:
        super().__init__(self._act)
        self.is_well = False
        self.most = 0
        self.waiting = 0

    def _act(self, connection: Connection, asked: h11.Request) -> bytes:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        asyncio.get_running_loop().call_later(0.1, self._answer, connection, asked)
        return b""

    def _answer(self, connection: Connection, asked: h11.Request) -> None:
        self.waiting -= 1
        assert connection.transport is not None
        if not connection.transport.is_closing():
            connection.transport.write(ok(connection, asked) if self.is_well else BAD)


@pytest.mark.parametrize("clusters", [("c1", "c1"), ("c1", "c2")])
async def test_one_request_at_a_time_asks_an_endpoint_let_in_again(
    worker: WorkerProcess, port: int, clusters: tuple[str, str]
) -> None:
    async with Ill() as bad, Origin() as good:
        where: dict[str, list[tuple[str, int]]] = {cluster: [] for cluster in clusters}
        for cluster, origin in zip(clusters, (bad, good), strict=True):
            where[cluster].append(origin.address)
        await worker.apply(snapshot(port, where))
        over = asyncio.Event()
        load = [asyncio.create_task(asked(port, over)) for _ in range(8)]
        await state_of(worker, bad.port, "ejected")
        await until(lambda: not bad.waiting)
        asked_before = len(bad.requests)
        bad.most = 0
        await until(lambda: len(bad.requests) >= asked_before + 3, 10.0)  # after 0.5 s, 1 s, 2 s
        assert bad.most == 1
        bad.is_well = True
        await until(lambda: bad.most > 1, 20.0, "as many as come")
        over.set()
        assert set(sum(await asyncio.gather(*load), Counter())) == {"/"}


async def asked(port: int, over: asyncio.Event) -> Counter[str]:
    answers: Counter[str] = Counter()
    while not over.is_set():
        answers += await tally(port, 5)
        await asyncio.sleep(0.01)
    return answers
