"""Where every endpoint is unreachable a request is refused at once: it does not wait as probes do."""

import asyncio
import json
import resource
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pytest
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from proxy.model.channel import Ejection, Ejections
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.endpoint import State
from tests.dataplane.test_failover import failing, state_of
from tests.dataplane.test_hedged_connects import TO_C1, timed
from tests.dataplane.test_stalls import Pod
from tests.support.blackhole import black_hole, restore, silence, silence_origin
from tests.support.inprocess import serving
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.snapshots import Address, route, snapshot
from tests.support.waiting import until, until_async
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

SERVICE = "demo/service1:80"
POST = request(method="POST", body=b"order=1")


async def all_silent(worker: WorkerProcess, count: int) -> None:
    async with asyncio.timeout(10):
        while [e.state for e in (await worker.stats()).endpoints] != ["unreachable"] * count:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("raw", [request(), POST])
async def test_requests_are_turned_away_within_milliseconds(
    worker: WorkerProcess, port: int, raw: bytes
) -> None:
    with ExitStack() as holes:
        gone = [holes.enter_context(black_hole()) for _ in range(4)]
        rule = route(port, host="demo.example")
        await worker.apply(snapshot(port, {"c1": gone[:2], "c2": gone[2:]}, rule))
        await asyncio.gather(*[tally(port, 1, raw) for _ in range(8)])
        await all_silent(worker, 4)
        waits, usual = [], []
        for _ in range(50):
            status, _, elapsed = await timed(port, raw)
            assert status == 503
            waits.append(elapsed)
            status, _, elapsed = await timed(port, request(host="other.example"))
            assert status == 404
            usual.append(elapsed)  # no route, no endpoint: what any answer takes on this machine
        assert median(waits) < median(usual) + 0.01


async def test_the_answer_says_when_to_come_back_and_the_log_why(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker:
        with black_hole() as gone:
            await worker.apply(snapshot(port, {"c1": [gone]}))
            await tally(port, 1)
            await all_silent(worker, 1)
            client = await RawClient.connect(port)
            await client.send(request())
            status, fields, _ = await client.final_response()
            await client.close()
            assert (status, fields["retry-after"]) == (503, "1")
            await until(lambda: path.read_bytes().count(b"\n") == 2)
            line = json.loads(path.read_bytes().splitlines()[-1])
            assert (line["status"], line["flag"], line["service"]) == (503, "UH", SERVICE)
            counts = {c.flag: c.count for c in (await worker.stats()).requests if c.service == SERVICE}
            assert counts["UH"] == 1


async def test_back_within_two_seconds_of_the_first_endpoint(port: int) -> None:
    async with Origin() as one, Origin() as two:
        rules = snapshot(port, {"c1": [one.address], "c2": [two.address]})
        async with serving(rules) as plane:
            assert await tally(port, 4) == {"/": 4}
            endpoints = list(plane.upstream.services.endpoints())
            for endpoint in endpoints:
                endpoint.pool.close_idle()
            for origin in (one, two):
                silence_origin(origin)
            await asyncio.gather(*[tally(port, 1) for _ in range(4)])
            await until(lambda: all(e.is_unreachable for e in endpoints))
            for _ in range(10):
                for endpoint in endpoints:
                    endpoint.longer_ejection()  # as after many probes
            await asyncio.sleep(1.5)
            for listening in two.sockets:
                restore(listening)
            back = time.monotonic()
            while (await tally(port, 1)) != {"/": 1}:
                assert time.monotonic() - back < 2.0
                await asyncio.sleep(0.01)
            assert [e.state for e in endpoints] == [State.EJECTED, State.HEALTHY]


async def test_requests_that_are_turned_away_leave_nothing_behind(worker: WorkerProcess, port: int) -> None:
    with black_hole() as gone:
        await worker.apply(snapshot(port, {"c1": [gone]}))
        await tally(port, 1)
        await all_silent(worker, 1)
        assert worker.process is not None
        status = Path(f"/proc/{worker.process.pid}/statm")
        await tally(port, 2_000)
        before = int(status.read_text().split()[1])
        await tally(port, 10_000)
        grown = (int(status.read_text().split()[1]) - before) * resource.getpagesize()
        assert grown < 1 << 20
        (endpoint,) = (await worker.stats()).endpoints
        assert (endpoint.in_flight, endpoint.state) == (0, "unreachable")


async def test_one_connect_without_an_answer_is_no_reason(worker: WorkerProcess, port: int) -> None:
    """The only endpoint did not answer once: the next request still tries it, and is served if it is back."""
    async with Origin() as alone:
        for listening in alone.sockets:
            silence(listening)
        await worker.apply(snapshot(port, {"c1": [alone.address]}))
        assert await tally(port, 1) == {"502": 1}
        for listening in alone.sockets:
            restore(listening)
        assert await tally(port, 1) == {"/": 1}


async def is_asked(worker: WorkerProcess) -> bool:
    return [endpoint.in_flight for endpoint in (await worker.stats()).endpoints] == [1]


@pytest.mark.parametrize("raw", [request(), request(method="POST", body=b"order=1")])
async def test_one_lost_connect_to_the_only_endpoint_costs_no_answer(
    worker: WorkerProcess, port: int, raw: bytes
) -> None:
    async with Origin() as alone:
        for listening in alone.sockets:
            silence(listening)
        await worker.apply(snapshot(port, {"c1": [alone.address]}))
        asked = asyncio.create_task(tally(port, 1, raw))
        await until_async(lambda: is_asked(worker), 1.0, "a connect")
        for listening in alone.sockets:
            restore(listening)
        assert await asked == {"/": 1}  # the kernel sends its SYN again, after a second
        assert len(alone.requests) == 1


async def test_endpoints_that_all_refuse_are_still_asked(worker: WorkerProcess, port: int) -> None:
    dead = [("127.0.0.1", free_port()), ("127.0.0.1", free_port())]
    await worker.apply(snapshot(port, {"c1": dead[:1], "c2": dead[1:]}))
    for _ in range(3):
        assert await tally(port, 4) == {"502": 4}
        await state_of(worker, dead[0][1], "ejected")
    async with Origin(port=dead[0][1]) as back:
        assert await tally(port, 1) == {"/": 1}  # before any probe has found it
        assert len(back.requests) == 1


async def test_the_only_endpoint_is_still_asked_when_it_answers_badly(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(lambda _c, _r: failing(503)) as bad:
        await worker.apply(snapshot(port, {"c1": [bad.address]}))
        assert await tally(port, 10) == {"503": 10}
        await state_of(worker, bad.port, "ejected")
        bad.forget()
        assert await tally(port, 10) == {"503": 10}
        assert len(bad.requests) == 10


async def test_pods_that_wait_for_their_database_are_not_silent(worker: WorkerProcess, port: int) -> None:
    """Every pod waits for its database: connects are answered, requests wait, and are answered in the end."""
    async with Pod() as one, Pod() as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        assert (await tally(port, 40)).total() == 40
        one.is_stopped = two.is_stopped = True
        waiting = [asyncio.create_task(tally(port, 1)) for _ in range(6)]
        await asyncio.sleep(1.5)
        waiting += [asyncio.create_task(tally(port, 1)) for _ in range(6)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in waiting)
        for pod in (one, two):
            pod.go_on()
        answers = [await task for task in waiting]
        assert all("503" not in each and "502" not in each for each in answers)


async def test_a_silent_cluster_is_no_reason_to_go_where_the_ingress_forbids(
    worker: WorkerProcess, port: int
) -> None:
    with black_hole() as gone:
        async with Origin() as outside:
            clusters = {"c1": [gone], "c2": [outside.address]}
            await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100})))
            await tally(port, 1)
            async with asyncio.timeout(10):
                while not any(e.state == "unreachable" for e in (await worker.stats()).endpoints):
                    await asyncio.sleep(0.02)
            assert await tally(port, 5) == {"503": 5}
            assert outside.connections == []


