"""A cluster that fails as a whole, and comes back."""

import asyncio
from collections import Counter
from time import monotonic

from loadtest.ports import free_ports
from tests.dataplane.test_failover import state_of
from tests.dataplane.test_stalls import Pod, warm_up
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until, until_async
from tests.support.worker import WorkerProcess


async def breakers(worker: WorkerProcess) -> list[tuple[str, str, float]]:
    stats = await worker.stats()
    return [(breaker.cluster, breaker.phase, breaker.ramp) for breaker in stats.breakers]


async def test_not_every_endpoint_of_a_dead_cluster_has_to_be_tried(worker: WorkerProcess, port: int) -> None:
    dead = [("127.0.0.1", each) for each in free_ports(12)]
    async with Origin() as alive:
        clusters = {"c1": dead, "c2": [alive.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 80, "c2": 20})))
        assert await tally(port, 50) == {"/": 50}
        stats = await worker.stats()
        ejected = Counter(endpoint.state for endpoint in stats.endpoints)
        assert ejected == {"ejected": 3, "healthy": 10}
        assert await breakers(worker) == [("c1", "open", 0.0)]


async def test_when_all_are_open_only_clusters_of_the_route_are_tried(
    worker: WorkerProcess, port: int
) -> None:
    dead = [("127.0.0.1", each) for each in free_ports(4)]
    async with Origin() as forbidden:
        clusters = {"c1": dead[:2], "c2": dead[2:], "c3": [forbidden.address]}
        only = route(port, weights={"c1": 50, "c2": 50})
        await worker.apply(snapshot(port, clusters, only))
        assert await tally(port, 10) == {"502": 10}
        assert sorted(await breakers(worker)) == [("c1", "open", 0.0), ("c2", "open", 0.0)]
        assert not forbidden.connections
        port_back = dead[0][1]
        async with Origin(port=port_back):
            await state_of(worker, port_back, "healthy")
            assert await tally(port, 10) == {"/": 10}


async def test_a_cluster_that_was_away_comes_back_step_by_step(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        await tally(port, 10)
        one.stop()
        await tally(port, 10)
        assert await breakers(worker) == [("c1", "open", 0.0)]
        start = monotonic()
        await until(lambda: monotonic() - start > 3.0)  # away for long enough that it matters
        await one.start()
        await state_of(worker, one.port, "healthy")
        (breaker,) = await breakers(worker)
        assert breaker[:2] == ("c1", "ramping")
        one.requests.clear()
        two.requests.clear()
        await tally(port, 30)
        assert 0 < len(one.requests) < 12  # 15 would be its share
        await until_async(lambda: is_whole(worker), 20.0, "closed")
        one.requests.clear()
        await tally(port, 20)
        assert len(one.requests) == 10


async def test_a_cluster_that_flaps_fails_no_get_and_is_held_for_longer(
    worker: WorkerProcess, port: int
) -> None:
    """Each time that the cluster takes requests again it goes away; connections end in order."""
    async with Origin() as one, Origin() as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        post = request(method="POST", body=b"order=1")
        over = asyncio.Event()
        load = [asyncio.create_task(asked(port, raw, over)) for raw in (request(), post)]
        held = []
        for _ in range(4):
            one.leave()
            await until_async(lambda: is_open(worker), 20.0, "given up")
            start = monotonic()
            await one.start()
            await until_async(lambda: is_taken_back(worker), 20.0, "taken back")
            held.append(monotonic() - start)
        over.set()
        gets, posts = await asyncio.gather(*load)
        assert set(gets) == {"/"}
        assert gets["/"] > 500
        assert posts["502"] <= 3  # that were on their way to a connection just then: nobody can tell
        assert set(posts) <= {"/", "502"}
    assert held[2] > 0.5  # 1 s, then 2 s; when it began is seen late on a busy machine
    assert held[3] > 1.5


async def test_a_pause_soon_after_a_failure_is_no_flap(worker: WorkerProcess, port: int) -> None:
    async with Pod() as one, Pod() as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        await tally(port, 20)
        one.stop()
        await tally(port, 20)
        await one.start()
        await until_async(lambda: is_whole(worker), 20.0, "closed")
        for _ in range(4):  # each would take 10 s to return from, if it were a flap
            await warm_up(port, one, two)
            one.is_stopped = True
            waiting = [asyncio.create_task(tally(port, 1)) for _ in range(2)]
            await until_async(lambda: is_open(worker), 20.0, "stalled")
            one.go_on()
            await asyncio.gather(*waiting)
            await until_async(lambda: is_whole(worker), 5.0, "closed")
        one.forget()
        assert await tally(port, 20) == {"/": 20}
        assert len(one.requests) == 10


async def is_whole(worker: WorkerProcess) -> bool:
    return not await breakers(worker)


async def is_open(worker: WorkerProcess) -> bool:
    return "open" in [phase for _, phase, _ in await breakers(worker)]


async def is_taken_back(worker: WorkerProcess) -> bool:
    return not await is_open(worker)


async def asked(port: int, raw: bytes, over: asyncio.Event) -> Counter[str]:
    answers: Counter[str] = Counter()
    while not over.is_set():
        answers += await tally(port, 20, raw)
        await asyncio.sleep(0.01)
    return answers
