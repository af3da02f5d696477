"""One of two real workers dies, or hangs, while both are busy: what that costs, and whom."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from time import monotonic

from controlplane.gateway.workers import WorkerPool
from loadtest.ports import free_port
from tests.dataplane.test_stalls import Pod
from tests.support.dataplane import kill
from tests.support.requests import request, tally
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient

CLIENTS = 16
PAUSE_S = 0.01
NOISE_S = 0.1
"""What a machine that others use may add to any p99."""


@dataclass
class Client:
    """Asks again and again over one connection, and over another one when that ends."""

    port: int
    times: list[tuple[float, float]] = field(default_factory=list)  # when it was asked, seconds it took
    failed: int = 0
    is_over: bool = False

    async def run(self) -> None:
        client = await RawClient.connect(self.port)
        while not self.is_over:
            start = monotonic()
            await client.send(request())
            try:
                assert (await client.response())[0] == 200
                self.times.append((start, monotonic() - start))
            except (EOFError, ConnectionError):
                self.failed += 1
                await client.close()
                client = await RawClient.connect(self.port)
            await asyncio.sleep(PAUSE_S)
        await client.close()

    def took(self, start: float, end: float) -> list[float]:
        return [took for at, took in self.times if start <= at < end]


@dataclass
class Newcomers:
    """A new connection for each request. What goes wrong raises."""

    port: int
    slowest_s: float = 0.0
    is_over: bool = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while not self.is_over:
                group.create_task(self._one())
                await asyncio.sleep(PAUSE_S)

    async def _one(self) -> None:
        start = monotonic()
        assert await tally(self.port, 1) == {"/": 1}
        self.slowest_s = max(self.slowest_s, monotonic() - start)


@asynccontextmanager
async def serving(state_dir: Path, port: int) -> AsyncIterator[WorkerPool]:
    plane = WorkerPool(state_dir, 2, (sys.executable, "-m", "proxy.worker"), "off", 3.0)
    await plane.start()
    try:
        async with Pod(0.005) as one, Pod(0.005) as two:
            plane.publish(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
            await until(lambda: plane.publisher.applied_count() == 2, 20)
            yield plane
    finally:
        await plane.stop()


@asynccontextmanager
async def load(port: int) -> AsyncIterator[list[Client]]:
    clients = [Client(port) for _ in range(CLIENTS)]
    running = [asyncio.create_task(client.run()) for client in clients]
    try:
        yield clients
    finally:
        for client in clients:
            client.is_over = True
        await asyncio.gather(*running)


@asynccontextmanager
async def arriving(port: int) -> AsyncIterator[Newcomers]:
    newcomers = Newcomers(port)
    running = asyncio.create_task(newcomers.run())
    try:
        yield newcomers
    finally:
        newcomers.is_over = True
        await running


def victim(plane: WorkerPool) -> int:
    pid = plane.supervisor.views()[0].pid
    assert pid is not None
    return pid


def replaced(plane: WorkerPool, pid: int) -> Callable[[], bool]:
    return lambda: plane.supervisor.views()[0].pid not in (None, pid)


async def test_a_killed_worker_costs_what_it_had_in_flight(tmp_path: Path) -> None:
    port = free_port()
    async with serving(tmp_path, port) as plane:
        async with load(port) as clients:
            await until(lambda: all(len(client.times) > 20 for client in clients))
            pid = victim(plane)
            kill(pid)
            async with arriving(port) as newcomers:  # none of them may fail
                await until(replaced(plane, pid), 1.0, "another process")
                await until(lambda: plane.publisher.applied_count() == 1)
                await until(lambda: plane.publisher.applied_count() == 2, 5.0, "and it serves")
                end = monotonic() + 0.5
                await until(lambda: monotonic() > end)
        assert max(client.failed for client in clients) <= 1
        assert 0 < sum(client.failed for client in clients) < CLIENTS  # those of the other one go on
        assert newcomers.slowest_s < 5.0  # who waits for the dead one's successor


async def test_a_worker_that_hangs_is_replaced_and_the_other_one_goes_on(tmp_path: Path) -> None:
    port = free_port()
    async with serving(tmp_path, port) as plane:
        async with load(port) as clients:
            await until(lambda: all(len(client.times) > 50 for client in clients))
            pid = victim(plane)
            start = monotonic()
            os.kill(pid, signal.SIGSTOP)
            await until(replaced(plane, pid), 10.0, "another process")
            end = monotonic()
            await until(lambda: plane.publisher.applied_count() == 2, 5.0, "and it serves")
            assert await tally(port, 20) == {"/": 20}
        others = [client for client in clients if not client.failed]
        assert 0 < len(others) < CLIENTS
        assert max(client.failed for client in clients) <= 1
        before = [took for client in others for took in client.took(0.0, start)]
        during = [took for client in others for took in client.took(start, end)]
        assert len(during) > 100
        assert quantiles(during, n=100)[98] <= 2 * quantiles(before, n=100)[98] + NOISE_S
