"""Where a request goes when an attempt has failed, by the scope that its route gives to retries."""

from collections.abc import Callable

import h11
import msgspec
import pytest

from loadtest.ports import free_port
from proxy.model.actions import Balance, HashKey, HashSource, Sticky
from proxy.model.policies import Policies, Retry, RetryScope
from proxy.model.snapshot import Snapshot
from tests.dataplane.conftest import Connect
from tests.support.origin import Connection, Origin, ok
from tests.support.policies import policed
from tests.support.requests import request, tally
from tests.support.snapshots import Address, service, split
from tests.support.worker import WorkerProcess

ANY, HERE, NOWHERE = RetryScope.ANY, RetryScope.SAME_CLUSTER, RetryScope.NONE
BALANCES = (None, Balance(key=HashKey(HashSource.CLIENT)), Balance(sticky=Sticky("s")))


def scoped(
    port: int, clusters: dict[str, list[Address]], scope: RetryScope, balance: Balance | None = None
) -> Snapshot:
    """A route whose requests all go to c1, for which c2 stands by."""
    snapshot = policed(port, policies=Policies(retry=Retry(tries=5, scope=scope)))
    (route,) = snapshot.routes
    action = msgspec.structs.replace(route.action, split=split({"c1": 100, "c2": 0}), balance=balance)
    return msgspec.structs.replace(
        snapshot, routes=(msgspec.structs.replace(route, action=action),), services=(service(clusters),)
    )


def busy(_connection: Connection, _request: h11.Request) -> bytes:
    return b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"


def closing(_connection: Connection, _request: h11.Request) -> None:
    return None


@pytest.mark.parametrize("balance", BALANCES, ids=["turns", "keyed", "sticky"])
@pytest.mark.parametrize("fail", [busy, closing])
@pytest.mark.parametrize(("scope", "here", "there"), [(ANY, 2, 1), (HERE, 2, 0), (NOWHERE, 1, 0)])
async def test_attempts_that_an_endpoint_failed(
    worker: WorkerProcess, port: int, connect: Connect, fail: Callable[..., bytes | None],
    balance: Balance | None, scope: RetryScope, here: int, there: int,
) -> None:  # fmt: skip
    async with Origin(fail) as one, Origin(fail) as two, Origin() as standby:
        clusters = {"c1": [one.address, two.address], "c2": [standby.address]}
        await worker.apply(scoped(port, clusters, scope, balance))
        client = await connect()
        await client.send(request())
        status = (await client.final_response())[0]
        assert status == (200 if there else 503 if fail is busy else 502)
        assert len(one.requests) + len(two.requests) == here
        assert len(standby.requests) == there


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("scope", "expected"), [(ANY, 200), (HERE, 502), (NOWHERE, 502)])
async def test_connects_that_are_refused(
    worker: WorkerProcess, port: int, connect: Connect, scope: RetryScope, expected: int, method: str
) -> None:
    async with Origin() as standby:
        dead = [("127.0.0.1", free_port()), ("127.0.0.1", free_port())]
        await worker.apply(scoped(port, {"c1": dead, "c2": [standby.address]}, scope))
        client = await connect()
        await client.send(request(method=method))
        assert (await client.final_response())[0] == expected
        assert len(standby.requests) == (expected == 200)


async def test_within_a_cluster_every_endpoint_is_tried(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    """The third attempt would otherwise be in the other cluster."""
    async with Origin(busy) as one, Origin(busy) as two, Origin() as three, Origin() as standby:
        clusters = {"c1": [o.address for o in (one, two, three)], "c2": [standby.address]}
        await worker.apply(scoped(port, clusters, HERE))
        client = await connect()
        for _ in range(3):  # each of them is the first once
            await client.send(request())
            assert (await client.final_response())[0] == 200
        assert len(three.requests) == 3
        assert standby.requests == []


async def test_a_cluster_that_cannot_serve_is_healed_whatever_the_scope(
    worker: WorkerProcess, port: int
) -> None:
    for scope in RetryScope:
        async with Origin() as standby:
            await worker.apply(scoped(port, {"c1": [], "c2": [standby.address]}, scope))
            assert await tally(port, 3) == {"/": 3}


@pytest.mark.parametrize(("scope", "expected", "sent"), [(ANY, 200, 3), (HERE, 200, 3), (NOWHERE, 502, 2)])
async def test_a_pooled_connection_that_ends_is_an_attempt_too(
    worker: WorkerProcess, port: int, connect: Connect, scope: RetryScope, expected: int, sent: int
) -> None:
    answered: list[Connection] = []

    def first_only(connection: Connection, got: h11.Request) -> bytes | None:
        answered.append(connection)
        return ok(connection, got) if answered.count(connection) == 1 else None

    async with Origin(first_only) as origin:
        await worker.apply(scoped(port, {"c1": [origin.address]}, scope))
        client = await connect()
        for status in (200, expected):
            await client.send(request())
            assert (await client.final_response())[0] == status
        assert len(origin.requests) == sent
