"""Copies of requests: what is copied, and that no client notices."""

import h11
import msgspec
import pytest

from proxy.model.policies import HeaderChange, HeaderOperation, Mirror, Policies
from tests.dataplane.conftest import Connect
from tests.support.origin import Connection, Origin, header
from tests.support.policies import policed, to
from tests.support.requests import request
from tests.support.snapshots import service, split
from tests.support.waiting import until, until_async
from tests.support.worker import WorkerProcess


def mirrored(percent: int = 100) -> Policies:
    return Policies(mirror=Mirror(to(2), split(), percent))


async def outcomes(worker: WorkerProcess) -> dict[str, int]:
    return {m.outcome: m.count for m in (await worker.stats()).mirrors}


async def test_head_and_body_are_copied(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin, Origin() as other:
        policies = Policies(
            mirror=Mirror(to(2), split()),
            request_headers=(HeaderChange(HeaderOperation.SET, "X-Changed", "1"),),
        )
        await worker.apply(policed(port, origin, other, policies=policies))
        client = await connect()
        chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(request("/g?x") + request("/l", "POST", b"body"))
        await client.send(chunked, b"4\r\nbody\r\n", b"0\r\n\r\n")
        assert [(await client.response())[2] for _ in range(3)] == [b"/g?x", b"/l", b"/c"]
        await until(lambda: len(other.requests) == 3)
        for number, (original, copy) in enumerate(zip(origin.requests, sorted(
            other.requests, key=lambda pair: [b"/g?x", b"/l", b"/c"].index(pair[0].target)
        ), strict=True)):  # fmt: skip
            assert copy[1] == original[1] == (b"body" if number else b"")
            *fields, mark = copy[0].headers
            assert fields == list(original[0].headers)
            assert mark[0] == b"x-fleetgate-mirror"
        await until_async(lambda: settled(worker, {"answered": 3}), 10.0, "counted")


async def settled(worker: WorkerProcess, expected: dict[str, int]) -> bool:
    return await outcomes(worker) == expected


async def test_a_part_of_the_requests(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin, Origin() as other:
        await worker.apply(policed(port, origin, other, policies=mirrored(30)))
        client = await connect()
        for _ in range(20):
            await client.send(request())
            await client.response()
        await until_async(lambda: settled(worker, {"answered": 6}), 10.0, "counted")
        assert len(other.requests) == 6


@pytest.mark.parametrize("trouble", ["gone", "closes", "silent", "resets", "garbage"])
async def test_trouble_of_the_mirror_is_its_own(
    worker: WorkerProcess, port: int, connect: Connect, trouble: str
) -> None:
    def answer(connection: Connection, _request: h11.Request) -> bytes | None:
        if trouble == "resets":
            connection.reset()
        return None if trouble == "closes" else b"nonsense\r\n\r\n" if trouble == "garbage" else b""

    async with Origin() as origin, Origin(answer) as other:
        if trouble == "gone":
            other.stop()
        await worker.apply(policed(port, origin, other, policies=mirrored()))
        client = await connect()
        for _ in range(3):
            await client.send(request("/x"))
            assert (await client.response())[::2] == (200, b"/x")
        assert len(origin.requests) == 3
        if trouble != "silent":
            await until_async(lambda: settled(worker, {"failed": 3}), 10.0, "counted")


async def test_a_mirror_without_endpoints(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        await worker.apply(policed(port, origin, policies=mirrored()))
        client = await connect()
        await client.send(request())
        assert (await client.response())[0] == 200
        assert await outcomes(worker) == {"no_endpoint": 1}


async def test_copies_in_flight_are_bounded(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin, Origin(lambda *_: b"") as other:
        await worker.apply(policed(port, origin, other, policies=mirrored()))
        client = await connect()
        for _ in range(150):
            await client.send(request())
            assert (await client.response())[0] == 200
        assert (await outcomes(worker)) == {"busy": 22}


async def test_long_bodies_are_not_copied(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin, Origin() as other:
        await worker.apply(policed(port, origin, other, policies=mirrored()))
        client = await connect()
        for size in (65536, 65537, 1_000_000):
            await client.send(request("/", "POST", b"x" * size))
            assert (await client.response())[0] == 200
        assert [len(body) for _, body in origin.requests] == [65536, 65537, 1_000_000]
        await until_async(lambda: settled(worker, {"answered": 1, "too_large": 2}), 10.0, "counted")
        assert [len(body) for _, body in other.requests] == [65536]


async def test_a_copy_is_not_copied(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin, Origin() as other:
        made = policed(port, origin, other, policies=mirrored(), trusted_proxies=("127.0.0.2",))
        await worker.apply(made)
        client = await connect(source="127.0.0.2")
        await client.send(request(extra="X-Fleetgate-Mirror: 1\r\n"))
        assert (await client.response())[0] == 200
        assert await outcomes(worker) == {}
        assert header(origin.requests[0][0], b"x-fleetgate-mirror") == []


async def test_a_mark_keeps_no_client_out_of_the_mirror(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin, Origin() as other:
        made = policed(port, origin, other, policies=mirrored(), trusted_proxies=("127.0.0.2",))
        await worker.apply(made)
        client, proxy = await connect(), await connect(source="127.0.0.2")
        for number, mark in enumerate(("1", "0123456789abcdef", "yes, 0123456789abcdef"), 1):
            await client.send(request(extra=f"X-Fleetgate-Mirror: {mark}\r\n"))
            assert (await client.response())[0] == 200
            await until_async(lambda: settled(worker, {"answered": number}), 10.0, "copied")  # noqa: B023
        await proxy.send(request(extra="X-Fleetgate-Mirror: 1\r\n"))
        assert (await proxy.response())[0] == 200
        assert len(other.requests) == 3
        assert len(origin.requests) == 4


async def test_a_mirror_that_leads_back_here_is_copied_once(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        made = policed(port, origin, policies=mirrored())
        back = service({"c1": [("127.0.0.1", port)]}, "demo/service2:80")
        await worker.apply(msgspec.structs.replace(made, services=(*made.services, back)))
        client = await connect()
        await client.send(request())
        assert (await client.response())[0] == 200
        await until_async(lambda: settled(worker, {"answered": 1}), 10.0, "copied")
        assert len(origin.requests) == 2
