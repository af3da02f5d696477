"""Every way an endpoint can fail a request, and what the client sees of it."""

import asyncio
import socket

import h11
import pytest
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from tests.support.origin import Connection, Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

POST = request(method="POST", body=b"order=1")


def failing(status: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: 1\r\n\r\nx" % status


async def state_of(worker: WorkerProcess, port: int, wanted: str) -> None:
    """Wait until the worker reports the endpoint on `port` in a state."""
    wanted_or_more = {wanted, "unreachable"} if wanted == "ejected" else {wanted}  # first ejected
    async with asyncio.timeout(10):
        while True:
            stats = await worker.stats()
            if any(e.port == port and e.state in wanted_or_more for e in stats.endpoints):
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("raw", [request(), POST])
async def test_refused_connections_are_retried_in_the_other_cluster(
    worker: WorkerProcess, port: int, raw: bytes
) -> None:
    dead = [("127.0.0.1", free_port()), ("127.0.0.1", free_port())]
    async with Origin() as alive:
        clusters = {"c1": dead, "c2": [alive.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 80, "c2": 20})))
        assert await tally(port, 50, raw) == {"/": 50}
        await state_of(worker, dead[0][1], "ejected")


async def test_a_dead_endpoint_is_left_alone_until_it_is_back(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        await tally(port, 10)
        one.stop()
        assert await tally(port, 20) == {"/": 20}
        await state_of(worker, one.port, "ejected")
        await one.start()
        await state_of(worker, one.port, "healthy")
        one.requests.clear()
        assert await tally(port, 20) == {"/": 20}
        assert len(one.requests) == 10


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize(("raw", "expected"), [(request(), "/"), (POST, "502")])
async def test_after_it_was_read_only_an_idempotent_request_is_sent_again(
    worker: WorkerProcess, port: int, raw: bytes, expected: str, how: str
) -> None:
    def end(connection: Connection, _request: h11.Request) -> bytes | None:
        if how == "close":
            return None
        connection.reset()
        return b""

    async with Origin(end) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        assert await tally(port, 1, raw) == {expected: 1}
        assert len(bad.requests) == 1
        assert len(good.requests) == (1 if expected == "/" else 0)


async def test_a_post_that_was_reset_goes_nowhere_else_even_if_its_endpoint_is_gone(
    worker: WorkerProcess, port: int
) -> None:
    """A dying process looks like that, and so does a program that has read everything, and a firewall."""
    listening = socket.create_server(("127.0.0.1", 0))
    async with Origin() as good:
        clusters = {"c1": [listening.getsockname()], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        client = await RawClient.connect(port)
        await client.send(POST)
        accepted, _ = await asyncio.to_thread(listening.accept)
        async with asyncio.timeout(5):
            while not await asyncio.to_thread(accepted.recv, 1, socket.MSG_PEEK):
                await asyncio.sleep(0.01)
        listening.close()
        accepted.close()  # with something unread: an RST
        assert (await client.response())[0] == 502
        await client.send(request())
        assert (await client.response())[2] == b"/"
        assert [body for _, body in good.requests] == [b""]
        await client.close()


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize(("raw", "moved"), [(request(), True), (POST, False)])
async def test_gateway_errors_of_an_endpoint(
    worker: WorkerProcess, port: int, status: int, raw: bytes, moved: bool
) -> None:
    async with Origin(lambda _c, _r: failing(status)) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        assert await tally(port, 1, raw) == {"/" if moved else str(status): 1}


async def test_other_errors_are_answers(worker: WorkerProcess, port: int) -> None:
    async with Origin(lambda _c, _r: failing(500)) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        assert await tally(port, 10) == {"500": 10}
        assert good.requests == []


async def test_when_every_endpoint_says_503_the_last_answer_is_relayed(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(lambda _c, _r: failing(503)) as one, Origin(lambda _c, _r: failing(503)) as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        client = await RawClient.connect(port)
        await client.send(request())
        status, _, body = await client.response()
        assert (status, body) == (503, b"x")
        assert len(one.requests) == len(two.requests) == 1
        await client.close()


async def test_a_closed_pooled_connection_fails_no_post(worker: WorkerProcess, port: int) -> None:
    async with Origin() as only:
        await worker.apply(snapshot(port, {"c1": [only.address]}))
        for _ in range(20):
            assert await tally(port, 1, POST) == {"/": 1}
            for connection in only.connections:
                connection.close()
            assert await tally(port, 1, POST) == {"/": 1}


async def test_put_bodies_are_sent_again_whole(worker: WorkerProcess, port: int) -> None:
    body = bytes(range(256)) * 128  # 32 KiB
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        assert await tally(port, 1, request(method="PUT", body=body)) == {"/": 1}
        assert good.requests[0][1] == body


async def test_a_body_too_large_to_keep_is_not_sent_twice(worker: WorkerProcess, port: int) -> None:
    body = b"x" * 200_000
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        assert await tally(port, 1, request(method="PUT", body=body)) == {"502": 1}
        assert good.requests == []


async def test_all_dead_is_a_prompt_502_and_recovery_needs_no_help(worker: WorkerProcess, port: int) -> None:
    async with Origin() as only:
        await worker.apply(snapshot(port, {"c1": [only.address]}))
        only.stop()
        assert await tally(port, 5) == {"502": 5}
        await only.start()
        await state_of(worker, only.port, "healthy")
        assert await tally(port, 5) == {"/": 5}


async def test_endpoints_removed_under_load_lose_nothing(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        both = {"c1": [one.address], "c2": [two.address]}
        await worker.apply(snapshot(port, both))
        load = asyncio.gather(*(tally(port, 300, request() if i % 2 else POST) for i in range(8)))
        while not load.done():
            worker.change_endpoints(1, service({"c1": [one.address]}))
            await asyncio.sleep(0.005)
            worker.change_endpoints(1, service(both))
            await asyncio.sleep(0.005)
        assert all(answers == {"/": 300} for answers in await load)


async def test_no_endpoint_is_503_and_says_when_to_come_back(worker: WorkerProcess, port: int) -> None:
    await worker.apply(snapshot(port, {}))
    client = await RawClient.connect(port)
    await client.send(request())
    status, fields, body = await client.response()
    assert (status, fields["retry-after"]) == (503, "1")
    assert b"No endpoint is available" in body
    await client.close()


async def test_a_slow_endpoint_is_504(worker: WorkerProcess, port: int) -> None:
    async with Origin(lambda _c, _r: b"") as mute:
        patient = snapshot(port, {"c1": [mute.address]})
        listener = replace(patient.listeners[0], response_timeout_s=0.3)
        await worker.apply(replace(patient, listeners=(listener,)))
        assert await tally(port, 1) == {"504": 1}
        assert await tally(port, 1, POST) == {"504": 1}
        assert len(mute.requests) == 2


async def test_draining_endpoints_serve_when_nothing_else_does(worker: WorkerProcess, port: int) -> None:
    async with Origin() as leaving, Origin() as staying:
        await worker.apply(snapshot(port, {"c1": [leaving.address], "c2": [staying.address]}))
        draining = ClusterEndpoints("c1", (Endpoint(*leaving.address, draining=True),))
        ready = ClusterEndpoints("c2", (Endpoint(*staying.address),))
        worker.change_endpoints(1, Service("demo/service1:80", (draining, ready)))
        assert await tally(port, 20) == {"/": 20}
        assert leaving.requests == []
        worker.change_endpoints(1, Service("demo/service1:80", (draining,)))
        assert await tally(port, 20) == {"/": 20}
        assert len(leaving.requests) == 20


async def test_after_a_relayed_interim_response_there_is_no_other_attempt(
    worker: WorkerProcess, port: int
) -> None:
    def hint_and_die(connection: Connection, _request: h11.Request) -> bytes:
        asyncio.get_running_loop().call_later(0.05, connection.close)
        return b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"

    async with Origin(hint_and_die) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        client = await RawClient.connect(port)
        await client.send(request())
        assert (await client.response())[0] == 103
        assert (await client.response())[0] == 502
        assert good.requests == []
        await client.close()
