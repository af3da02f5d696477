"""Requests and connections that wait too long are refused; full load and bursts are no overload."""

import asyncio
import socket
import time
from typing import cast

import msgspec
import pytest
import pytest_asyncio

from proxy.dataplane import DataPlane
from proxy.downstream.guards import overload
from proxy.downstream.guards.accept_queue import MIN_LENGTH, AcceptQueue, refuse
from proxy.downstream.guards.admission import OVERLOAD, Admission
from proxy.downstream.guards.listeners import GuardedListeners
from proxy.downstream.guards.overload import AT_ONCE, STEP_S, OverloadGuard
from proxy.downstream.guards.sojourn import CALM_TICKS, LATE_TICKS, Sojourn, waited_s
from proxy.downstream.h1.unread import ends_with_head
from proxy.model.limits import Limits
from proxy.timers import TICK_S
from tests.dataplane.conftest import Connect
from tests.dataplane.test_connection_limits import shed, works
from tests.support.inprocess import serving
from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

LIMIT_S = 0.05
LONG_S = 0.15  # several times the limit: the kernel's clock has steps of 4 ms


def judged(*waits: float) -> list[bool]:
    """Return whether there is overload after each tick with the given wait."""
    sojourn = Sojourn()
    found = []
    for wait in waits:
        sojourn.note(wait)
        sojourn.judge(LIMIT_S)
        found.append(sojourn.is_overloaded)
    return found


def test_waits_that_stay_long_are_overload_until_they_stay_short() -> None:
    late = judged(*[LONG_S] * LATE_TICKS, *[0.0] * CALM_TICKS)
    assert late == [False] * (LATE_TICKS - 1) + [True] * CALM_TICKS + [False]


def test_a_burst_or_a_stall_is_no_overload() -> None:
    assert not any(judged(*([LONG_S] * (LATE_TICKS - 1) + [LIMIT_S]) * 5))


def test_overload_goes_on_while_waits_are_only_a_little_short() -> None:
    assert all(judged(*[LONG_S] * LATE_TICKS, *[LIMIT_S * 0.9] * 20)[LATE_TICKS:])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", False),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nconnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 5\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", False),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", False),
    ],
)
def test_only_a_lone_get_without_a_body_keeps_its_connection(data: bytes, expected: bool) -> None:
    assert ends_with_head(data) is expected


def listening() -> socket.socket:
    server = socket.create_server(("127.0.0.1", 0), backlog=4096)
    server.setblocking(False)
    return server


def test_the_kernel_knows_how_many_wait_and_how_long() -> None:
    with listening() as server:
        queue = AcceptQueue(server)
        clients = [socket.create_connection(server.getsockname()) for _ in range(MIN_LENGTH + 1)]
        assert queue.length == MIN_LENGTH + 1
        assert queue.measure(accepted=0, elapsed_s=1.0) == MIN_LENGTH + 1
        assert queue.measure(accepted=1000, elapsed_s=1.0) == (MIN_LENGTH + 1) / 1000
        time.sleep(LONG_S)
        accepted = queue.accept()
        assert accepted is not None
        assert LONG_S - 0.01 <= waited_s(accepted) < 5
        assert queue.length == MIN_LENGTH
        assert queue.measure(accepted=1000, elapsed_s=1.0) == 0.0  # few: they say nothing about the rate
        for sock in (accepted, *clients):
            sock.close()


def test_a_short_queue_is_full_and_takes_no_more() -> None:
    with listening() as server:
        queue = AcceptQueue(server)
        queue.shorten(LIMIT_S)
        clients = [socket.create_connection(server.getsockname()) for _ in range(MIN_LENGTH)]
        assert queue.is_full
        while queue.length <= MIN_LENGTH:  # the kernel takes one more than it is told
            clients.append(socket.create_connection(server.getsockname()))
        with pytest.raises(TimeoutError):
            socket.create_connection(server.getsockname(), timeout=0.2)
        queue.open_up()
        assert not queue.is_full
        clients.append(socket.create_connection(server.getsockname(), timeout=5))
        for client in clients:
            client.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_refused_connection_reads_its_answer_and_then_the_end(sent: bytes) -> None:
    with listening() as server:
        queue = AcceptQueue(server)
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(sent)
            accepted = queue.accept()
            assert accepted is not None
            refuse(accepted, b"HTTP/1.1 503 -\r\n\r\n")
            assert client.recv(100) == b"HTTP/1.1 503 -\r\n\r\n"
            assert client.recv(100) == b""
        assert queue.accept() is None


