"""Redirects, fixed responses, refusals and preflights on the wire: no endpoint hears of them."""

import asyncio
import json
from pathlib import Path

from proxy.model.actions import FixedResponse, Redirect
from proxy.model.policies import (
    Access,
    ConcurrencyLimit,
    Cors,
    HeaderChange,
    HeaderOperation,
    LimitScope,
    Policies,
    RateLimit,
)
from proxy.model.snapshot import PathKind, PathMatch
from tests.dataplane.conftest import Connect
from tests.support.origin import Origin
from tests.support.policies import policed
from tests.support.requests import request
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

TURNED_AWAY = FixedResponse(429, "slow down\n")


async def counted(worker: WorkerProcess) -> dict[tuple[str, str, str], int]:
    """Finished requests by route, class and flag."""
    stats = await worker.stats()
    return {(r.route, r.code_class, r.flag): r.count for r in stats.requests}


async def test_a_redirect_keeps_the_connection(worker: WorkerProcess, port: int, connect: Connect) -> None:
    redirect = Redirect(308, protocol="HTTPS", port="443", path="/n/${1}")
    path = PathMatch(PathKind.REGEX, "/old/([a-z]+)")
    await worker.apply(policed(port, action=redirect, path=path))
    client = await connect()
    for method in ("GET", "HEAD", "POST"):
        await client.send(request("/old/thing?a=b", method, b"body" if method == "POST" else b""))
        status, fields, body = await client.response(head=method == "HEAD")
        assert (status, fields["location"], body) == (308, "https://demo.example/n/thing?a=b", b"")
        assert "connection" not in fields
    assert await counted(worker) == {("demo/ing/", "3xx", "LR"): 3}


