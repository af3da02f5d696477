"""An endpoint that accepts every request and answers none: what a stopped or cut off pod looks like."""

import asyncio
from collections import Counter
from time import monotonic

import h11
import pytest

from tests.dataplane.conftest import Connect
from tests.dataplane.test_failover import state_of
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

POST = request(method="POST", body=b"order=1")
IN_TIME_S = 1.0
"""Half of that where the machine is idle; a request that is left waiting takes a minute."""
PATIENCE = 20
"""Twice as many times as the gateway waits for a pod that has answered slowly: on a busy machine all do."""


class Pod(Origin):
    """Can be stopped, as by SIGSTOP, and go on."""

    def __init__(self, latency_s: float = 0.0) -> None:
        super().__init__(self._act)
        self.is_stopped = False
        self.latency_s = latency_s
        self.answer_probe = self._act
        self._waiting: list[tuple[Connection, h11.Request]] = []

    def go_on(self) -> None:
        self.is_stopped = False
        waiting, self._waiting = self._waiting, []
        for connection, asked in waiting:
            self._write(connection, asked)

    def _act(self, connection: Connection, asked: h11.Request) -> bytes | None:
        if self.is_stopped:
            self._waiting.append((connection, asked))
        elif self.latency_s:
            asyncio.get_running_loop().call_later(self.latency_s, self._write, connection, asked)
        else:
            return ok(connection, asked)
        return b""

    def _write(self, connection: Connection, asked: h11.Request) -> None:
        assert connection.transport is not None
        if not connection.transport.is_closing():
            connection.transport.write(ok(connection, asked))


async def warm_up(port: int, *pods: Pod, raw: bytes | None = None) -> float:
    """Have requests overlap, so that the worker knows their kind and that pods work on several at a time.

    Return how long a request may take when a pod stops: the slowest of these says how busy the machine is.
    """
    for pod in pods:
        pod.latency_s = 0.03
    took = await asyncio.gather(*[slowest(port, 10, raw) for _ in range(8)])
    for pod in pods:
        pod.latency_s = 0.0
    return max(IN_TIME_S, PATIENCE * max(took))


async def slowest(port: int, count: int, raw: bytes | None = None) -> float:
    """Send requests one after the other; return how long the slowest took. All must be answered."""
    worst = 0.0
    for _ in range(count):
        start = monotonic()
        assert await tally(port, 1, raw) == {"/": 1}
        worst = max(worst, monotonic() - start)
    return worst


@pytest.mark.parametrize("clusters", [("c1", "c1"), ("c1", "c2")])
async def test_gets_leave_a_stopped_pod_and_one_answer_brings_it_back(
    worker: WorkerProcess, port: int, connect: Connect, clusters: tuple[str, str]
) -> None:
    async with Pod() as bad, Pod() as good:
        where: dict[str, list[tuple[str, int]]] = {cluster: [] for cluster in clusters}
        for cluster, pod in zip(clusters, (bad, good), strict=True):
            where[cluster].append(pod.address)
        await worker.apply(snapshot(port, where))
        in_time_s = await warm_up(port, bad, good)
        bad.is_stopped = True
        assert 0.1 < await slowest(port, 4) < in_time_s
        await state_of(worker, bad.port, "stalled")
        seen = len(bad.requests)
        assert await tally(port, 20) == {"/": 20}
        assert len(bad.requests) == seen
        stats = await worker.stats()
        assert [(a.from_cluster, a.to_cluster, a.reason, a.count) for a in stats.attempts] == [
            (clusters[0], clusters[1], "stalled", 1)
        ]
        bad.go_on()
        await state_of(worker, bad.port, "healthy")
        bad.forget()
        assert await tally(port, 20) == {"/": 20}
        assert len(bad.requests) == 10


async def test_a_post_is_not_sent_twice_but_answered_when_the_pod_goes_on(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Pod() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        await warm_up(port, bad, good, raw=POST)
        bad.forget()
        good.forget()
        bad.is_stopped = True
        posts = [asyncio.create_task(tally(port, 1, POST)) for _ in range(4)]
        await state_of(worker, bad.port, "stalled")
        bad.go_on()
        assert [await post for post in posts] == [{"/": 1}] * 4
        assert len(bad.requests) + len(good.requests) == 4
        await state_of(worker, bad.port, "healthy")


async def test_a_slow_route_is_not_a_stalled_endpoint(worker: WorkerProcess, port: int) -> None:
    async with Pod() as one, Pod() as two:
        slow = route(port, "/slow", name="slow")
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}, slow, route(port)))
        await tally(port, 200)
        one.latency_s = two.latency_s = 0.15
        before = (await worker.stats()).attempts  # a pause among fast ones is a stall
        one.forget()
        two.forget()
        assert await tally(port, 20, request("/slow")) == {"/slow": 20}
        assert (len(one.requests), len(two.requests)) == (10, 10)
        assert (await worker.stats()).attempts == before


