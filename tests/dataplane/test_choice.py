"""Fallbacks, priorities, weights of endpoints, hashing and sessions, over real sockets."""

from collections import Counter
from contextlib import AsyncExitStack

import h11
import pytest
from msgspec.structs import replace

from proxy.model.actions import (
    Algorithm,
    Backend,
    Balance,
    Destination,
    Forward,
    HashKey,
    HashSource,
    Share,
    Split,
    SplitMode,
    Sticky,
    StickyMode,
)
from proxy.model.channel import UseSessionKey
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot
from tests.support.origin import Answer, Connection, Origin, header
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot, split
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

BASE, CANARY = "demo/service1:80", "demo/canary:80"
ONE = split({"c1": 1})


def named(name: str, fields: bytes = b"") -> Answer:
    body = name.encode()
    return lambda _connection, _request: (
        b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(body), body)
    )


def routed(port: int, forward: Forward, *services: Service) -> Snapshot:
    return replace(snapshot(port, {}, replace(route(port), action=forward)), services=services)


def pods(*endpoints: Endpoint) -> Service:
    return Service(BASE, (ClusterEndpoints("c1", endpoints),))


async def get(client: RawClient, cookie: str = "") -> tuple[str, str]:
    """Return the body of a 200 and the cookie that it sets."""
    await client.send(request(extra=f"Cookie: {cookie}\r\n" if cookie else ""))
    status, fields, body = await client.final_response()
    return (body.decode() if status == 200 else str(status)), fields.get("set-cookie", "")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_canary_falls_back_to_its_base(worker: WorkerProcess, port: int, method: str) -> None:
    raw = request(method=method)
    async with Origin(named("base")) as base, Origin(named("canary")) as canary:
        forward = Forward((Backend(CANARY, fallbacks=(Destination(BASE),)),), ONE)
        services = service({"c1": [base.address]}), service({"c1": [canary.address]}, CANARY)
        await worker.apply(routed(port, forward, *services))
        assert await tally(port, 10, raw) == {"canary": 10}
        canary.stop()
        assert await tally(port, 10, raw) == {"base": 10}
        worker.change_endpoints(1, service({}, CANARY))
        assert await tally(port, 10, raw) == {"base": 10}


async def test_the_part_of_a_backend_that_died_goes_to_the_others(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("base")) as base, Origin(named("canary")) as canary:
        forward = Forward((Backend(BASE, 80), Backend(CANARY, 20)), ONE)
        services = service({"c1": [base.address]}), service({"c1": [canary.address]}, CANARY)
        await worker.apply(routed(port, forward, *services))
        assert await tally(port, 100) == {"base": 80, "canary": 20}
        canary.stop()
        assert await tally(port, 100) == {"base": 100}


async def test_a_later_priority_serves_when_nothing_earlier_can(worker: WorkerProcess, port: int) -> None:
    shares = (Share("c1"), Share("c2", priority=1), Share("c3", priority=1), Share("c4", priority=2))
    async with AsyncExitStack() as stack:
        clusters = {}
        origins = {}
        for cluster in ("c1", "c2", "c3", "c4"):
            origins[cluster] = await stack.enter_async_context(Origin(named(cluster)))
            clusters[cluster] = [origins[cluster].address]
        forward = Forward((Backend(BASE),), Split(SplitMode.ENDPOINTS, shares))
        await worker.apply(routed(port, forward, service(clusters)))
        assert await tally(port, 20) == {"c1": 20}
        origins["c1"].stop()
        assert await tally(port, 1) == {"c2": 1}
        assert await tally(port, 20) == {"c2": 10, "c3": 10}
        worker.change_endpoints(1, service({"c4": clusters["c4"]}))
        assert await tally(port, 20) == {"c4": 20}


@pytest.mark.parametrize("algorithm", [Algorithm.LEAST_REQUEST, Algorithm.ROUND_ROBIN])
async def test_weights_of_endpoints_are_exact(worker: WorkerProcess, port: int, algorithm: Algorithm) -> None:
    async with Origin(named("a")) as a, Origin(named("b")) as b, Origin(named("none")) as none:
        weights = (
            Endpoint(*a.address, weight=10),
            Endpoint(*b.address, weight=40),
            Endpoint(*none.address, weight=0),
        )
        forward = Forward((Backend(BASE),), ONE, Balance(algorithm))
        await worker.apply(routed(port, forward, pods(*weights)))
        assert await tally(port, 100) == {"a": 20, "b": 80}


async def test_one_of_five_endpoints_leaves_and_only_its_keys_move(worker: WorkerProcess, port: int) -> None:
    by_user = Balance(Algorithm.HASH, HashKey(HashSource.HEADER, "x-user"))

    async def users() -> dict[int, str]:
        client = await RawClient.connect(port)
        found = {}
        for user in range(200):
            await client.send(request(extra=f"X-User: u{user}\r\n"))
            status, _, body = await client.final_response()
            assert status == 200
            found[user] = body.decode()
        await client.close()
        return found

    async with AsyncExitStack() as stack:
        five = [await stack.enter_async_context(Origin(named(str(number)))) for number in range(5)]
        clusters = {"c1": [o.address for o in five[:3]], "c2": [o.address for o in five[3:]]}
        await worker.apply(routed(port, Forward((Backend(BASE),), split(), by_user), service(clusters)))
        before = await users()
        assert await users() == before
        assert len(Counter(before.values())) == 5
        five[0].stop()  # its users are served by their next while it refuses, and when it is gone
        dead = await users()
        assert {user for user in before if dead[user] != before[user]} == {
            user for user in before if before[user] == "0"
        }
        worker.change_endpoints(1, service({**clusters, "c1": clusters["c1"][1:]}))
        assert await users() == dead


