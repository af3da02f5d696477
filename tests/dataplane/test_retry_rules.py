"""Retries, timeouts and error pages where a route says them otherwise."""

import asyncio
import time

import h11
import msgspec
import pytest

from proxy.model.policies import ErrorFallback, Policies, Retry
from proxy.model.snapshot import Snapshot
from tests.dataplane.conftest import Connect
from tests.support.origin import Connection, Origin, header
from tests.support.policies import policed, to
from tests.support.requests import request
from tests.support.snapshots import Address, service, split
from tests.support.worker import WorkerProcess


def statuses(*answers: int) -> Origin:
    """Answers with these, one after the other; then with 200."""
    left = list(answers)

    def answer(_connection: Connection, _request: h11.Request) -> bytes:
        status = left.pop(0) if left else 200
        return b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\n%d" % (status, status)

    return Origin(answer)


def retry(**rules: object) -> Policies:
    return Policies(retry=Retry(**rules))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policies", "method", "answers", "expected"),
    [
        (retry(), "GET", (503,), 200),
        (retry(tries=1), "GET", (503,), 503),
        (retry(statuses=(500,)), "GET", (500,), 200),
        (retry(statuses=(500,)), "GET", (503,), 503),
        (retry(statuses=()), "GET", (503,), 503),
        (retry(), "POST", (503,), 503),
        (retry(non_idempotent=True), "POST", (503,), 200),
        (retry(tries=2), "GET", (503, 503), 503),
        (retry(tries=5), "GET", (503, 503, 503), 200),
    ],
)
async def test_statuses(
    worker: WorkerProcess, port: int, connect: Connect, policies: Policies, method: str,
    answers: tuple[int, ...], expected: int,
) -> None:  # fmt: skip
    # Endpoints that are alike: an attempt goes to each of them once
    left = list(answers)

    def answer(_connection: Connection, _request: h11.Request) -> bytes:
        status = left.pop(0) if left else 200
        return b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\n%d" % (status, status)

    async with Origin(answer) as a, Origin(answer) as b, Origin(answer) as c, Origin(answer) as d:
        snapshot = policed(port, a, policies=policies)
        snapshot = replace_service(snapshot, [o.address for o in (a, b, c, d)])
        await worker.apply(snapshot)
        client = await connect()
        await client.send(request("/", method, b"x" if method == "POST" else b""))
        assert (await client.response())[0] == expected
        sent = [body for o in (a, b, c, d) for _, body in o.requests]
        assert len(sent) == min(len(answers) + 1, len(answers) if expected != 200 else 9)
        assert set(sent) == {b"x" if method == "POST" else b""}


def replace_service(snapshot: Snapshot, addresses: list[Address]) -> Snapshot:
    return msgspec.structs.replace(snapshot, services=(service({"c1": addresses}),))


async def test_one_try_is_one_try_even_of_a_connect(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as gone, Origin() as alive:
        gone.stop()
        for tries, expected in ((1, {200, 502}), (2, {200})):
            snapshot = policed(port, alive, policies=retry(tries=tries), version=tries)
            await worker.apply(replace_service(snapshot, [gone.address]))
            await worker.apply(replace_service(snapshot, [gone.address, alive.address]))
            client = await connect()
            seen = set()
            for _ in range(2):
                await client.send(request())
                seen.add((await client.response())[0])
            assert seen <= expected


async def test_each_try_has_a_timeout_of_its_own(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin(lambda *_: b"") as slow, Origin() as quick:
        policies = Policies(retry=Retry(try_timeout_s=0.3), response_timeout_s=5.0)
        await worker.apply(replace_service(policed(port, policies=policies), [slow.address, quick.address]))
        client = await connect()
        for _ in range(2):  # one of them begins with the slow one
            await client.send(request())
            assert (await client.response())[0] == 200
        assert len(slow.requests) == 1


async def test_tries_end_with_the_whole_time(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin(lambda *_: b"") as a, Origin(lambda *_: b"") as b:
        policies = Policies(retry=Retry(tries=9, try_timeout_s=2.0), response_timeout_s=3.0)
        await worker.apply(replace_service(policed(port, policies=policies), [a.address, b.address]))
        client = await connect()
        start = time.monotonic()
        await client.send(request())
        assert (await client.response())[0] == 504
        assert time.monotonic() - start < 3.9  # two whole tries would take 4
        assert len(a.requests) + len(b.requests) == 2


@pytest.mark.parametrize(("timeout_s", "expected"), [(0.3, 504), (0.0, 200), (None, 504)])
async def test_the_timeout_of_a_route(
    worker: WorkerProcess, port: int, connect: Connect, timeout_s: float | None, expected: int
) -> None:
    def later(connection: Connection, _request: h11.Request) -> bytes:
        transport = connection.transport
        assert transport is not None
        loop = asyncio.get_running_loop()
        loop.call_later(1.5, transport.write, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return b""

    async with Origin(later) as origin:
        policies = Policies(response_timeout_s=timeout_s)
        await worker.apply(policed(port, origin, policies=policies, response_timeout_s=0.5))
        client = await connect()
        await client.send(request())
        assert (await client.response())[0] == expected


def page(_connection: Connection, got: h11.Request) -> bytes:
    body = b"" if got.method == b"HEAD" else b"sorry"
    return b"HTTP/1.1 200 OK\r\nX-Page: 1\r\nContent-Length: 5\r\n\r\n" + body


@pytest.mark.parametrize("length", [3, 300_000])
async def test_an_error_page(worker: WorkerProcess, port: int, connect: Connect, length: int) -> None:
    def fail(_connection: Connection, _request: h11.Request) -> bytes:
        return b"HTTP/1.1 404 No\r\nContent-Length: %d\r\n\r\n%b" % (length, b"x" * length)

    async with Origin(fail) as origin, Origin(page) as pages:
        errors = ErrorFallback((404, 503), to(2)[0], split())
        await worker.apply(policed(port, origin, pages, policies=Policies(errors=errors)))
        client = await connect()
        await client.send(request("/a?b", "POST", b"body", extra="Accept: text/html\r\nX-A: 1\r\n"))
        status, fields, body = await client.response()
        assert (status, fields["x-page"], body) == (200, "1", b"sorry")
        got, sent = pages.requests[0]
        assert (got.method, got.target, sent) == (b"GET", b"/", b"")
        assert [header(got, name) for name in (
            b"host", b"x-code", b"x-original-uri", b"x-format", b"x-a", b"content-length",
        )] == [[b"demo.example"], [b"404"], [b"/a?b"], [b"text/html"], [b"1"], []]  # fmt: skip
        await client.send(request(method="HEAD"))
        assert (await client.response(head=True))[1]["x-page"] == "1"
        assert pages.requests[1][0].method == b"HEAD"


async def test_an_error_page_is_asked_for_once(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with statuses(404) as origin, statuses(503, 503) as pages:
        errors = ErrorFallback((404, 503), to(2)[0], split())
        await worker.apply(policed(port, origin, pages, policies=Policies(errors=errors)))
        client = await connect()
        await client.send(request())
        assert (await client.response())[::2] == (503, b"503")
        assert len(pages.requests) == 1


async def test_without_an_error_page_the_answer_is_passed_on(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with statuses(404) as origin:
        errors = ErrorFallback((404,), to(2)[0], split())
        await worker.apply(policed(port, origin, policies=Policies(errors=errors)))
        client = await connect()
        await client.send(request())
        assert (await client.response())[::2] == (404, b"404")
