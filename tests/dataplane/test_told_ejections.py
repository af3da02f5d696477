"""A finding of one worker about an endpoint is told to the others."""

import asyncio

from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.actions import Failback, Forward
from proxy.model.channel import Ack, Apply, Ejection, Ejections
from tests.dataplane.test_failover import state_of
from tests.dataplane.test_stalls import Pod, slowest, warm_up
from tests.support.origin import Origin
from tests.support.requests import tally
from tests.support.snapshots import route, snapshot
from tests.support.worker import WorkerProcess

SERVICE = "demo/service1:80"


async def test_a_worker_says_which_endpoint_it_has_ejected(worker: WorkerProcess, port: int) -> None:
    dead = free_port()
    async with Origin() as alive:
        await worker.apply(snapshot(port, {"c1": [("127.0.0.1", dead)], "c2": [alive.address]}))
        await tally(port, 2)
        assert await worker.message() == Ejections((Ejection(SERVICE, "c1", "127.0.0.1", dead, False),))


async def test_a_worker_says_which_endpoint_has_stalled(worker: WorkerProcess, port: int) -> None:
    async with Pod() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        await warm_up(port, bad, good)
        bad.is_stopped = True
        await slowest(port, 2)
        assert await worker.message() == Ejections((Ejection(SERVICE, "c1", *bad.address, True),))


async def test_a_worker_believes_another_one_and_looks_itself_whether_the_endpoint_is_back(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as one, Origin() as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        await tally(port, 10)
        one.forget()
        worker.send(Ejections((Ejection(SERVICE, "c1", *one.address, False),)))
        await state_of(worker, one.port, "ejected")
        assert await tally(port, 4) == {"/": 4}
        assert not one.requests
        await state_of(worker, one.port, "healthy")


async def test_another_workers_word_keeps_new_requests_away_and_moves_none(
    worker: WorkerProcess, port: int
) -> None:
    async with Pod() as bad, Pod() as good:
        await worker.apply(snapshot(port, {"c1": [bad.address], "c2": [good.address]}))
        bad.is_stopped = True
        waiting = [asyncio.create_task(tally(port, 1)) for _ in range(2)]
        while not bad.requests:
            await asyncio.sleep(0.001)
        worker.send(Ejections((Ejection(SERVICE, "c1", *bad.address, True),)))
        await state_of(worker, bad.port, "stalled")
        good.forget()
        assert await tally(port, 10) == {"/": 10}
        assert len(bad.requests) == 1
        bad.go_on()
        assert [await each for each in waiting] == [{"/": 1}] * 2
        assert len(bad.requests) == 1
        await state_of(worker, bad.port, "healthy")


async def test_a_pause_that_another_worker_saw_holds_no_cluster_out(worker: WorkerProcess, port: int) -> None:
    """No request waits for an answer here, so the endpoint is probed; and it answers."""
    async with Origin() as one, Origin() as two:
        half = route(port, weights={"c1": 50, "c2": 50})
        assert isinstance(half.action, Forward)
        by_hand = replace(half.action.split, failback=Failback("demo/ing", manual=True))
        rules = replace(half, action=replace(half.action, split=by_hand))
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}, rules))
        await tally(port, 10)
        worker.send(Ejections((Ejection(SERVICE, "c1", *one.address, True),)))
        await state_of(worker, one.port, "ejected")
        await state_of(worker, one.port, "healthy")
        assert (await worker.stats()).failbacks == ()
        one.forget()
        assert await tally(port, 10) == {"/": 10}
        assert len(one.requests) == 5


async def test_an_ejection_told_before_a_snapshot_is_applied_holds_from_its_first_request(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as one, Origin() as two:
        worker.send(Apply(snapshot(port, {"c1": [one.address], "c2": [two.address]})))
        worker.send(Ejections((Ejection(SERVICE, "c1", *one.address, False),)))
        assert await worker.message() == Ack(1)
        assert await tally(port, 4) == {"/": 4}
        assert not one.requests


async def test_ejections_of_endpoints_that_are_gone_are_ignored(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one:
        await worker.apply(snapshot(port, {"c1": [one.address]}))
        for service, cluster, at in (("demo/x:80", "c1", 1), (SERVICE, "c9", 1), (SERVICE, "c1", 1)):
            worker.send(Ejections((Ejection(service, cluster, "127.0.0.1", at, True),)))
        assert await tally(port, 4) == {"/": 4}
