"""Connections to a service in a cluster, and requests that wait for one, are bounded."""

import asyncio

import h11
import msgspec

from proxy.model.limits import Limits
from proxy.model.snapshot import Snapshot
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request
from tests.support.snapshots import route, snapshot, split
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess


def silent(_connection: Connection, _request: h11.Request) -> bytes:
    """Keep the request; the test answers it."""
    return b""


def answer(origin: Origin) -> None:
    for connection in origin.connections:
        assert connection.transport is not None
        connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")


def limited(plain: Snapshot, connections: int, pending: int) -> Snapshot:
    limits = Limits(max_upstream_connections=connections, max_upstream_pending=pending)
    return msgspec.structs.replace(plain, limits=limits)


async def ask(port: int, raw: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    client = await RawClient.connect(port)
    await client.send(raw or request())
    try:
        return await client.final_response()
    finally:
        await client.close()


async def overflows(worker: WorkerProcess) -> dict[tuple[str, str], int]:
    counts = (await worker.stats()).attempts
    return {(a.from_cluster, a.to_cluster): a.count for a in counts if a.reason == "overflow"}


async def test_a_request_waits_for_the_connection_that_becomes_free(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent) as origin:
        await worker.apply(limited(snapshot(port, {"c1": [origin.address]}), 1, 1))
        first = asyncio.create_task(ask(port))
        await until(lambda: len(origin.requests) == 1)
        second = asyncio.create_task(ask(port, request("/second")))
        third = await until_refused(port)
        assert third[0] == 503
        assert third[1]["retry-after"] == "1"
        origin.answer = ok
        answer(origin)
        assert (await first)[2] == b"late"
        assert (await second)[2] == b"/second"
        assert len(origin.connections) == 1
        flags = {count.flag for count in (await worker.stats()).requests if count.code_class == "5xx"}
        assert flags == {"UO"}


async def until_refused(port: int) -> tuple[int, dict[str, str], bytes]:
    """Ask until the gateway refuses at once: until then the question itself is the one that waits."""
    async with asyncio.timeout(10):
        while True:
            asking = asyncio.create_task(ask(port))
            done, _ = await asyncio.wait([asking], timeout=0.5)
            if done:
                return asking.result()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def test_no_longer_than_a_second(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent) as origin:
        await worker.apply(limited(snapshot(port, {"c1": [origin.address]}), 1, 8))
        first = asyncio.create_task(ask(port))
        await until(lambda: len(origin.requests) == 1)
        async with asyncio.timeout(5):
            assert (await ask(port))[0] == 503
        answer(origin)
        assert (await first)[0] == 200


async def test_requests_without_room_go_to_another_cluster(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent) as busy, Origin() as other:
        clusters = {"c1": [busy.address], "c2": [other.address]}
        plain = snapshot(port, clusters, route(port, weights={"c1": 1, "c2": 0}))
        await worker.apply(limited(plain, 1, 0))
        first = asyncio.create_task(ask(port))
        await until(lambda: len(busy.requests) == 1)
        for method in ("GET", "POST"):
            assert (await ask(port, request("/moved", method)))[::2] == (200, b"/moved")
        answer(busy)
        await first
        assert await overflows(worker) == {("c1", "c2"): 2}


async def test_but_not_where_it_may_not_go(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent) as busy, Origin() as other:
        clusters = {"c1": [busy.address], "c2": [other.address]}
        here_only = msgspec.structs.replace(split({"c1": 1, "c2": 0}), failover=False)
        one = route(port)
        one = msgspec.structs.replace(one, action=msgspec.structs.replace(one.action, split=here_only))
        await worker.apply(limited(snapshot(port, clusters, one), 1, 0))
        first = asyncio.create_task(ask(port))
        await until(lambda: len(busy.requests) == 1)
        assert (await ask(port))[0] == 503
        answer(busy)
        await first
        assert other.received == b""


async def test_an_idle_connection_to_another_endpoint_is_taken_before_any_request_waits(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as one, Origin() as two:
        await worker.apply(limited(snapshot(port, {"c1": [one.address, two.address]}), 1, 0))
        for _ in range(6):  # in turns to both endpoints, of which only the first can have a connection
            assert (await ask(port))[0] == 200
        assert sorted((len(one.connections), len(two.connections))) == [0, 1]
        stats = await worker.stats()
        assert {endpoint.in_flight for endpoint in stats.endpoints} == {0}


async def test_a_connection_that_ends_makes_room(worker: WorkerProcess, port: int) -> None:
    async with Origin(silent) as origin:
        await worker.apply(limited(snapshot(port, {"c1": [origin.address]}), 1, 4))
        first = asyncio.create_task(ask(port))
        await until(lambda: len(origin.requests) == 1)
        waiting = [asyncio.create_task(ask(port, request(f"/{n}"))) for n in range(3)]
        assert await until_pending(worker, 4)
        origin.answer = lambda c, r: ok(c, r).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        answer(origin)
        assert (await first)[0] == 200
        assert {(await task)[2] for task in waiting} == {b"/0", b"/1", b"/2"}
        assert len(origin.connections) == 3


async def until_pending(worker: WorkerProcess, count: int) -> bool:
    async with asyncio.timeout(5):
        while sum(endpoint.in_flight for endpoint in (await worker.stats()).endpoints) < count:
            await asyncio.sleep(0.01)
    return True