async def test_a_session_survives_churn_and_moves_when_its_endpoint_dies(
    worker: WorkerProcess, port: int
) -> None:
    forward = Forward((Backend(BASE),), split(), Balance(sticky=Sticky("SRV")))
    async with AsyncExitStack() as stack:
        names = ("a", "b", "c", "d", "new")
        origins = {name: await stack.enter_async_context(Origin(named(name))) for name in names}
        address = {name: origin.address for name, origin in origins.items()}
        await worker.apply(
            routed(
                port,
                forward,
                service({"c1": [address["a"], address["b"]], "c2": [address["c"], address["d"]]}),
            )
        )
        client = await RawClient.connect(port)
        home, line = await get(client)
        cookie = line.partition(";")[0]
        assert line == f"{cookie}; Path=/; HttpOnly"
        assert {await get(client, cookie) for _ in range(10)} == {(home, "")}
        others = [address[name] for name in names if name != home]
        for version in range(4):  # others come and go
            churned = service({"c1": [address[home]], "c2": others[version:]})
            if home in "cd":
                churned = service({"c1": others[version:], "c2": [address[home]]})
            worker.change_endpoints(1, churned)
            assert {await get(client, cookie) for _ in range(5)} == {(home, "")}
        origins[home].stop()
        moved, line = await get(client, cookie)
        assert moved in set(names) - {home}
        following = line.partition(";")[0]
        assert following not in ("", cookie)
        assert {await get(client, following) for _ in range(10)} == {(moved, "")}
        await client.close()


async def test_sessions_are_the_same_in_another_worker(worker: WorkerProcess, port: int) -> None:
    forward = Forward((Backend(BASE),), ONE, Balance(sticky=Sticky("SRV")))
    async with Origin(named("a")) as a, Origin(named("b")) as b:
        config = routed(port, forward, service({"c1": [a.address, b.address]}))
        worker.send(UseSessionKey(b"k" * 32))
        await worker.apply(config)
        client = await RawClient.connect(port)
        home, line = await get(client)
        await client.close()
        await worker.apply(replace(config, version=2, listeners=()))
        async with WorkerProcess() as other:
            other.send(UseSessionKey(b"k" * 32))
            await other.apply(config)
            client = await RawClient.connect(port)
            assert {await get(client, line.partition(";")[0]) for _ in range(6)} == {(home, "")}
            await client.close()


async def test_a_draining_endpoint_keeps_its_sessions(worker: WorkerProcess, port: int) -> None:
    forward = Forward((Backend(BASE),), ONE, Balance(sticky=Sticky("SRV")))
    async with Origin(named("a")) as a, Origin(named("b")) as b:
        await worker.apply(routed(port, forward, pods(Endpoint(*a.address), Endpoint(*b.address))))
        client = await RawClient.connect(port)
        home, line = await get(client)
        origin, other = (a, b) if home == "a" else (b, a)
        worker.change_endpoints(1, pods(Endpoint(*origin.address, draining=True), Endpoint(*other.address)))
        cookie = line.partition(";")[0]
        assert {await get(client, cookie) for _ in range(5)} == {(home, "")}
        assert {(await get(client))[0] for _ in range(5)} == {"b" if home == "a" else "a"}
        await client.close()


async def test_the_cookie_of_the_endpoint_is_rewritten(worker: WorkerProcess, port: int) -> None:
    def login(_connection: Connection, asked: h11.Request) -> bytes:
        fields = b"" if header(asked, b"cookie") else b"Set-Cookie: sid=s1; Path=/\r\n"
        return b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % fields

    rewrite = Balance(sticky=Sticky("sid", StickyMode.REWRITE))
    async with Origin(login) as a, Origin(login) as b:
        forward = Forward((Backend(BASE),), ONE, rewrite)
        await worker.apply(routed(port, forward, service({"c1": [a.address, b.address]})))
        client = await RawClient.connect(port)
        _, line = await get(client)
        assert line.endswith("~s1; Path=/")
        home = a if a.requests else b
        for _ in range(4):
            assert await get(client, "x=y; " + line.partition(";")[0]) == ("ok", "")
        assert [header(asked, b"cookie") for asked, _ in home.requests] == [[], *[[b"x=y; sid=s1"]] * 4]
        await client.close()


async def test_a_session_begins_with_a_tunnel(worker: WorkerProcess, port: int) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with Origin(lambda _connection, _request: switch) as origin:
        forward = Forward((Backend(BASE),), ONE, Balance(sticky=Sticky("SRV")))
        await worker.apply(routed(port, forward, service({"c1": [origin.address]})))
        client = await RawClient.connect(port)
        await client.send(request(extra="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        status, fields, _ = await client.response()
        assert status == 101
        assert fields["set-cookie"].startswith("SRV=")
        await client.close()
