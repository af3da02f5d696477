"""What bounds repetition: a budget, one deadline, memory, two clusters, and gateways behind each other."""

import asyncio
from collections import Counter
from time import monotonic

import h11
import pytest
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.policies import Policies, Retry
from tests.dataplane.test_failover import failing
from tests.dataplane.test_hedged_connects import TO_C1, timed
from tests.support.inprocess import serving
from tests.support.origin import Answer, Connection, Origin, header, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

NAME = b"x-fleetgate-attempt"
MARKED = request(extra="X-Fleetgate-Attempt: 1\r\n")


def attempts_seen(origin: Origin) -> list[list[bytes]]:
    return [header(got, NAME) for got, _ in origin.requests]


async def test_attempts_are_numbered(worker: WorkerProcess, port: int) -> None:
    async with Origin(lambda _c, _r: failing(503)) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        raw = request(extra="X-Other: X-Fleetgate-Attempt: 1\r\n", method="PUT", body=b"x")
        assert await tally(port, 1, raw) == {"/": 1}
        assert (attempts_seen(bad), attempts_seen(good)) == ([[b"1"]], [[b"2"]])
        assert header(good.requests[0][0], b"x-other") == [b"X-Fleetgate-Attempt: 1"]


async def test_a_repetition_of_a_gateway_in_front_is_not_repeated_here(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(lambda _c, _r: failing(503)) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        assert await tally(port, 1, MARKED) == {"503": 1}
        assert attempts_seen(bad) == [[b"1"]]
        clusters["c1"] = [("127.0.0.1", free_port())]
        await worker.apply(snapshot(port, clusters, route(port, weights=TO_C1), version=2))
        assert await tally(port, 1, MARKED) == {"/": 1}  # nobody has seen it: it is not a repetition


def reset(connection: Connection, _got: h11.Request) -> bytes:
    connection.reset()
    return b""


@pytest.mark.parametrize(
    "answer", [lambda _c, _r: failing(503), lambda _c, _r: None, reset], ids=["503", "closed", "reset"]
)
async def test_two_gateways_ask_a_dead_backend_three_times(
    worker: WorkerProcess, port: int, answer: Answer
) -> None:
    inner = free_port()
    down = [Origin(answer) for _ in range(3)]
    a, b, c = down
    async with WorkerProcess() as behind, a, b, c:
        backends = {"c1": [a.address], "c2": [b.address, c.address]}
        await behind.apply(snapshot(inner, backends, address="0.0.0.0"))
        ways = [("127.0.0.1", inner), ("127.0.0.2", inner)]  # as if there were two of them
        await worker.apply(snapshot(port, {"c1": ways[:1], "c2": ways[1:]}))
        assert (await tally(port, 1)).keys() <= {"502", "503"}
        assert 2 <= sum(len(origin.requests) for origin in down) <= 3


async def test_two_gateways_knock_at_most_three_times_at_a_closed_port(
    worker: WorkerProcess, port: int
) -> None:
    inner = free_port()
    async with WorkerProcess() as behind:
        await behind.apply(snapshot(inner, {"c1": [("127.0.0.1", free_port())]}, address="0.0.0.0"))
        ways = [("127.0.0.1", inner), ("127.0.0.2", inner)]
        await worker.apply(snapshot(port, {"c1": ways[:1], "c2": ways[1:]}))
        assert await tally(port, 1) == {"502": 1}
        (count,) = (await behind.stats()).attempts
        assert (count.reason, count.count <= 3) == ("refused", True)


async def test_the_budget_bounds_what_retries_add(worker: WorkerProcess, port: int) -> None:
    count = 0

    def every_other(connection: Connection, got: h11.Request) -> bytes:
        nonlocal count
        count += 1
        return failing(503) if count % 2 else ok(connection, got)

    requests = 1_000
    async with Origin(every_other) as one, Origin(every_other) as two:
        await worker.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        start = monotonic()
        answers = await tally(port, requests)
        took_s = monotonic() - start
        retries = count - requests
        # Each of the two may have its floor of 100, ten more each second, and a fifth of its requests
        assert retries <= 2 * (100 + 10 * took_s) + requests // 5 + 20
        assert retries >= 150
        assert answers["503"] > 0


async def test_one_deadline_for_all_attempts(worker: WorkerProcess, port: int) -> None:
    def end_later(connection: Connection, _got: h11.Request) -> bytes:
        asyncio.get_running_loop().call_later(1.5, connection.close)
        return b""

    async with Origin(end_later) as one, Origin(lambda _c, _r: b"") as mute:
        plain = snapshot(port, {"c1": [one.address], "c2": [mute.address]}, route(port, weights=TO_C1))
        listener = replace(plain.listeners[0], response_timeout_s=2.0)
        await worker.apply(replace(plain, listeners=(listener,)))
        status, _, elapsed = await timed(port, request())
        assert status == 504
        assert len(mute.requests) == 1
        assert 1.9 < elapsed < 3.2  # each attempt with a time of its own would make 3.5


async def test_bodies_are_kept_within_the_memory_for_them(port: int) -> None:
    raw = request(method="PUT", body=b"x" * 30_000)
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        async with serving(snapshot(port, clusters, route(port, weights=TO_C1))) as plane:
            assert await tally(port, 1, raw) == {"/": 1}
            assert plane.upstream.replay.held == 0
            plane.upstream.replay.most = 20_000
            assert await tally(port, 1, raw) == {"502": 1}
            assert await tally(port, 1) == {"/": 1}
            assert plane.upstream.replay.held == 0
            assert len(good.requests) == 2


@pytest.mark.parametrize("leaves", ["during the body", "after a response has begun"])
async def test_the_memory_is_given_back(port: int, leaves: str) -> None:
    def begin(_connection: Connection, _got: h11.Request) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"

    raw = request(method="PUT", body=b"x" * 30_000)
    async with Origin(begin) as origin, serving(snapshot(port, {"c1": [origin.address]})) as plane:
        client = await RawClient.connect(port)
        await client.send(raw if leaves != "during the body" else raw[:20_000])
        await until(lambda: plane.upstream.replay.held > 0 or origin.answered.is_set())
        client.reset()
        await until(lambda: plane.upstream.replay.held == 0)


async def test_two_clusters_see_a_request_and_no_third(worker: WorkerProcess, port: int) -> None:
    asked: Counter[str] = Counter()

    def origin(name: str) -> Origin:
        def answer(_connection: Connection, _got: h11.Request) -> bytes:
            asked[name] += 1
            return failing(503)

        return Origin(answer)

    async with origin("c1") as a, origin("c2") as b, origin("c2") as c, origin("c3") as d:
        clusters = {"c1": [a.address], "c2": [b.address, c.address], "c3": [d.address]}
        weights = {"c1": 100, "c2": 0, "c3": 0}
        await worker.apply(snapshot(port, clusters, route(port, weights=weights)))
        assert await tally(port, 1) == {"503": 1}
        assert asked == {"c1": 1, "c2": 2}


async def test_an_upgrade_is_not_repeated_whatever_the_route_says(worker: WorkerProcess, port: int) -> None:
    upgrade = request(
        extra="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        policies = Policies(retry=Retry(non_idempotent=True))
        rule = replace(route(port, weights=TO_C1), policies=policies)
        await worker.apply(snapshot(port, clusters, rule))
        assert await tally(port, 1, upgrade) == {"502": 1}
        assert good.requests == []


async def test_a_failed_connect_leaves_more_than_the_time_of_one_try(
    worker: WorkerProcess, port: int
) -> None:
    def slow_once(connection: Connection, got: h11.Request) -> bytes:
        return b"" if len(slow.requests) == 1 else ok(connection, got)

    slow, dead = Origin(slow_once), ("127.0.0.1", free_port())
    async with slow, Origin() as good:
        clusters = {"c1": [dead], "c2": [slow.address], "c3": [good.address]}
        policies = Policies(retry=Retry(try_timeout_s=0.7), response_timeout_s=10.0)
        weights = {"c1": 100, "c2": 0, "c3": 0}
        rule = replace(route(port, weights=weights), policies=policies)
        await worker.apply(snapshot(port, clusters, rule))
        status, _, _ = await timed(port, request())
        assert (status, len(slow.requests)) == (200, 1)