async def test_a_body_that_is_still_coming_ends_the_connection(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    await worker.apply(policed(port, action=FixedResponse(200, "here")))
    client = await connect()
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
    status, fields, body = await client.response()
    assert (status, fields["connection"], body) == (200, "close", b"here")
    assert await client.until_closed() == b""


async def test_fixed_responses(worker: WorkerProcess, port: int, connect: Connect) -> None:
    await worker.apply(policed(port, action=FixedResponse(503, '{"a":1}', "application/json")))
    client = await connect()
    await client.send(request())
    status, fields, body = await client.response()
    assert (status, fields["content-type"], body) == (503, "application/json", b'{"a":1}')
    await client.send(request(method="HEAD"))
    assert (await client.response(head=True))[1]["content-length"] == "7"
    await worker.apply(policed(port, action=FixedResponse(204), version=2))
    await client.send(request() + request())
    assert [(await client.response())[0] for _ in range(2)] == [204, 204]


async def test_own_answers_are_logged_with_their_route(port: int, connect: Connect, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    async with WorkerProcess(str(log)) as worker:
        await worker.apply(policed(port, action=FixedResponse(200, "x")))
        client = await connect()
        await client.send(request("/a"))
        await client.response()
        await until(lambda: log.exists() and log.read_text().endswith("\n"))
    line = json.loads(log.read_text())
    assert (line["route"], line["flag"], line["path"], line["cluster"]) == ("demo/ing/", "LR", "/a", "")


async def test_a_route_whose_policies_cannot_be_used_does_not_serve(port: int, connect: Connect) -> None:
    async with Origin() as origin, WorkerProcess(complains="name 'Host'") as worker:
        wrong = Policies(request_headers=(HeaderChange(HeaderOperation.SET, "Host", "x"),))
        await worker.apply(policed(port, origin, policies=wrong))
        client = await connect()
        await client.send(request() + request())
        assert [(await client.response())[0] for _ in range(2)] == [500, 500]
        assert not origin.requests


async def test_access_by_route(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        policies = Policies(access=Access(allow=("127.0.0.0/8",), deny=("127.0.0.2",)))
        await worker.apply(policed(port, origin, policies=policies))
        for source, expected in (("127.0.0.1", 200), ("127.0.0.2", 403)):
            client = await connect(source=source)
            await client.send(request())
            assert (await client.response())[0] == expected
        assert len(origin.requests) == 1
        assert (await counted(worker))["demo/ing/", "4xx", "AD"] == 1


async def test_access_by_listener_is_of_the_client_that_a_proxy_reports(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        access = Access(deny=("192.0.2.0/24",))
        await worker.apply(policed(port, origin, access=access, trusted_proxies=("127.0.0.1",)))
        client = await connect()
        for reported, expected in (("192.0.2.1", 403), ("198.51.100.1", 200), ("192.0.2.9", 403)):
            await client.send(request(extra=f"X-Forwarded-For: {reported}\r\n"))
            assert (await client.response())[0] == expected
        await worker.apply(policed(port, origin, version=2, trusted_proxies=("127.0.0.1",)))
        await client.send(request(extra="X-Forwarded-For: 192.0.2.1\r\n"))
        assert (await client.response())[0] == 200


async def test_a_listener_with_a_network_that_is_none_is_refused(worker: WorkerProcess, port: int) -> None:
    answer = await worker.apply(policed(port, access=Access(deny=("nonsense",))))
    assert "nonsense" in getattr(answer, "reason", "")


async def test_rate_limits_outlive_a_snapshot(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        limit = RateLimit(3, TURNED_AWAY, per_s=3600)
        for version in (1, 2):
            # Something else of the route changes
            policies = Policies(rate_limits=(limit,), response_timeout_s=float(version))
            await worker.apply(policed(port, origin, policies=policies, version=version))
            client = await connect()
            await client.send(request() * 2)
            answers = [await client.response() for _ in range(2)]
            assert [status for status, _, _ in answers] == ([200, 200] if version == 1 else [200, 429])
        assert (answers[1][2], int(answers[1][1]["retry-after"]) > 1000) == (b"slow down\n", True)
        assert len(origin.requests) == 3
        assert (await counted(worker))["demo/ing/", "4xx", "RL"] == 1


async def test_a_rate_limit_is_shared_by_the_workers(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        policies = Policies(rate_limits=(RateLimit(4, TURNED_AWAY, per_s=3600),))
        await worker.apply(policed(port, origin, policies=policies, workers=2))
        client = await connect()
        await client.send(request() * 4)
        assert [(await client.response())[0] for _ in range(4)] == [200, 200, 429, 429]


async def test_a_rate_limit_of_each_client(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        refusal = Redirect(302, location="https://busy.example/")
        limit = RateLimit(1, refusal, per_s=3600, scope=LimitScope.CLIENT)
        await worker.apply(policed(port, origin, policies=Policies(rate_limits=(limit,))))
        for source in ("127.0.0.1", "127.0.0.3"):
            client = await connect(source=source)
            await client.send(request() * 2)
            assert (await client.response())[0] == 200
            status, fields, _ = await client.response()
            assert (status, fields["location"]) == (302, "https://busy.example/")


async def test_requests_at_a_time(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin(lambda *_: b"") as origin:
        policies = Policies(concurrency=ConcurrencyLimit(1, FixedResponse(503, "busy")))
        await worker.apply(policed(port, origin, policies=policies))
        first, second = await connect(), await connect()
        await first.send(request("/first"))
        await until(lambda: origin.requests)
        await second.send(request("/second"))
        assert (await second.response())[2] == b"busy"
        first.reset()  # its place becomes free
        await until(lambda: origin.connections[0].lost.is_set())
        origin.answer = lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        for _ in range(3):
            await second.send(request("/second"))
            assert (await second.response())[0] == 200
        assert (await counted(worker))["demo/ing/", "5xx", "CL"] == 1


async def test_preflights_never_reach_the_endpoint(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    def answer(*_: object) -> bytes:
        return (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: https://old.example\r\n"
            b"Vary: Accept\r\n\r\nok"
        )

    async with Origin(answer) as origin:
        cors = Cors(origins=("https://*.example",), methods=("GET", "PUT"), max_age_s=5)
        await worker.apply(policed(port, origin, policies=Policies(cors=cors)))
        client = await connect()
        asks = "Origin: https://a.example\r\n"
        await client.send(request(method="OPTIONS", extra=asks + "Access-Control-Request-Method: PUT\r\n"))
        status, fields, _ = await client.response()
        assert (status, fields["access-control-allow-methods"]) == (204, "GET, PUT")
        assert not origin.requests
        await client.send(request(extra=asks) + request(extra="Origin: https://evil.test\r\n"))
        status, fields, _ = await client.response()
        assert (status, fields["access-control-allow-origin"], fields["vary"]) == (
            200, "https://a.example", "Origin",
        )  # fmt: skip
        assert "access-control-allow-origin" not in (await client.response())[1]
        # A browser reads our own answers, too
        origin.stop()
        await client.send(request(extra=asks))
        status, fields, _ = await client.response()
        assert (status, fields["access-control-allow-origin"]) == (502, "https://a.example")
        await asyncio.sleep(0)