class Door:
    """A listener that accepts nothing by itself."""

    def __init__(self, server: socket.socket) -> None:
        self.queue = AcceptQueue(server)
        self.accepted = 0
        self.shed = 0
        self.taken = 0

    def take(self, count: int) -> None:
        self.taken += count

    def count_shed(self, cause: str) -> None:
        assert cause == OVERLOAD
        self.shed += 1


@pytest_asyncio.fixture
async def plane() -> DataPlane:
    found = DataPlane(asyncio.get_running_loop(), None)
    found.config.limits = Limits(max_wait_s=LIMIT_S)
    return found


async def test_a_queue_that_stays_long_is_shortened_by_503_until_it_is_short(plane: DataPlane) -> None:
    with listening() as server:
        door = Door(server)
        guard = OverloadGuard(plane, Admission(), cast(GuardedListeners, [door]))
        clients = [socket.create_connection(server.getsockname()) for _ in range(2 * MIN_LENGTH)]
        guard.configure()
        now = plane.wheel.now
        for tick in range(1, LATE_TICKS + 1):
            assert door.queue.length == 2 * MIN_LENGTH
            assert not door.queue.is_full
            guard.expire(now + tick * TICK_S)
        assert door.taken == LATE_TICKS * AT_ONCE
        await until(lambda: not door.queue.is_full, 10, "a short queue")
        assert door.shed == 2 * MIN_LENGTH - door.queue.length
        answers = [client.recv(1000) for client in clients[: door.shed]]  # who waited longest
        assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
        assert all(b"\r\nConnection: close\r\n" in answer for answer in answers)
        after = [answer.partition(b"Retry-After: ")[2][:3] for answer in answers]
        assert set(after) == {b"1\r\n", b"2\r\n", b"3\r\n"}
        while (waiting := door.queue.accept()) is not None:
            waiting.close()
        for tick in range(LATE_TICKS + 1, LATE_TICKS + CALM_TICKS + 1):
            guard.expire(now + tick * TICK_S)
        for client in clients:
            client.close()
        clients = [socket.create_connection(server.getsockname(), timeout=5) for _ in range(2 * MIN_LENGTH)]
        shed = door.shed
        await asyncio.sleep(5 * STEP_S)
        assert door.shed == shed
        for client in clients:
            client.close()


async def statuses(client: RawClient, count: int) -> list[int]:
    """Ask again and again, each time of a loop that is blocked meanwhile, until a request is refused."""
    found: list[int] = []
    while len(found) < count and 503 not in found:
        await client.send(request())
        time.sleep(LONG_S)  # noqa: ASYNC251
        found.append((await client.final_response())[0])
    return found


async def test_a_request_that_waited_long_is_refused_when_others_did_before(
    port: int, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overload, "MIN_CROWD", 0)
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        limited = msgspec.structs.replace(plain, limits=Limits(max_wait_s=LIMIT_S))
        async with serving(limited) as plane:
            client = await connect()
            assert await works(client)
            found = await statuses(client, 50)
            assert found[:LATE_TICKS] == [200] * LATE_TICKS
            assert found[-1] == 503
            assert len(origin.requests) == len(found)
            assert await works(client)  # the same connection, and it has not waited
            refused = [count for count in plane.counters.local.requests() if count.flag == "OM"]
            assert [count.count for count in refused] == [1]


@pytest.mark.parametrize(("limit_s", "crowd"), [(0.0, 0), (LIMIT_S, overload.MIN_CROWD)])
async def test_without_a_limit_or_a_crowd_nothing_is_refused(
    port: int, connect: Connect, monkeypatch: pytest.MonkeyPatch, limit_s: float, crowd: int
) -> None:
    monkeypatch.setattr(overload, "MIN_CROWD", crowd)
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        async with serving(msgspec.structs.replace(plain, limits=Limits(max_wait_s=limit_s))):
            assert await statuses(await connect(), 3 * LATE_TICKS) == [200] * (3 * LATE_TICKS)


async def test_full_load_is_no_overload(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        clients = await asyncio.gather(*[connect() for _ in range(64)])
        for _ in range(10):
            assert all(await asyncio.gather(*map(works, clients)))
        assert await shed(worker) == {}
