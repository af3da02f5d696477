"""Clusters that come back when their Ingress says so, in a worker."""

import asyncio
from time import monotonic

import h11
from msgspec.structs import replace

from proxy.model.actions import Failback, Forward
from proxy.model.channel import EndpointsChanged, Hold, Holds, LetBack
from proxy.model.snapshot import Route, Snapshot
from proxy.model.statistics import FailbackStats
from tests.dataplane.test_failover import state_of
from tests.dataplane.test_shares import is_divided, named
from tests.support.origin import Answer, Connection, Origin
from tests.support.requests import tally
from tests.support.snapshots import Address, route, service, snapshot
from tests.support.waiting import until_async
from tests.support.worker import WorkerProcess

SERVICE = "demo/service1:80"
HELD = Hold("demo/ing", SERVICE, "c1")
MANUAL = Failback("demo/ing", manual=True)


def asking(port: int, failback: Failback | None) -> Route:
    """Half of the requests to each cluster."""
    plain = route(port, weights={"c1": 50, "c2": 50})
    assert isinstance(plain.action, Forward)
    split = replace(plain.action.split, failback=failback)
    return replace(plain, action=replace(plain.action, split=split))


def rules(port: int, clusters: dict[str, list[Address]], failback: Failback | None, version: int) -> Snapshot:
    return snapshot(port, clusters, asking(port, failback), version=version)


async def failbacks(worker: WorkerProcess) -> list[FailbackStats]:
    return list((await worker.stats()).failbacks)


async def said(worker: WorkerProcess) -> Holds:
    """Return the first word of clusters that are held, passing over what is said of endpoints."""
    while True:
        message = await worker.message()
        if isinstance(message, Holds):
            return message


async def is_over(worker: WorkerProcess) -> bool:
    return not await failbacks(worker)


async def test_a_cluster_that_was_gone_is_left_alone_for_a_while(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("c1")) as one, Origin(named("c2")) as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(rules(port, clusters, Failback("demo/ing", delay_s=1.0, ramp_s=0.8), 1))
        assert await tally(port, 20) == {"c1": 10, "c2": 10}
        worker.change_endpoints(1, service({"c1": [], "c2": [two.address]}))
        assert await tally(port, 4) == {"c2": 4}
        worker.change_endpoints(1, service(clusters))
        start = monotonic()
        assert await tally(port, 20) == {"c2": 20}
        (stats,) = await failbacks(worker)
        assert (stats.ingress, stats.service, stats.cluster) == ("demo/ing", SERVICE, "c1")
        assert (stats.state, stats.part) == ("delayed", 0.0)
        assert 0.0 < stats.left_s <= 1.0
        await until_async(lambda: is_over(worker), 10.0, "back")
        assert monotonic() - start > 1.5
        await until_async(lambda: is_divided(port, {"c1": 10, "c2": 10}), 10.0, "back in its share")


def slowly(name: str) -> Answer:
    """So slow that a pause of this process, which is also the endpoints', does not look like a stall."""
    answer = named(name)

    def act(connection: Connection, asked: h11.Request) -> bytes:
        assert connection.transport is not None
        written = answer(connection, asked)
        assert written is not None
        asyncio.get_running_loop().call_later(0.03, connection.transport.write, written)
        return b""

    return act


async def test_by_hand_it_is_held_and_told_until_it_is_let_back(worker: WorkerProcess, port: int) -> None:
    async with Origin(slowly("c1")) as one, Origin(slowly("c2")) as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(rules(port, clusters, MANUAL, 1))
        await tally(port, 10)
        one.stop()
        assert await tally(port, 10) == {"c2": 10}
        assert await said(worker) == Holds((HELD,))
        await one.start()
        await state_of(worker, one.port, "healthy")
        assert await tally(port, 20) == {"c2": 20}
        await worker.apply(rules(port, clusters, MANUAL, 2))
        assert await tally(port, 20) == {"c2": 20}
        assert await failbacks(worker) == [FailbackStats("demo/ing", SERVICE, "c1", "held", 0.0, 0.0)]
        worker.send(LetBack((HELD,)))
        await until_async(lambda: is_divided(port, {"c1": 10, "c2": 10}), 20.0, "back in its share")


async def test_a_new_worker_is_told_of_clusters_that_others_hold(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("c1")) as one, Origin(named("c2")) as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        worker.send(Holds((HELD,)))
        await worker.apply(rules(port, clusters, MANUAL, 1))
        assert await tally(port, 10) == {"c2": 10}
        worker.send(EndpointsChanged(1, (service({"c1": [one.address], "c2": []}),)))
        assert await tally(port, 10) == {"c1": 10}  # rather than 503
        worker.change_endpoints(1, service(clusters))
        await worker.apply(rules(port, clusters, None, 2))
        assert await tally(port, 10) == {"c1": 5, "c2": 5}  # the annotation is gone
