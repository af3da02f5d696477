"""The size of a request body is limited by its route where the route says so, else by the gateway."""

import pytest
from msgspec.structs import replace

from proxy.downstream.h1 import connection as downstream
from proxy.model.limits import Limits
from proxy.model.policies import Policies
from proxy.model.snapshot import Snapshot
from tests.support.inprocess import serving
from tests.support.origin import Origin
from tests.support.snapshots import route, snapshot
from tests.support.wire import RawClient

LENGTH = "Content-Length: %d"
CHUNKED = "Transfer-Encoding: chunked"


def bounded(port: int, origin: Origin, *, gateway: int, **of_routes: int) -> Snapshot:
    """A gateway's limit, and one for the path of each name."""
    plain = snapshot(port, {"c1": [origin.address]})
    routes = [route(port)]
    for name, most in of_routes.items():
        routes.append(replace(route(port, f"/{name}", name=name), policies=Policies(max_body_bytes=most)))
    limits = Limits(max_body_bytes=gateway, request_timeout_s=300.0)
    return replace(plain, routes=tuple(routes), limits=limits)


async def post(client: RawClient, path: str, size: int, *, chunked: bool) -> int:
    """Send a body, in one chunk or announced, and return the status of the answer."""
    framing = CHUNKED if chunked else LENGTH % size
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size) if chunked else b"x" * size
    await client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode(), body)
    return (await client.response())[0]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/small", 5, 200),
        ("/small", 6, 413),
        ("/large", 200, 200),
        ("/large", 201, 413),
        ("/any", 100_000, 200),
        ("/other", 100, 200),
        ("/other", 101, 413),
    ],
)
async def test_a_route_says_how_large_bodies_may_be(
    port: int, path: str, size: int, status: int, chunked: bool
) -> None:
    async with Origin() as origin, serving(bounded(port, origin, gateway=100, small=5, large=200, any=0)):
        client = await RawClient.connect(port)
        assert await post(client, path, size, chunked=chunked) == status
        await client.close()


async def test_a_limit_ends_with_its_request(port: int) -> None:
    async with Origin() as origin, serving(bounded(port, origin, gateway=100, small=5, any=0)):
        client = await RawClient.connect(port)
        for path, size in (("/any", 1000), ("/small", 5), ("/other", 100), ("/any", 101)):
            assert await post(client, path, size, chunked=True) == 200
            assert await post(client, path, size, chunked=False) == 200
        await client.close()


async def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(port: int) -> None:
    async with Origin() as origin, serving(bounded(port, origin, gateway=0, small=5)):
        client = await RawClient.connect(port)
        head = "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n"
        await client.send(head.encode())
        status, _, body = await client.response()
        assert status == 413
        assert b"larger than 5 bytes" in body
        assert origin.requests == []
        await client.close()


async def test_chunks_are_passed_on_until_they_are_too_many(port: int) -> None:
    async with Origin() as origin, serving(bounded(port, origin, gateway=0, small=5)):
        client = await RawClient.connect(port)
        await client.send(f"POST /small HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n\r\n5\r\nxxxxx\r\n".encode())
        assert await client.silent_for(0.1)
        await client.send(b"1\r\nx\r\n")
        assert (await client.response())[0] == 413
        await client.close()


@pytest.mark.parametrize(("path", "status"), [("/any", 200), ("/large", 200), ("/small", 408), ("/", 408)])
async def test_a_body_that_may_be_large_has_more_time_as_long_as_it_comes_fast_enough(
    port: int, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downstream, "CHECK_S", 0.1)
    pieces = 10 if status == 200 else 100  # the others are answered before they are complete
    async with Origin() as origin:
        plain = bounded(port, origin, gateway=1000, small=500, large=2000, any=0)
        limits = replace(plain.limits, request_timeout_s=0.3, min_body_rate=1)
        async with serving(replace(plain, limits=limits)):
            client = await RawClient.connect(port)
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {pieces}\r\n\r\n"
            await client.send(head.encode())
            for _ in range(pieces):
                await client.send(b"x")
                if not await client.silent_for(0.1):
                    break
            assert (await client.response())[0] == status
            await client.close()
