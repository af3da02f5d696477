"""Small segments get through and large ones are lost: a tunnel on the way, and nobody tells of its MTU.

Connects are answered, and so are small requests. That is what makes it hard to see.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import h11
from msgspec.structs import replace

from proxy.dataplane import DataPlane
from tests.dataplane.test_hedged_connects import TO_C1
from tests.support.blackhole import lose_large
from tests.support.inprocess import serving
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.worker import WorkerProcess

LARGE = b"x" * 3000
PUT, POST = request(method="PUT", body=LARGE), request(method="POST", body=LARGE)


def narrow(origin: Origin) -> None:
    """What is large does not reach this origin, on the connections there are and on new ones."""
    for connection in origin.connections:
        assert connection.transport is not None
        lose_large(connection.transport.get_extra_info("socket"))
    for listening in origin.sockets:
        lose_large(listening)


async def test_a_request_that_is_lost_goes_elsewhere(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        await tally(port, 10)
        one.forget()
        narrow(one)
        assert await tally(port, 5) == {"/": 5}
        assert (len(one.requests), two.requests) == (5, [])  # what is small gets there
        start = monotonic()
        assert await tally(port, 1, PUT) == {"/": 1}
        assert monotonic() - start < 2.0  # a second without an acknowledgement is the kernel's proof
        assert [body for _, body in two.requests] == [LARGE]
        stats = await worker.stats()
        assert {(a.reason, a.to_cluster) for a in stats.attempts} == {("unacknowledged", "c2")}


async def test_a_post_that_is_lost_arrives_nowhere_else(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        await tally(port, 10)
        narrow(one)
        start = monotonic()
        assert await tally(port, 1, POST) == {"504": 1}
        assert monotonic() - start < 8.0
        assert [body for _, body in (*one.requests, *two.requests) if body] == []


def large(connection: Connection, asked: h11.Request) -> bytes:
    if asked.target == b"/small":
        return ok(connection, asked)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(LARGE), LARGE)


@asynccontextmanager
async def narrowed(port: int, one: Origin, two: Origin) -> AsyncIterator[DataPlane]:
    """A data plane to which nothing large comes from the first of the origins."""
    clusters = {"c1": [one.address], "c2": [two.address]}
    served = snapshot(port, clusters, route(port, weights={"c1": 50, "c2": 50}))
    listener = replace(served.listeners[0], response_timeout_s=1.0)
    async with serving(replace(served, listeners=(listener,))) as plane:
        await tally(port, 40)
        (cluster, _) = (cluster for s in plane.upstream.services.all() for cluster in s.clusters.values())
        for endpoint in cluster.endpoints.values():
            for connection in endpoint.pool.streams():
                lose_large(connection.transport.get_extra_info("socket"))
        yield plane


async def test_a_request_whose_answer_is_lost_is_executed_once(port: int) -> None:
    """The endpoint answers its probe: nothing tells what it works on from what the network has lost."""
    async with Origin(large) as one, Origin(large) as two, narrowed(port, one, two):
        assert await tally(port, 2, request("/small")) == {"/small": 2}
        one.forget()
        two.forget()
        assert await tally(port, 2) == {"504": 1, LARGE.decode(): 1}
        assert len(one.requests) == len(two.requests) == 1


async def test_a_post_whose_answer_is_lost_is_executed_once(port: int) -> None:
    async with Origin(large) as one, Origin(large) as two, narrowed(port, one, two):
        for origin in (one, two):
            origin.forget()
        answers = await tally(port, 2, POST)
        assert answers == {"504": 1, LARGE.decode(): 1}
        assert len(one.requests) == len(two.requests) == 1