async def test_a_refusing_endpoint_is_asked_rather_than_a_silent_one(
    worker: WorkerProcess, port: int
) -> None:
    dead = ("127.0.0.1", free_port())
    with black_hole() as gone:
        await worker.apply(snapshot(port, {"c1": [gone], "c2": [dead]}, route(port, weights=TO_C1)))
        await tally(port, 1)
        async with asyncio.timeout(10):
            while {e.state for e in (await worker.stats()).endpoints} != {"unreachable", "ejected"}:
                await asyncio.sleep(0.02)
        status, _, elapsed = await timed(port, request())
        assert status == 502
        assert elapsed < 0.2


async def test_a_service_that_is_silent_leaves_its_part_to_the_other_backend(
    worker: WorkerProcess, port: int
) -> None:
    with black_hole() as gone:
        async with Origin() as other:
            split = Split(SplitMode.ENDPOINTS, (Share("c1"),))
            action = Forward((Backend(SERVICE, 50), Backend("demo/other:80", 50)), split)
            plain = snapshot(port, {"c1": [gone]}, replace(route(port), action=action))
            beside = Service("demo/other:80", (ClusterEndpoints("c1", (Endpoint(*other.address),)),))
            await worker.apply(replace(plain, services=(*plain.services, beside)))
            assert await tally(port, 4) == {"/": 4}
            await state_of(worker, gone[1], "unreachable")
            assert await tally(port, 20) == {"/": 20}


async def test_another_worker_is_believed_and_checked_at_once(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one:
        await worker.apply(snapshot(port, {"c1": [one.address]}))
        worker.send(Ejections((Ejection(SERVICE, "c1", *one.address, False, True),)))
        started = time.monotonic()
        await state_of(worker, one.port, "healthy")
        assert time.monotonic() - started < 0.4  # an ejection is half a second
    with black_hole() as gone:
        await worker.apply(snapshot(port, {"c1": [gone]}, version=2))
        worker.send(Ejections((told(gone),)))
        await state_of(worker, gone[1], "unreachable")
        assert await tally(port, 3) == {"503": 3}


async def test_other_workers_are_told(worker: WorkerProcess, port: int) -> None:
    with black_hole() as gone:
        await worker.apply(snapshot(port, {"c1": [gone]}))
        await tally(port, 1)
        assert await worker.message() == Ejections((replace(told(gone), unreachable=False),))
        assert await worker.message() == Ejections((told(gone),))


def told(address: Address) -> Ejection:
    return Ejection(SERVICE, "c1", *address, False, True)
