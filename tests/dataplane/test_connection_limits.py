"""Client connections are counted per worker and per source; one too many is told so and closed."""

import msgspec
import pytest

from proxy.downstream.guards.admission import MAX_LINGERING, Admission, address_group
from proxy.model.limits import Limits
from proxy.model.snapshot import Listener, Snapshot
from tests.dataplane.conftest import Connect
from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot, source
from tests.support.waiting import until_async
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess


def limited(plain: Snapshot, **values: int) -> Snapshot:
    return msgspec.structs.replace(plain, limits=Limits(**values))


async def shed(worker: WorkerProcess) -> dict[str, int]:
    return {count.cause: count.count for count in (await worker.stats()).shed}


async def active(worker: WorkerProcess) -> int:
    return sum(count.active for count in (await worker.stats()).connections)


async def works(client: RawClient) -> bool:
    await client.send(request())
    return (await client.final_response())[0] == 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"192.0.2.1", b"192.0.2.1", True),
        (b"192.0.2.1", b"192.0.2.2", False),
        (b"2001:db8:0:1::1", b"2001:db8:0:1:ffff::2", True),
        (b"2001:db8:0:1::1", b"2001:db8:0:2::1", False),
        (b"fe80::1%eth0", b"fe80::2%eth1", True),
    ],
)
def test_an_address_stands_for_what_its_host_can_choose_from(one: bytes, other: bytes, same: bool) -> None:
    assert (address_group(one) == address_group(other)) is same


def test_counts_leave_nothing_behind() -> None:
    admission = Admission()
    admission.limits = Limits(max_connections_per_address=2)
    for _ in range(3):
        groups = [admission.group(address) for address in (b"192.0.2.1", b"2001:db8::1")] * 2
        for group in groups:
            admission.enter()
            assert admission.refusal(group) == ""
            admission.admit(group)
        assert [admission.refusal(group) for group in groups[:2]] == ["address", "address"]
        for group in groups:
            admission.leave(group, was_admitted=True)
        assert (admission.open, admission.admitted) == (0, 0)
    assert not admission._by_address


async def test_one_connection_too_many_is_told_and_closed(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        await worker.apply(limited(snapshot(port, {"c1": [origin.address]}), max_connections=3))
        clients = [await connect() for _ in range(3)]
        assert all([await works(client) for client in clients])
        late = await connect()
        await late.send(request("/late"))
        status, fields, _ = await late.response()
        assert (status, fields["retry-after"], fields["connection"]) == (503, "1", "close")
        assert await late.until_closed() == b""
        assert b"/late" not in origin.received
        assert all([await works(client) for client in clients])
        assert await shed(worker) == {"worker": 1}
        await clients.pop().close()
        await until_async(lambda: below(worker, 3), 5, "a connection less")
        again = await connect()
        assert await works(again)


async def below(worker: WorkerProcess, count: int) -> bool:
    return await active(worker) < count


async def test_each_source_address_has_its_own_share(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        await worker.apply(limited(plain, max_connections_per_address=2))
        clients = [await connect(source="127.0.0.2") for _ in range(3)]
        assert (await clients[2].response())[0] == 503
        others = [await connect(source="127.0.0.3") for _ in range(2)]
        assert all([await works(client) for client in (*clients[:2], *others)])
        assert await shed(worker) == {"address": 1}


async def test_a_limit_that_changes_holds_for_clients_that_come_next(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        await worker.apply(plain)
        clients = [await connect() for _ in range(4)]
        assert all([await works(client) for client in clients])
        await worker.apply(limited(msgspec.structs.replace(plain, version=2), max_connections=2))
        assert (await (await connect()).response())[0] == 503
        assert all([await works(client) for client in clients])


async def test_refused_clients_hold_little_and_not_for_long(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        await worker.apply(limited(snapshot(port, {"c1": [origin.address]}), max_connections=1))
        first = await connect()
        assert await works(first)
        crowd = [await connect() for _ in range(MAX_LINGERING + 50)]
        await until_async(lambda: counted(worker, len(crowd)), 10, "all of them refused")
        assert await active(worker) <= MAX_LINGERING + 2
        assert await works(first)
        await until_async(lambda: below(worker, 2), 10, "those that stay are cut")
        assert await works(first)


async def counted(worker: WorkerProcess, count: int) -> bool:
    return (await shed(worker)).get("worker", 0) == count


async def test_ipv6_clients_are_counted_by_64(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        plain = msgspec.structs.replace(
            snapshot(port, {"c1": [origin.address]}), listeners=(Listener(port, source(), address="::1"),)
        )
        await worker.apply(limited(plain, max_connections_per_address=1))
        clients = [await connect("::1") for _ in range(2)]
        assert await works(clients[0])
        assert (await clients[1].response())[0] == 503
