"""An endpoint closes idle connections, and a request is on its way just then."""

import asyncio
from collections import Counter
from random import Random
from time import monotonic

import h11
import pytest

from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request, tally
from tests.support.snapshots import snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

CLIENTS = 16
GETS = 300
IDLE_S = 2.0
"""What the endpoint announces; real ones close after five seconds (Node, uvicorn) or more."""


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_no_get_fails_however_close_the_race_is(worker: WorkerProcess, port: int, how: str) -> None:
    random = Random(10)

    def leave_soon(connection: Connection, asked: h11.Request) -> bytes:
        if random.random() < 0.2:  # more, and the retry budget is what this is about
            asyncio.get_running_loop().call_later(random.uniform(0.0, 0.003), getattr(connection, how))
        return ok(connection, asked)

    async def client(answers: Counter[str]) -> None:
        for _ in range(GETS // 10):
            answers += await tally(port, 10)
            await asyncio.sleep(random.uniform(0.0, 0.002))

    answers: Counter[str] = Counter()
    async with Origin(leave_soon) as one, Origin(leave_soon) as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        await asyncio.gather(*(client(answers) for _ in range(CLIENTS)))
        stats = await worker.stats()
    assert answers == {"/": CLIENTS * GETS}
    lost = sum(count.count for count in stats.attempts)
    assert lost >= 20, "the race was not run"


class Punctual(Origin):
    """Closes a connection that has been idle for IDLE_S, and says so before."""

    def __init__(self) -> None:
        super().__init__(self._act)
        self.answer_probe = self._act  # a connection has not been idle that carried a probe
        self.closed = 0
        self._timers: dict[Connection, asyncio.TimerHandle] = {}

    def _act(self, connection: Connection, asked: h11.Request) -> bytes:
        timer = self._timers.pop(connection, None)
        if timer is not None:
            timer.cancel()
        self._timers[connection] = asyncio.get_running_loop().call_later(IDLE_S, self._close, connection)
        answer = ok(connection, asked)
        return answer.replace(b"\r\n", b"\r\nKeep-Alive: timeout=%d\r\n" % IDLE_S, 1)

    def _close(self, connection: Connection) -> None:
        if not connection.lost.is_set():
            self.closed += 1
            connection.close()


async def test_no_post_meets_the_end_of_an_idle_connection(worker: WorkerProcess, port: int) -> None:
    """The gateway gives a connection up before its endpoint does: there is no race to be lost."""
    random = Random(11)
    answers: Counter[str] = Counter()

    async def client(origin: Origin) -> None:
        one = await RawClient.connect(port)
        end = monotonic() + 7.0
        while monotonic() < end:
            await one.send(request(method="POST", body=b"order=1"))
            status, _, _ = await one.response()
            answers[str(status)] += 1
            await asyncio.sleep(
                random.choice((0.001, 0.95, 1.0, 1.05, IDLE_S - 0.003, IDLE_S, IDLE_S + 0.003))
            )
        await one.close()

    async with Punctual() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        await asyncio.gather(*(client(origin) for _ in range(100)))
        stats = await worker.stats()
        assert set(answers) == {"200"}
        assert answers["200"] == len(origin.requests) > 500
        assert not stats.attempts
        assert origin.closed == 0
