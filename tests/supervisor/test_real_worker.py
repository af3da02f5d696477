"""The same promises with the real worker process."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import msgspec
from msgspec.structs import replace

from controlplane.gateway.workers import WorkerPool
from loadtest.ports import free_port
from proxy.model.actions import Failback, FixedResponse, Forward
from proxy.model.channel import Hold
from proxy.model.policies import Policies, RateLimit
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Snapshot
from tests.support.clusters import ask
from tests.support.dataplane import kill, snapshot
from tests.support.origin import Origin
from tests.support.requests import tally
from tests.support.snapshots import Address, route, service
from tests.support.snapshots import snapshot as small_snapshot
from tests.support.waiting import until, until_async


@asynccontextmanager
async def serving(state_dir: Path, port: int, workers: int) -> AsyncIterator[WorkerPool]:
    plane = WorkerPool(state_dir, workers, (sys.executable, "-m", "proxy.worker"), "off", 3.0)
    await plane.start()
    try:
        plane.publish(snapshot(1, port, pods=()))
        await until(lambda: plane.publisher.applied_count() == workers)
        yield plane
    finally:
        await plane.stop()


async def test_requests_that_wait_for_a_killed_worker_are_answered_by_its_successor(tmp_path: Path) -> None:
    port = free_port()
    async with serving(tmp_path, port, 1) as plane:
        (view,) = plane.supervisor.views()
        assert view.pid is not None
        os.kill(view.pid, signal.SIGSTOP)
        waiting = [asyncio.create_task(ask(port)) for _ in range(20)]
        await until(lambda: all(task.get_stack() for task in waiting))
        kill(view.pid)
        assert {status for status, _ in await asyncio.gather(*waiting)} == {503}


async def test_counters_of_killed_workers_stay_in_the_totals(tmp_path: Path) -> None:
    port = free_port()
    async with serving(tmp_path, port, 2) as plane:
        sent = 0
        for victim in (0, 1):
            for _ in range(10):
                await ask(port)
            sent += 10
            await plane.publisher.collect()
            assert plane.publisher.totals().requests.total() == sent
            pid = plane.supervisor.views()[victim].pid
            assert pid is not None
            kill(pid)
            await until(lambda: plane.publisher.applied_count() == 1)
            await until(lambda: plane.publisher.applied_count() == 2)
            assert plane.publisher.totals().requests.total() == sent


async def test_a_listener_that_moves_is_closed_and_opened(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    async with serving(tmp_path, first, 2) as plane:
        for version, port in enumerate((second, first, second, first), start=2):
            plane.publish(snapshot(version, port, pods=()))
            await until(lambda: {view.applied_version for view in plane.publisher.workers()} == {version})  # noqa: B023
            assert (await ask(port))[0] == 503


async def seen(plane: WorkerPool, state: str, port: int) -> int:
    """Return how many workers see the endpoint on `port` in a state."""
    return sum(
        (endpoint.port, endpoint.state) == (port, state)
        for stats in await plane.publisher.collect()
        for endpoint in stats.endpoints
    )


async def known_to_all(plane: WorkerPool, port: int) -> None:
    async def is_known() -> bool:
        return await seen(plane, "healthy", port) == 3

    await until_async(is_known, 10.0, "the endpoint at three workers")


async def reach_all(plane: WorkerPool, state: str, port: int) -> float:
    """Return how long it takes until three workers see the endpoint on `port` in a state."""
    start = monotonic()
    while await seen(plane, state, port) < 3:
        assert monotonic() - start < 0.4  # a first ejection lasts longer
    return monotonic() - start


async def test_an_endpoint_that_one_worker_ejects_is_ejected_by_all_a_moment_later(tmp_path: Path) -> None:
    port = free_port()
    async with Origin() as alive, serving(tmp_path, port, 3) as plane:
        took = []
        for version in (2, 3, 4):
            dead = free_port()
            name = f"demo/{version}:80"  # another service has other breakers
            plain = small_snapshot(port, {}, route(port, to=name), version=version)
            clusters = {"c1": [("127.0.0.1", dead)], "c2": [alive.address]}
            plane.publish(replace(plain, services=(service(clusters, name),)))
            await known_to_all(plane, dead)
            assert await tally(port, 2) == {"/": 2}  # one connection: one worker
            took.append(await reach_all(plane, "ejected", dead))
        assert min(took) < 0.1  # the machine may be busy


async def test_all_workers_know_of_an_endpoint_that_drains_a_moment_later(tmp_path: Path) -> None:
    port = free_port()
    async with serving(tmp_path, port, 3) as plane:
        took = []
        for version, at in ((2, 4001), (4, 4002), (6, 4003)):
            plain = small_snapshot(port, {"c1": [("127.0.0.1", at)]}, version=version)
            plane.publish(plain)
            await known_to_all(plane, at)
            endpoint = Endpoint("127.0.0.1", at, draining=True)
            group = replace(plain.services[0], clusters=(ClusterEndpoints("c1", (endpoint,)),))
            plane.publish(replace(plain, version=version + 1, services=(group,)))
            took.append(await reach_all(plane, "draining", at))
        assert min(took) < 0.1


async def test_a_successor_knows_what_the_others_have_ejected(tmp_path: Path) -> None:
    port, dead = free_port(), free_port()
    async with Origin() as alive, serving(tmp_path, port, 1) as plane:
        clusters = {"c1": [("127.0.0.1", dead)], "c2": [alive.address]}
        plane.publish(small_snapshot(port, clusters, version=2))
        await until(lambda: {view.applied_version for view in plane.publisher.workers()} == {2})
        assert await tally(port, 2) == {"/": 2}
        await until(lambda: attempts(plane) == 1)
        (view,) = plane.supervisor.views()
        assert view.pid is not None
        kill(view.pid)
        await until(lambda: plane.publisher.applied_count() == 0)
        await until(lambda: plane.publisher.applied_count() == 1)
        assert await tally(port, 4) == {"/": 4}
        assert await seen(plane, "ejected", dead) == 1
        assert attempts(plane) == 1  # not one request of the new worker has been there


def attempts(plane: WorkerPool) -> int:
    return plane.publisher.totals().attempts.total()


async def test_a_cluster_held_out_by_hand_stays_out_at_every_worker(tmp_path: Path) -> None:
    port = free_port()
    async with Origin() as one, Origin() as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        async with serving(tmp_path, port, 2) as plane:
            await rules(plane, asking(port, clusters, 2))
            plane.publisher.publish(asking(port, {**clusters, "c1": []}, 3))
            plane.publisher.publish(asking(port, clusters, 4))
            await until(lambda: set(plane.publisher.held.since()) == {HELD})
            (first, _) = plane.supervisor.views()
            assert first.pid is not None
            kill(first.pid)  # its successor is told
            await until(lambda: plane.publisher.applied_count() == 1)
            await until(lambda: plane.publisher.applied_count() == 2)
            assert await holding(plane) == 2
            one.forget()
            assert await tally(port, 20) == {"/": 20}
            assert not one.requests
        plane = WorkerPool(tmp_path, 2, (sys.executable, "-m", "proxy.worker"), "off", 3.0)
        await plane.start()  # another gateway on this state: it has the same rules, and holds the same
        try:
            await until(lambda: plane.publisher.applied_count() == 2)
            assert await holding(plane) == 2
            assert plane.publisher.let_back("demo/ing", "") == (HELD,)
            await until_async(lambda: nobody_holds(plane), 20.0, "let back")
            assert not plane.publisher.held.since()
        finally:
            await plane.stop()


HELD = Hold("demo/ing", "demo/service1:80", "c1")


def asking(port: int, clusters: dict[str, list[Address]], version: int) -> Snapshot:
    """Half of the requests to each cluster, by hand."""
    plain = route(port, weights={"c1": 50, "c2": 50})
    assert isinstance(plain.action, Forward)
    split = replace(plain.action.split, failback=Failback("demo/ing", manual=True))
    return small_snapshot(
        port, clusters, replace(plain, action=replace(plain.action, split=split)), version=version
    )


async def rules(plane: WorkerPool, wanted: Snapshot) -> None:
    plane.publish(wanted)
    await until(lambda: {view.applied_version for view in plane.publisher.workers()} == {wanted.version})


async def holding(plane: WorkerPool) -> int:
    """Return how many workers hold the cluster out."""
    return sum(
        (each.ingress, each.service, each.cluster, each.state) == (*msgspec.structs.astuple(HELD), "held")
        for stats in await plane.publisher.collect()
        for each in stats.failbacks
    )


async def nobody_holds(plane: WorkerPool) -> bool:
    return not any(stats.failbacks for stats in await plane.publisher.collect())


LIMITED = RateLimit(10, FixedResponse(429))
"""10 requests per second, and as many at once, for the whole gateway."""


async def test_a_limit_holds_for_all_workers_together(tmp_path: Path) -> None:
    """The state directory comes from a gateway with one worker: what it saved is divided anew."""
    port = free_port()
    async with Origin() as origin:
        limited = replace(route(port), policies=Policies(rate_limits=(LIMITED,)))
        async with serving(tmp_path, port, 1) as plane:
            await rules(plane, small_snapshot(port, {"c1": [origin.address]}, limited, version=2))
            await until(lambda: plane.publisher.store_health.saved_version == 2)
        plane = WorkerPool(tmp_path, 2, (sys.executable, "-m", "proxy.worker"), "off", 3.0)
        await plane.start()
        try:
            await until(lambda: plane.publisher.applied_count() == 2)
            passed, start = 0, monotonic()
            while monotonic() - start < 5.0:
                answers = await asyncio.gather(*(ask(port) for _ in range(20)))
                passed += sum(status == 200 for status, _ in answers)
            assert 45 <= passed <= 10 + 50 + 2
        finally:
            await plane.stop()
