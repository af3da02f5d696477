"""How a route's traffic is divided over clusters, and what happens to the shares of the dead."""

import pytest
from msgspec.structs import replace

from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from tests.dataplane.test_failover import state_of
from tests.support.origin import Answer, Origin
from tests.support.requests import tally
from tests.support.snapshots import route, service, snapshot
from tests.support.waiting import until_async
from tests.support.worker import WorkerProcess


def named(name: str) -> Answer:
    body = name.encode()
    return lambda _connection, _request: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


async def test_weights_are_exact(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("c1")) as one, Origin(named("c2")) as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 20, "c2": 80})))
        assert await tally(port, 500) == {"c1": 100, "c2": 400}


async def test_without_weights_every_endpoint_counts_the_same(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("c1")) as one, Origin(named("c2")) as two, Origin(named("c2")) as three:
        clusters = {"c1": [one.address], "c2": [two.address, three.address]}
        await worker.apply(snapshot(port, clusters))
        assert await tally(port, 300) == {"c1": 100, "c2": 200}
        assert len(two.requests) == len(three.requests) == 100


async def test_the_share_of_a_cluster_without_endpoints_goes_to_the_others(
    worker: WorkerProcess, port: int
) -> None:
    weights = {"c1": 20, "c2": 30, "c3": 50}
    async with Origin(named("c1")) as one, Origin(named("c2")) as two, Origin(named("c3")) as three:
        clusters = {"c1": [one.address], "c2": [two.address], "c3": [three.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights=weights)))
        worker.change_endpoints(1, service({**clusters, "c3": []}))
        assert await tally(port, 500) == {"c1": 200, "c2": 300}
        worker.change_endpoints(1, service(clusters))
        assert await tally(port, 100) == {"c1": 20, "c2": 30, "c3": 50}


async def test_a_cluster_that_lacks_endpoints_gets_less(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("c1")) as one, Origin(named("c1")) as gone, Origin(named("c2")) as two:
        clusters = {"c1": [one.address, gone.address], "c2": [two.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 50, "c2": 50})))
        assert await tally(port, 100) == {"c1": 50, "c2": 50}
        gone.stop()
        await tally(port, 10)
        await state_of(worker, gone.port, "ejected")
        assert await tally(port, 170) == {"c1": 70, "c2": 100}  # half of its endpoints carry 0.7
        worker.change_endpoints(1, service({"c1": [one.address], "c2": [two.address]}))
        await until_async(lambda: is_divided(port, {"c1": 50, "c2": 50}), 10.0, "back in its share")


async def is_divided(port: int, expected: dict[str, int]) -> bool:
    return await tally(port, sum(expected.values())) == expected


async def test_a_standby_serves_only_when_no_other_can(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("c1")) as one, Origin(named("c2")) as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        assert await tally(port, 20) == {"c1": 20}
        worker.change_endpoints(1, service({"c2": [two.address]}))
        assert await tally(port, 20) == {"c2": 20}


@pytest.mark.parametrize("allowed", [(), ("c3",)])
async def test_without_failover_not_one_request_leaves(
    worker: WorkerProcess, port: int, allowed: tuple[str, ...]
) -> None:
    split = Split(
        SplitMode.WEIGHTS,
        (Share("c1", 100), Share("c2", 0)),
        failover=bool(allowed),
        failover_clusters=allowed,
    )
    pinned = route(port, weights={"c1": 100, "c2": 0})
    async with Origin(named("c1")) as one, Origin(named("c2")) as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        forward = Forward((Backend("demo/service1:80"),), split)
        await worker.apply(snapshot(port, clusters, replace(pinned, action=forward)))
        one.stop()
        answers = await tally(port, 10)
        assert set(answers) <= {"502", "503"}
        worker.change_endpoints(1, service({"c1": [], "c2": [two.address]}))
        assert await tally(port, 10) == {"503": 10}
        assert two.received == b""
