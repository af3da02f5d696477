"""Configuration and process changes while requests flow."""

import asyncio
import signal
import socket

import pytest
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.channel import Ack, Drain, Nack
from proxy.model.snapshot import Listener, PathKind
from tests.support.origin import Origin, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot, source
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess


async def test_a_hundred_snapshots_under_load_lose_nothing(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(snapshot(port, clusters))
        load = asyncio.gather(*(tally(port, 400) for _ in range(8)))
        for version in range(2, 102):
            weights = {"c1": version % 101, "c2": 100 - version % 101}
            changed = snapshot(port, clusters, route(port, weights=weights), version=version)
            assert await worker.apply(changed) == Ack(version)
        assert all(answers == {"/": 400} for answers in await load)


async def test_a_snapshot_that_does_not_compile_changes_nothing(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        bad = snapshot(port, {}, route(port, "/(", kind=PathKind.REGEX), version=2)
        answer = await worker.apply(bad)
        assert isinstance(answer, Nack)
        assert "demo/ing/(" in answer.reason
        assert await tally(port, 5) == {"/": 5}


async def test_listeners_open_and_close_while_running(worker: WorkerProcess, port: int) -> None:
    other = free_port()
    async with Origin() as origin:
        one = snapshot(port, {"c1": [origin.address]})
        await worker.apply(one)
        client = await RawClient.connect(port)
        await client.send(request())
        await client.response()
        listener = Listener(other, source(), address="127.0.0.1")
        await worker.apply(replace(one, version=2, listeners=(listener,), routes=(route(other),)))
        assert await tally(other, 5) == {"/": 5}
        assert await client.until_closed() == b""
        await client.close()
        try:
            await tally(port, 1)
        except ConnectionRefusedError:
            pass
        else:
            raise AssertionError("the closed listener still accepts")


async def test_a_request_in_flight_on_a_closed_listener_is_the_last_of_its_connection(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(lambda _c, _r: b"") as origin:
        one = snapshot(port, {"c1": [origin.address]})
        await worker.apply(one)
        client = await RawClient.connect(port)
        await client.send(request())
        async with asyncio.timeout(5):
            await origin.answered.wait()
        await worker.apply(replace(one, version=2, listeners=()))
        await worker.apply(replace(one, version=3))  # and opened again
        transport = origin.connections[0].transport
        assert transport is not None
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        status, fields, body = await client.response()
        assert (status, fields["connection"], body) == (200, "close", b"ok")
        await client.close()
        origin.answer = ok
        assert await tally(port, 3) == {"/": 3}


async def test_a_connection_made_just_before_its_listener_closes_is_answered(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin:
        one = snapshot(port, {"c1": [origin.address]})
        await worker.apply(one)
        client = await RawClient.connect(port)
        await worker.apply(replace(one, version=2, listeners=()))
        await client.send(request())
        status, fields, body = await client.response()
        assert (status, fields["connection"], body) == (200, "close", b"/")
        await client.close()


@pytest.mark.parametrize("is_drained", [True, False])
async def test_a_client_that_has_just_come_may_take_longer_to_ask_than_an_idle_one(
    worker: WorkerProcess, port: int, is_drained: bool
) -> None:
    async with Origin() as origin:
        one = snapshot(port, {"c1": [origin.address]})
        await worker.apply(one)
        fresh, idle = await RawClient.connect(port), await RawClient.connect(port)
        await idle.send(request())
        assert (await idle.response())[0] == 200
        if is_drained:
            worker.send(Drain(20.0))
        else:
            await worker.apply(replace(one, version=2, listeners=()))
        async with asyncio.timeout(10):
            assert await idle.until_closed() == b""
        await fresh.send(request())
        status, fields, body = await fresh.response()
        assert (status, fields["connection"], body) == (200, "close", b"/")
        await fresh.close()
        await idle.close()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_drain_finishes_what_is_in_flight_and_exits_clean(worker: WorkerProcess, port: int) -> None:
    async with Origin(lambda _c, _r: b"") as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await RawClient.connect(port)
        await client.send(request())
        async with asyncio.timeout(5):
            await origin.answered.wait()
        worker.send(Drain(10.0))
        async with asyncio.timeout(5):
            while accepts(port):
                await asyncio.sleep(0.01)
        transport = origin.connections[0].transport
        assert transport is not None
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        status, fields, body = await client.response()
        assert (status, fields["connection"], body) == (200, "close", b"ok")
        await client.close()
        assert worker.process is not None
        async with asyncio.timeout(10):
            assert await worker.process.wait() == 0


async def test_clients_in_the_accept_queue_when_the_drain_comes_are_served(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        assert worker.process is not None
        worker.process.send_signal(signal.SIGSTOP)  # so that nothing is accepted before the drain arrives
        clients = [await RawClient.connect(port) for _ in range(20)]
        worker.send(Drain(10.0))
        worker.process.send_signal(signal.SIGCONT)
        for client in clients:
            await client.send(request())
        assert [(await client.response())[0] for client in clients] == [200] * 20
        for client in clients:
            await client.close()


async def test_counters_know_route_cluster_and_code(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}, route(port, "/r")))
        await tally(port, 3, request("/r"))
        await tally(port, 2, request("/none"))
        stats = await worker.stats()
        counted = {(r.route, r.cluster, r.code_class, r.flag): r.count for r in stats.requests}
        assert counted == {("demo/ing/r", "c1", "2xx", "-"): 3, ("", "", "4xx", "NR"): 2}
        (durations,) = [d for d in stats.durations if d.route]
        assert sum(durations.buckets) == 3
        assert durations.response_bytes == 6
        assert [(c.listener, c.accepted) for c in stats.connections] == [(f"http-{port}", 2)]
