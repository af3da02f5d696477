"""A machine that vanishes with connections open; and what looks like it but is not."""

import asyncio
import time
from asyncio.trsock import TransportSocket
from collections import Counter

import h11
import pytest

from tests.dataplane.test_failover import state_of
from tests.dataplane.test_hedged_connects import TO_C1, timed
from tests.dataplane.test_stalls import Pod
from tests.support.blackhole import restore, silence, silence_origin
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

POST = request(method="POST", body=b"order=1")


async def failures(worker: WorkerProcess) -> Counter[str]:
    counts: Counter[str] = Counter()
    for count in (await worker.stats()).attempts:
        counts[count.reason] += count.count
    return counts


async def pooled(worker: WorkerProcess, port: int, one: Origin, *others: Origin) -> None:
    """Have a connection to `one` in the pool; the others stand by."""
    clusters = {"c1": [one.address], "c2": [other.address for other in others]}
    await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
    assert await tally(port, 1) == {"/": 1}
    one.forget()


def connection_of(origin: Origin) -> TransportSocket:
    (connection,) = origin.connections
    assert connection.transport is not None
    found: TransportSocket = connection.transport.get_extra_info("socket")
    return found


async def test_a_get_is_served_elsewhere(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        await pooled(worker, port, one, two)
        await asyncio.sleep(0.3)  # ticks go by, and nobody looks at the connection any more
        silence_origin(one)
        status, body, elapsed = await timed(port, request())
        assert (status, body) == (200, b"/")
        assert elapsed < 0.8  # typically 0.2; nothing else would end the wait before a minute is over
        await state_of(worker, one.port, "ejected")
        assert await failures(worker) == {"unacknowledged": 1}
        assert [e.in_flight for e in (await worker.stats()).endpoints] == [0, 0]


async def test_many_gets_are_served_by_an_unused_standby(worker: WorkerProcess, port: int) -> None:
    """More than the standby's own requests would allow it to inherit, for it had none."""
    async with Pod(0.05) as one, Origin() as two:
        await pooled(worker, port, one, two)
        many = [asyncio.create_task(tally(port, 10)) for _ in range(150)]
        assert [await each for each in many] == [{"/": 10}] * 150
        silence_origin(one)
        many = [asyncio.create_task(tally(port, 1)) for _ in range(150)]
        assert [await each for each in many] == [{"/": 1}] * 150


async def test_no_connection_to_it_stays_in_the_pool(worker: WorkerProcess, port: int) -> None:
    async with Pod(0.05) as one, Origin() as two:
        await pooled(worker, port, one, two)
        assert [await each for each in [asyncio.create_task(tally(port, 1)) for _ in range(5)]] == [
            {"/": 1}
        ] * 5
        idle = [e.idle for e in (await worker.stats()).endpoints]
        assert idle[0] == 5
        silence_origin(one)
        assert (await timed(port, request()))[0] == 200
        await state_of(worker, one.port, "ejected")
        assert [(e.in_flight, e.idle) for e in (await worker.stats()).endpoints] == [(0, 0), (0, 1)]


async def test_a_post_is_never_sent_again(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        await pooled(worker, port, one, two)
        silence_origin(one)
        client = await RawClient.connect(port)
        await client.send(POST)
        await state_of(worker, one.port, "ejected")  # what is known of the endpoint holds for the others
        assert await tally(port, 3) == {"/": 3}
        assert len(two.requests) == 3
        restore(connection_of(one))  # the network is back: the kernel's retransmission gets through
        status, _, _ = await client.final_response()
        assert status == 200
        assert [body for _, body in one.requests] == [b"order=1"]
        assert len(two.requests) == 3
        await client.close()


async def test_a_post_is_not_waited_for_without_end(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        await pooled(worker, port, one, two)
        silence_origin(one)
        status, _, elapsed = await timed(port, POST)
        assert status == 504
        assert 4.5 < elapsed < 8
        assert two.requests == []


@pytest.mark.parametrize("raw", [request(), POST])
async def test_a_slow_program_is_left_alone(worker: WorkerProcess, port: int, raw: bytes) -> None:
    def later(connection: Connection, got: h11.Request) -> bytes:
        assert connection.transport is not None
        asyncio.get_running_loop().call_later(1.5, connection.transport.write, ok(connection, got))
        return b""

    async with Origin() as one, Origin() as two:
        await pooled(worker, port, one, two)
        one.answer = later
        assert await tally(port, 1, raw) == {"/": 1}
        # The liveness probes of the silence have a connection of their own
        assert (len(one.requests), len(one.connections), two.connections) == (1, 2, [])
        assert await failures(worker) == {}


async def test_a_program_that_does_not_read_is_left_alone(worker: WorkerProcess, port: int) -> None:
    body = b"x" * 8_000_000
    async with Origin() as one, Origin() as two:
        await pooled(worker, port, one, two)
        (connection,) = one.connections
        assert connection.transport is not None
        connection.transport.pause_reading()
        client = await RawClient.connect(port)
        sending = asyncio.create_task(client.send(request(method="PUT", body=body)))
        await asyncio.sleep(1.5)  # so long must nothing happen
        connection.transport.resume_reading()
        await sending
        assert (await client.final_response())[0] == 200
        # A probe may have come on a connection of its own while the program worked on 8 MB
        assert (len(one.requests), two.connections) == (1, [])
        assert await failures(worker) == {}
        await client.close()


async def test_a_lost_segment_is_the_kernels_affair(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        await pooled(worker, port, one, two)
        flow = connection_of(one)
        silence(flow)
        client = await RawClient.connect(port)
        await client.send(request())
        await until(lambda: len(one.connections) == 2)  # whether it is there: it is
        restore(flow)
        assert (await client.final_response())[0] == 200
        assert len(one.requests) == 1
        assert await failures(worker) == {}
        assert two.connections == []
        await client.close()


async def test_a_flow_that_is_lost_for_good_is_given_up(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        await pooled(worker, port, one, two)
        silence(connection_of(one))
        status, _, elapsed = await timed(port, request())
        assert status == 200
        assert 0.9 < elapsed < 3
        assert len(two.requests) == 1


async def test_with_nowhere_else_to_go_it_waits(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one:
        await pooled(worker, port, one)
        silence_origin(one)
        client = await RawClient.connect(port)
        started = time.monotonic()
        await client.send(request())
        await asyncio.sleep(1.2)  # longer than with somewhere to go
        restore(connection_of(one))
        assert (await client.final_response())[0] == 200
        assert time.monotonic() - started < 5
        await client.close()