async def test_where_all_wait_nothing_is_moved(worker: WorkerProcess, port: int) -> None:
    async with Pod() as one, Pod() as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        one.latency_s = two.latency_s = 0.05  # so that half a second makes a stall, and they wait in step
        assert await asyncio.gather(*[tally(port, 10) for _ in range(4)]) == [{"/": 10}] * 4
        one.is_stopped = two.is_stopped = True
        one.forget()
        two.forget()
        waiting = [asyncio.create_task(tally(port, 1)) for _ in range(10)]
        await until(lambda: len(one.requests) + len(two.requests) == 10)
        await asyncio.sleep(2.4)  # four times what would make one of them stalled
        assert len(one.requests) + len(two.requests) == 10
        one.go_on()
        two.go_on()
        assert [await each for each in waiting] == [{"/": 1}] * 10


async def test_a_stopped_pod_that_dies_is_ejected_and_probed(worker: WorkerProcess, port: int) -> None:
    async with Pod() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        await warm_up(port, bad, good)
        bad.is_stopped = True
        await slowest(port, 4)
        await state_of(worker, bad.port, "stalled")
        bad.stop()
        await state_of(worker, bad.port, "ejected")
        bad.is_stopped = False
        await bad.start()
        await state_of(worker, bad.port, "healthy")


async def test_a_pod_that_only_accepts_is_not_taken_back(worker: WorkerProcess, port: int) -> None:
    """Its kernel accepts connections for it: it has to answer something."""
    async with Pod() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        await warm_up(port, bad, good)
        bad.is_stopped = True
        await slowest(port, 4)
        await state_of(worker, bad.port, "stalled")
        bad.forget()
        assert await tally(port, 20, POST) == {"/": 20}
        assert bad.probes
        assert not bad.requests
        bad.go_on()
        await state_of(worker, bad.port, "healthy")


async def test_a_pod_that_goes_on_may_hang_up_when_it_is_asked(worker: WorkerProcess, port: int) -> None:
    """Not every program understands `OPTIONS *`; one that closes the connection lives."""

    class Curt(Pod):
        def _write(self, connection: Connection, asked: h11.Request) -> None:
            if asked.target == b"*":
                connection.close()
            else:
                super()._write(connection, asked)

    async with Curt() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        await warm_up(port, bad, good)
        bad.is_stopped = True
        posts = [asyncio.create_task(tally(port, 1, POST)) for _ in range(2)]
        await until(lambda: bad.probes, what="a probe")
        await state_of(worker, bad.port, "stalled")
        bad.go_on()
        assert [await post for post in posts] == [{"/": 1}] * 2
        await state_of(worker, bad.port, "healthy")


async def test_a_request_does_not_leave_the_clusters_it_may_be_served_in(
    worker: WorkerProcess, port: int
) -> None:
    async with Pod() as bad, Pod() as forbidden:
        only = route(port, weights={"c1": 100})
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [forbidden.address]}, only))
        await warm_up(port, bad)
        bad.is_stopped = True
        waiting = asyncio.create_task(tally(port, 1))
        await state_of(worker, bad.port, "stalled")
        bad.go_on()
        assert await waiting == {"/": 1}
        assert not forbidden.requests


async def asked_at_once(port: int, count: int, bad: Pod, *, after: int) -> list[asyncio.Task[Counter[str]]]:
    """Have so many GETs wait at a pod that stops. It is known to be slow, so it is believed for a while."""
    bad.latency_s = 0.04
    before = [asyncio.create_task(tally(port, after // 25)) for _ in range(25)]
    assert [await each for each in before] == [{"/": after // 25}] * 25
    bad.is_stopped = True
    bad.forget()
    waiting = [asyncio.create_task(tally(port, 1)) for _ in range(count)]
    await until(lambda: len(bad.requests) == count)
    return waiting


async def test_requests_that_leave_are_within_the_budget_and_the_rest_leave_as_those_are_answered(
    worker: WorkerProcess, port: int
) -> None:
    async with Pod() as bad, Pod() as good:
        to_bad = route(port, weights={"c1": 100, "c2": 0})
        await worker.apply(snapshot(port, {"c1": [bad.address]}, to_bad))
        waiting = await asked_at_once(port, 350, bad, after=250)
        good.is_stopped = True  # for a moment: what has left for it is not answered
        worker.change_endpoints(1, service({"c1": [bad.address], "c2": [good.address]}))
        await until(lambda: len(good.requests) >= 100, what="the floor of the budget")
        assert len(good.requests) < 250  # a fifth of 600 more, and ten each second
        good.go_on()
        assert [await each for each in waiting] == [{"/": 1}] * 350
        assert bad.is_stopped


async def test_requests_under_way_to_a_pod_that_dies_move_to_an_unused_standby(
    worker: WorkerProcess, port: int
) -> None:
    async with Pod() as bad, Pod() as standby:
        to_bad = route(port, weights={"c1": 100, "c2": 0})
        await worker.apply(snapshot(port, {"c1": [bad.address]}, to_bad))
        waiting = await asked_at_once(port, 150, bad, after=500)
        worker.change_endpoints(1, service({"c1": [bad.address], "c2": [standby.address]}))
        await state_of(worker, standby.port, "healthy")
        bad.stop()
        assert [await each for each in waiting] == [{"/": 1}] * 150


async def test_whole_clusters_can_stop(worker: WorkerProcess, port: int) -> None:
    async with Pod() as one, Pod() as two, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [one.address, two.address], "c2": [good.address]}))
        in_time_s = await warm_up(port, one, two, good)
        one.is_stopped = two.is_stopped = True
        assert await slowest(port, 9) < in_time_s
