"""Requests that come back to their gateway: 508 at the first time, whatever a client or a route says."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from loadtest.ports import free_port
from proxy.http.loops import MAX_HOPS
from proxy.model.policies import HeaderChange, HeaderOperation, Policies
from proxy.model.snapshot import Snapshot
from tests.dataplane.conftest import Connect
from tests.support.origin import Origin, header
from tests.support.policies import policed
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess


@pytest.fixture
async def other_port() -> int:
    return free_port()


def named(found: Snapshot, gateway: str) -> Snapshot:
    return msgspec.structs.replace(found, gateway=gateway)


async def status(client: RawClient, extra: str = "") -> int:
    await client.send(request(extra=extra))
    answer: int = (await client.response())[0]
    return answer


async def test_a_request_that_comes_back_is_answered_508_and_goes_round_once(
    tmp_path: Path, port: int, connect: Connect
) -> None:
    log = tmp_path / "access.log"
    async with WorkerProcess(str(log)) as worker:
        await worker.apply(named(snapshot(port, {"c1": [("127.0.0.1", port)]}), "a1"))
        assert await status(await connect()) == 508
        await until(lambda: log.read_text().count("\n") == 2)
        inner, outer = (json.loads(line) for line in log.read_text().splitlines())
        assert (inner["status"], inner["flag"]) == (508, "LD")
        assert (outer["status"], outer["flag"]) == (508, "-")


async def test_a_chain_of_gateways_passes_and_each_adds_its_name(
    worker: WorkerProcess, port: int, other_port: int, connect: Connect
) -> None:
    async with Origin() as origin, WorkerProcess() as behind:
        await behind.apply(named(snapshot(other_port, {"c1": [origin.address]}), "b2"))
        await worker.apply(named(snapshot(port, {"c1": [("127.0.0.1", other_port)]}), "a1"))
        client = await connect()
        assert await status(client) == 200
        assert await status(client, "CDN-Loop: cloudflare; loops=1\r\nCDN-Loop: other\r\n") == 200
        assert [header(seen, b"cdn-loop") for seen, _ in origin.requests] == [
            [b"fleetgate-a1", b"fleetgate-b2"],
            [b"cloudflare; loops=1", b"other", b"fleetgate-a1", b"fleetgate-b2"],
        ]


async def test_a_loop_over_another_gateway_ends_where_it_began(
    worker: WorkerProcess, port: int, other_port: int, connect: Connect
) -> None:
    async with WorkerProcess() as behind:
        await behind.apply(named(snapshot(other_port, {"c1": [("127.0.0.1", port)]}), "b2"))
        await worker.apply(named(snapshot(port, {"c1": [("127.0.0.1", other_port)]}), "a1"))
        assert await status(await connect()) == 508


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("CDN-Loop: fleetgate-a1\r\n", 508),
        ("cdn-loop: x, FLEETGATE-A1 ; n=1, y\r\n", 508),
        ("CDN-Loop: x\r\nCDN-Loop: fleetgate-a1\r\nConnection: cdn-loop\r\n", 508),
        ("CDN-Loop: fleetgate-a12\r\n", 200),
        ("CDN-Loop: x-fleetgate-a1\r\n", 200),
        ("CDN-Loop: x; by=fleetgate-a1\r\n", 200),
        ("CDN-Loop:\r\n", 200),
        (f"CDN-Loop: {', '.join(['x'] * MAX_HOPS)}\r\n", 200),
        (f"CDN-Loop: {', '.join(['x'] * (MAX_HOPS + 1))}\r\n", 508),
        ("CDN-Loop: x\r\n" * (MAX_HOPS + 1), 508),
    ],
)
async def test_a_client_that_writes_the_mark_gets_less_and_never_more(
    worker: WorkerProcess, port: int, connect: Connect, extra: str, expected: int
) -> None:
    async with Origin() as origin:
        await worker.apply(named(snapshot(port, {"c1": [origin.address]}), "a1"))
        client = await connect()
        for _ in range(3):  # read as new, by its edges, and from memory
            assert await status(client, extra) == expected
        assert await status(client) == 200  # the connection goes on
        for seen, _ in origin.requests:
            assert header(seen, b"cdn-loop")[-1] == b"fleetgate-a1"


async def test_connections_that_are_open_learn_a_new_name(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        await worker.apply(plain)
        client = await connect()
        assert await status(client) == 200
        await worker.apply(named(msgspec.structs.replace(plain, version=plain.version + 1), "c3"))
        assert await status(client) == 200
        marks = [header(seen, b"cdn-loop") for seen, _ in origin.requests]
        assert marks == [[], [b"fleetgate-c3"]]
        assert await status(client, "CDN-Loop: fleetgate-c3\r\n") == 508


async def test_no_route_takes_the_mark_away(port: int, connect: Connect) -> None:
    """Such rules are refused by the translation; a worker that gets one all the same serves nothing by it."""
    change = HeaderChange(HeaderOperation.REMOVE, "CDN-Loop", "")
    async with Origin() as origin, WorkerProcess(complains="CDN-Loop") as worker:
        plain = policed(port, origin, origin, policies=Policies(request_headers=(change,)))
        await worker.apply(named(plain, "a1"))
        assert await status(await connect()) == 500
        assert origin.requests == []


async def test_a_loop_costs_no_more_connections_than_it_has_gateways(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    await worker.apply(named(snapshot(port, {"c1": [("127.0.0.1", port)]}), "a1"))
    clients = [await connect() for _ in range(5)]
    assert await asyncio.gather(*(status(client) for client in clients)) == [508] * 5
    stats = await worker.stats()
    (count,) = stats.connections
    assert count.accepted <= 10
