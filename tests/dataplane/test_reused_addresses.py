"""The address of a pod that is gone becomes another service's: nothing of the old one goes there."""

import asyncio
from collections import defaultdict

import h11
from msgspec.structs import replace

from tests.support.origin import Connection, Origin, header, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot
from tests.support.waiting import until, until_async
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

FIRST, SECOND = "demo/first:80", "demo/second:80"


async def two_services(worker: WorkerProcess, port: int) -> None:
    """Hosts first and second, each to its service; neither has endpoints yet."""
    routes = tuple(
        replace(route(port, name=name, to=to), host=name)
        for name, to in (("first", FIRST), ("second", SECOND))
    )
    await worker.apply(replace(snapshot(port, {}, *routes), services=()))


def assign(worker: WorkerProcess, first: list[Origin], second: list[Origin]) -> None:
    worker.change_endpoints(
        1,
        service({"c1": [origin.address for origin in first]}, FIRST),
        service({"c1": [origin.address for origin in second]}, SECOND),
    )


async def test_no_connection_serves_both(worker: WorkerProcess, port: int) -> None:
    hosts: defaultdict[Connection, set[bytes]] = defaultdict(set)

    def note(connection: Connection, asked: h11.Request) -> bytes:
        hosts[connection].update(header(asked, b"host"))
        return ok(connection, asked)

    async with Origin(note) as shared, Origin() as spare:
        await two_services(worker, port)
        assign(worker, [shared, spare], [spare])
        load = asyncio.gather(*(tally(port, 300, request(host=("first", "second")[n % 2])) for n in range(8)))
        while not load.done():
            assign(worker, [spare], [shared, spare])
            await asyncio.sleep(0.02)
            assign(worker, [shared, spare], [spare])
            await asyncio.sleep(0.02)
        assert all(answers == {"/": 300} for answers in await load)
    assert {frozenset(found) for found in hosts.values()} == {frozenset([b"first"]), frozenset([b"second"])}


async def test_a_request_that_fails_at_a_pod_that_is_gone_is_not_tried_at_its_address(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as shared, Origin() as spare:
        await two_services(worker, port)
        assign(worker, [shared], [])
        await tally(port, 1, request(host="first"))  # its connection is in the pool
        shared.answer = lambda _c, _r: b""
        client = await RawClient.connect(port)
        await client.send(request("/old", host="first"))
        await until(lambda: len(shared.requests) == 2)
        (old,) = shared.connections
        assign(worker, [spare], [shared])
        await until_async(lambda: serves(worker, shared, SECOND), 5, "the address is the other one's")
        shared.answer = ok
        shared.requests.clear()
        old.close()  # the pod is killed; its address lives on
        assert (await client.response())[2] == b"/old"
        assert [got.target for got, _ in spare.requests] == [b"/old"]
        await tally(port, 10, request(host="second"))
        assert [header(got, b"host") for got, _ in shared.requests] == [[b"second"]] * 10
        await client.close()


async def serves(worker: WorkerProcess, origin: Origin, name: str) -> bool:
    return name in [e.service for e in (await worker.stats()).endpoints if e.port == origin.port]
