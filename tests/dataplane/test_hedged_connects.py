"""A cluster that swallows SYNs costs a request the hedge delay, not the connect timeout."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.model.policies import Policies, Retry
from tests.dataplane.test_failover import state_of
from tests.support.blackhole import black_hole, silence
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

POST = request(method="POST", body=b"order=1")
TO_C1 = {"c1": 100, "c2": 0}


async def timed(port: int, raw: bytes) -> tuple[int, bytes, float]:
    client = await RawClient.connect(port)
    started = time.monotonic()
    await client.send(raw)
    status, _, body = await client.final_response()
    elapsed = time.monotonic() - started
    await client.close()
    return status, body, elapsed


async def until_no_connection_is_idle(worker: WorkerProcess) -> None:
    async with asyncio.timeout(10):
        while any(endpoint.idle for endpoint in (await worker.stats()).endpoints):
            await asyncio.sleep(0.02)


async def hedges(worker: WorkerProcess) -> dict[tuple[str, str], int]:
    counts = (await worker.stats()).attempts
    return {(a.from_cluster, a.to_cluster): a.count for a in counts if a.reason == "hedged"}


@pytest.mark.parametrize("raw", [request(), POST])
async def test_served_by_the_other_cluster_before_the_connect_times_out(
    worker: WorkerProcess, port: int, raw: bytes
) -> None:
    with black_hole() as gone:
        async with Origin() as alive:
            clusters = {"c1": [gone], "c2": [alive.address]}
            await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
            status, body, elapsed = await timed(port, raw)
            assert (status, body) == (200, b"/")
            assert elapsed < 0.8  # the connect timeout is 1 s
            assert len(alive.requests) == 1
            assert await hedges(worker) == {("c1", "c2"): 1}
            await state_of(worker, gone[1], "ejected")  # by the timeout that nobody waited for
            stats = await worker.stats()
            assert [e.in_flight for e in stats.endpoints] == [0, 0]


async def test_three_connects_that_are_outrun_are_enough(worker: WorkerProcess, port: int) -> None:
    """Where connects are known to be short no request waits for the timeout of one, after a second."""
    async with Origin() as gone, Origin() as alive:
        clusters = {"c1": [gone.address], "c2": [alive.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        assert await tally(port, 1) == {"/": 1}
        for connection in gone.connections:
            assert connection.transport is not None
            connection.transport.close()
        for listening in gone.sockets:
            silence(listening)
        await until_no_connection_is_idle(worker)
        started = time.monotonic()
        assert await asyncio.gather(*[tally(port, 1) for _ in range(4)]) == [{"/": 1}] * 4
        await state_of(worker, gone.port, "ejected")
        assert time.monotonic() - started < 0.8
        assert (await hedges(worker))["c1", "c2"] >= 3


async def test_two_dead_clusters_of_three(worker: WorkerProcess, port: int) -> None:
    with black_hole() as one, black_hole() as two:
        async with Origin() as alive:
            clusters = {"c1": [one], "c2": [two], "c3": [alive.address]}
            weights = {"c1": 100, "c2": 0, "c3": 0}
            await worker.apply(snapshot(port, clusters, route(port, weights=weights)))
            status, _, elapsed = await timed(port, POST)
            assert status == 200
            assert elapsed < 0.8


async def test_the_log_says_so(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker, Origin() as alive:
        with black_hole() as gone:
            clusters = {"c1": [gone], "c2": [alive.address]}
            await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
            await tally(port, 1)
        await until(lambda: path.exists() and path.read_bytes())
    (line,) = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert (line["flag"], line["attempts"], line["cluster"]) == ("CF", 2, "c2")
    assert line["failed"] == [{"cluster": "c1", "endpoint": f"127.0.0.1:{gone[1]}", "reason": "hedged"}]


async def test_never_where_the_ingress_forbids(worker: WorkerProcess, port: int) -> None:
    with black_hole() as gone:
        async with Origin() as inside, Origin() as outside:
            clusters = {"c1": [gone], "c2": [outside.address]}
            await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100})))
            assert (await timed(port, request()))[0] == 502
            clusters["c1"].append(inside.address)
            await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100}), version=2))
            assert await tally(port, 5, POST) == {"/": 5}
            assert outside.connections == []


async def test_one_try_is_one_connect(worker: WorkerProcess, port: int) -> None:
    with black_hole() as gone:
        async with Origin() as alive:
            clusters = {"c1": [gone], "c2": [alive.address]}
            rule = replace(route(port, weights=TO_C1), policies=Policies(retry=Retry(tries=1)))
            await worker.apply(snapshot(port, clusters, rule))
            assert (await timed(port, request()))[0] == 502
            assert alive.connections == []


async def test_a_client_that_leaves_takes_its_connects_with_it(worker: WorkerProcess, port: int) -> None:
    with black_hole() as gone:
        async with Origin() as alive:
            clusters = {"c1": [gone], "c2": [alive.address]}
            await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
            client = await RawClient.connect(port)
            await client.send(request())
            await asyncio.sleep(0.03)  # within the delay of a cluster that nothing is known of
            client.reset()
            await state_of(worker, gone[1], "ejected")
            assert alive.connections == []
