"""A POST does not go where a request has just failed, or waits for longer than usual, while others serve."""

import asyncio

import h11
import pytest
from msgspec.structs import replace

from proxy.model.policies import Policies, Retry
from tests.dataplane.test_failover import state_of
from tests.dataplane.test_stalls import Pod
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

POST = request(method="POST", body=b"order=1")


class Failing(Origin):
    """Answers a GET with 503 while `is_failing`, and counts the POSTs."""

    def __init__(self) -> None:
        super().__init__(self.act)
        self.is_failing = True

    def act(self, connection: Connection, asked: h11.Request) -> bytes:
        if self.is_failing:
            return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        return ok(connection, asked)

    def posts(self) -> int:
        return sum(asked.method == b"POST" for asked, _ in self.requests)


async def one_get_fails_at(bad: Failing, port: int) -> None:
    """Send GETs until one of them fails there; the client does not notice."""
    for _ in range(10):
        assert await tally(port, 1) == {"/": 1}
        if bad.requests:
            return
    raise AssertionError("no GET ever went there")


@pytest.mark.parametrize("clusters", [("c1", "c1"), ("c1", "c2")])
async def test_posts_stay_away_after_one_failure_and_return_with_one_answer(
    worker: WorkerProcess, port: int, clusters: tuple[str, str]
) -> None:
    async with Failing() as bad, Origin() as good:
        where: dict[str, list[tuple[str, int]]] = {cluster: [] for cluster in clusters}
        for cluster, origin in zip(clusters, (bad, good), strict=True):
            where[cluster].append(origin.address)
        await worker.apply(snapshot(port, where))
        await one_get_fails_at(bad, port)
        assert await tally(port, 6, POST) == {"/": 6}
        assert not bad.posts()
        await state_of(worker, bad.port, "healthy")
        bad.is_failing = False
        await tally(port, 2)  # one each
        assert await tally(port, 6, POST) == {"/": 6}
        assert bad.posts() == 3


async def test_a_failure_is_no_sign_for_long(worker: WorkerProcess, port: int) -> None:
    async with Failing() as bad, Origin() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address, good.address]}))
        await one_get_fails_at(bad, port)
        bad.is_failing = False
        await until_posts_arrive(bad, port)


async def until_posts_arrive(bad: Failing, port: int) -> None:
    async def arrived() -> bool:
        assert await tally(port, 2, POST) == {"/": 2}
        return bad.posts() > 0

    async with asyncio.timeout(5):
        while not await arrived():
            await asyncio.sleep(0.05)


async def test_a_standby_serves_no_request_on_a_suspicion(worker: WorkerProcess, port: int) -> None:
    async with Failing() as only, Origin() as standby:
        served = snapshot(
            port, {"c1": [only.address], "c2": [standby.address]}, route(port, weights={"c1": 100, "c2": 0})
        )
        await worker.apply(served)
        await one_get_fails_at(only, port)
        only.is_failing = False
        standby.forget()
        assert await tally(port, 4, POST) == {"/": 4}
        assert not standby.requests


async def test_posts_leave_an_endpoint_that_is_silent_for_longer_than_usual(
    worker: WorkerProcess, port: int
) -> None:
    """Long before it counts as stalled: that takes five times as long."""
    async with Pod() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        bad.latency_s = good.latency_s = 0.15
        assert await asyncio.gather(*[tally(port, 4, POST) for _ in range(10)]) == [{"/": 4}] * 10
        bad.forget()
        bad.is_stopped = True
        first = [asyncio.create_task(tally(port, 1, POST)) for _ in range(2)]
        await until(lambda: len(bad.requests) == 1)
        await asyncio.sleep(1.0)  # more than twice what it takes; a stall is 1.5 s
        assert await asyncio.gather(*[tally(port, 1, POST) for _ in range(6)]) == [{"/": 1}] * 6
        assert len(bad.requests) == 1
        bad.go_on()
        assert await asyncio.gather(*first) == [{"/": 1}] * 2


async def test_a_post_that_was_not_sent_does_not_turn_to_a_suspect_either(
    worker: WorkerProcess, port: int
) -> None:
    async with Pod() as refuses, Pod() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [refuses.address, bad.address], "c2": [good.address]}))
        bad.latency_s = good.latency_s = refuses.latency_s = 0.15
        assert await asyncio.gather(*[tally(port, 5, POST) for _ in range(12)]) == [{"/": 5}] * 12
        bad.forget()
        bad.is_stopped = True
        first = [asyncio.create_task(tally(port, 1, POST)) for _ in range(3)]
        await until(lambda: len(bad.requests) == 1)
        await asyncio.sleep(1.2)  # 0.4 would do if no answer took longer than it should
        refuses.stop()
        assert await asyncio.gather(*[tally(port, 1, POST) for _ in range(6)]) == [{"/": 1}] * 6
        assert len(bad.requests) == 1
        bad.go_on()
        await asyncio.gather(*first)


async def test_a_post_that_may_be_repeated_is_sent_anywhere(worker: WorkerProcess, port: int) -> None:
    async with Failing() as bad, Origin() as good:
        repeats = replace(route(port), policies=Policies(retry=Retry(non_idempotent=True)))
        await worker.apply(snapshot(port, {"c1": [bad.address, good.address]}, repeats))
        await one_get_fails_at(bad, port)
        assert await tally(port, 4, POST) == {"/": 4}
        assert bad.posts() == 2


async def test_posts_avoid_an_endpoint_that_fails_every_fifth_request(
    worker: WorkerProcess, port: int
) -> None:
    bad = Failing()

    def fails_at_times(connection: Connection, asked: h11.Request) -> bytes:
        bad.is_failing = len(bad.requests) % 5 == 0
        return bad.act(connection, asked)

    bad.answer = fails_at_times
    async with bad, Origin() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        assert await tally(port, 40) == {"/": 40}
        for _ in range(20):
            assert await tally(port, 2) == {"/": 2}
            assert await tally(port, 2, POST) == {"/": 2}
        assert not bad.posts()
        assert len(bad.requests) >= 40
