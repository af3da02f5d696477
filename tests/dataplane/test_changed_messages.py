"""Rewritten requests, changed headers on both sides, what listeners tell of clients."""

import h11
import pytest

from proxy.model.actions import Balance, FixedResponse, Forward, Sticky, StickyMode
from proxy.model.conditions import HeaderCondition
from proxy.model.policies import (
    HeaderChange,
    HeaderOperation,
    Mirror,
    PathRewriteKind,
    Policies,
    ResponseRule,
    Rewrite,
    ValueSource,
)
from proxy.model.snapshot import ForwardedHeaders, PathKind, PathMatch
from tests.dataplane.conftest import Connect
from tests.support.origin import Connection, Origin, header
from tests.support.policies import policed, to
from tests.support.requests import request
from tests.support.snapshots import split
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

SET, ADD, DEFAULT, REMOVE = HeaderOperation


async def test_a_rewritten_request(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        rewrite = Rewrite(host="inner.example", path="/api/${1}", query="${query}&from=${host}")
        path = PathMatch(PathKind.REGEX, "/v1/(.*)")
        await worker.apply(policed(port, origin, policies=Policies(rewrite=rewrite), path=path))
        client = await connect()
        await client.send(request("/v1/a%20b/../c?x=1", "POST", b"body") + request("/v1/"))
        assert [(await client.response())[2] for _ in range(2)] == [
            b"/api/c?x=1&from=demo.example", b"/api/?from=demo.example",
        ]  # fmt: skip
        first, body = origin.requests[0]
        assert (header(first, b"host"), header(first, b"x-forwarded-host"), body) == (
            [b"inner.example"], [b"demo.example"], b"body",
        )  # fmt: skip


async def test_a_prefix_is_replaced(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        rewrite = Rewrite(path="/", path_kind=PathRewriteKind.MATCHED)
        path = PathMatch(PathKind.PREFIX, "/shop")
        await worker.apply(policed(port, origin, policies=Policies(rewrite=rewrite), path=path))
        client = await connect()
        await client.send(request("/shop") + request("/shop/a?b"))
        assert [(await client.response())[2] for _ in range(2)] == [b"/", b"/a?b"]


async def test_a_rewritten_path_above_the_root_is_refused(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        path = PathMatch(PathKind.REGEX, "/(.)x(.)/")
        policies = Policies(rewrite=Rewrite(path="/${1}${2}"))
        await worker.apply(policed(port, origin, policies=policies, path=path))
        client = await connect()
        await client.send(request("/.x./") + request("/axb/"))
        assert [(await client.response())[0] for _ in range(2)] == [400, 200]
        assert [r.target for r, _ in origin.requests] == [b"/ab"]


async def test_request_headers(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        changes = (
            HeaderChange(SET, "X-User", "gateway"),
            HeaderChange(ADD, "X-Many", "2"),
            HeaderChange(DEFAULT, "Accept", "*/*"),
            HeaderChange(REMOVE, "Cookie"),
            HeaderChange(SET, "X-Agent", "user-agent", ValueSource.HEADER),
            HeaderChange(SET, "X-Client", "", ValueSource.CLIENT_ADDRESS),
            HeaderChange(SET, "X-Port", "", ValueSource.LISTENER_PORT),
            HeaderChange(REMOVE, "X-Forwarded-For"),
        )
        await worker.apply(policed(port, origin, policies=Policies(request_headers=changes)))
        client = await connect()
        sent = request(
            extra="Connection: x-user\r\nX-User: me\r\nX-Many: 1\r\nCookie: a=b\r\nUser-Agent: test\r\n"
        )
        for _ in range(4):  # until the block is remembered, and from then on
            await client.send(sent)
            assert (await client.response())[0] == 200
        for got, _ in origin.requests:
            assert [header(got, name) for name in (
                b"x-user", b"x-many", b"accept", b"cookie", b"x-agent", b"x-client", b"x-port",
                b"x-forwarded-for", b"x-forwarded-proto",
            )] == [
                [b"gateway"], [b"1", b"2"], [b"*/*"], [], [b"test"], [b"127.0.0.1"], [b"%d" % port], [],
                [b"http"],
            ]  # fmt: skip


@pytest.mark.parametrize("framing", ["length", "chunked", "long"])
async def test_response_headers(worker: WorkerProcess, port: int, connect: Connect, framing: str) -> None:
    def answer(_connection: Connection, got: h11.Request) -> bytes:
        status = 404 if got.target == b"/missing" else 200
        lines = b"X-Powered-By: magic\r\nX-Kind: a\r\n"
        if framing == "chunked":
            body = b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n"
        else:
            size = 2 if framing == "length" else 400_000
            body = b"Content-Length: %d\r\n\r\n%b" % (size, b"ok" * (size // 2))
        return b"HTTP/1.1 %d X\r\n%b%b" % (status, lines, body)

    async with Origin(answer) as origin:
        kind = HeaderCondition("x-kind", ("a",))
        policies = Policies(
            response_headers=(HeaderChange(REMOVE, "X-Powered-By"), HeaderChange(SET, "X-Via", "fleet")),
            response_rules=(
                ResponseRule((HeaderChange(SET, "X-Rule", "missing"),), (404,)),
                ResponseRule((HeaderChange(ADD, "X-Rule", "kind"),), (200,), (kind,)),
            ),
        )
        await worker.apply(policed(port, origin, policies=policies))
        client = await connect()
        for _ in range(3):
            for path, rule in (("/", "kind"), ("/missing", "missing")):
                await client.send(request(path))
                _, fields, body = await client.response()
                assert (fields["x-via"], fields["x-rule"], fields["x-kind"]) == ("fleet", rule, "a")
                assert "x-powered-by" not in fields
                assert body[:2] == b"ok"
        assert origin.connections[0].transport is not None


async def test_own_answers_have_the_headers_of_their_route(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    policies = Policies(response_headers=(HeaderChange(SET, "Strict-Transport-Security", "max-age=1"),))
    await worker.apply(policed(port, policies=policies, action=FixedResponse(200, "x")))
    client = await connect()
    await client.send(request())
    status, fields, body = await client.response()
    assert (status, fields["strict-transport-security"], body) == (200, "max-age=1", b"x")


async def test_a_listener_forwards_its_port_and_the_clients_only_where_configured(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        await worker.apply(policed(port, origin))
        client = await connect()
        for version, forwarded in enumerate((None, ForwardedHeaders(port=True, client_port=True)), 2):
            if forwarded is not None:  # open connections take it over
                await worker.apply(policed(port, origin, version=version, forwarded=forwarded))
            await client.send(request(extra="X-Forwarded-Port: 1\r\nX-Forwarded-Client-Port: 2\r\n"))
            await client.response()
        first, second = (got for got, _ in origin.requests)
        assert header(first, b"x-forwarded-port") == header(first, b"x-forwarded-client-port") == []
        assert header(second, b"x-forwarded-port") == [b"%d" % port]
        assert header(second, b"x-forwarded-client-port") == [b"%d" % client.port]


async def test_a_rewritten_cookie_is_restored_on_a_route_with_policies(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    def answer(*_: object) -> bytes:
        return b"HTTP/1.1 200 OK\r\nSet-Cookie: SESSION=own\r\nContent-Length: 0\r\n\r\n"

    async with Origin(answer) as origin, Origin() as other:
        policies = Policies(request_headers=(HeaderChange(SET, "X-A", "1"),), mirror=Mirror(to(2), split()))
        balance = Balance(sticky=Sticky("SESSION", StickyMode.REWRITE))
        action = Forward(to(1), split(), balance)
        await worker.apply(policed(port, origin, other, policies=policies, action=action))
        client = await connect()
        await client.send(request())
        cookie = (await client.response())[1]["set-cookie"]
        assert cookie != "SESSION=own"
        for _ in range(4):
            await client.send(request(extra=f"Cookie: a=b; {cookie}\r\n"))
            assert (await client.response())[0] == 200
        await until(lambda: len(other.requests) == 5)
        for got, _ in (*origin.requests[1:], *other.requests[1:]):
            assert header(got, b"x-a") == [b"1"]
            assert header(got, b"cookie") in ([b"a=b; SESSION=own"], [])
        assert len([got for got, _ in other.requests if header(got, b"cookie")]) == 4
