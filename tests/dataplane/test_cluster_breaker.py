"""A cluster that fails as a whole, and comes back."""

from collections import Counter
from time import monotonic

from loadtest.ports import free_ports
from tests.dataplane.test_failover import state_of
from tests.support.origin import Origin
from tests.support.requests import tally
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until, until_async
from tests.support.worker import WorkerProcess


async def breakers(worker: WorkerProcess) -> list[tuple[str, str, float]]:
    stats = await worker.stats()
    return [(breaker.cluster, breaker.phase, breaker.level) for breaker in stats.breakers]


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
        assert breaker[:2] == ("c1", "returning")
        one.requests.clear()
        two.requests.clear()
        await tally(port, 30)
        assert 0 < len(one.requests) < 12  # 15 would be its share

        async def is_whole() -> bool:
            return not await breakers(worker)

        await until_async(is_whole, 20.0, "closed")
        one.requests.clear()
        await tally(port, 20)
        assert len(one.requests) == 10
