"""Workers that hang are killed, one at a time; workers that are busy, or fed too much, are not."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from controlplane.gateway.workers import WorkerPool
from controlplane.supervisor import PERIOD_S
from controlplane.supervisor.roster import RosterEntry
from loadtest.ports import free_port
from proxy.model.channel import EndpointsChanged, encode
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from tests.support.clusters import ask
from tests.support.dataplane import kill, snapshot
from tests.support.snapshots import route
from tests.support.snapshots import snapshot as small_snapshot
from tests.support.waiting import until

WORKER = (sys.executable, "-m", "tests.support.hangingworker")


@asynccontextmanager
async def serving(state_dir: Path, port: int, workers: int) -> AsyncIterator[WorkerPool]:
    plane = WorkerPool(state_dir, workers, WORKER, "off", 3.0)
    await plane.start()
    try:
        plane.publish(snapshot(1, port, pods=()))
        await until(lambda: plane.publisher.applied_count() == workers, 20)
        yield plane
    finally:
        await plane.stop()


def pids(plane: WorkerPool) -> list[int | None]:
    return [view.pid for view in plane.supervisor.views()]


def restarts(plane: WorkerPool) -> dict[str, int]:
    """Return how often workers were restarted, by reason."""
    counts: dict[str, int] = {}
    for view in plane.supervisor.views():
        for reason, count in view.reasons.items():
            if count:
                counts[reason] = counts.get(reason, 0) + count
    return counts


def replaced(plane: WorkerPool, worker: int, pid: int) -> bool:
    """Say whether another process serves in the place of this one."""
    view = plane.supervisor.views()[worker]
    return view.pid not in (None, pid) and view.pid in plane.publisher.serving()


@pytest.mark.parametrize(
    ("number", "reason", "function", "at_least_s"),
    [
        (signal.SIGTTIN, "hang_cpu", "compute_for_ever", 0.9),
        (signal.SIGTSTP, "hang_blocked", "sleep_for_ever", 4.5),
        (signal.SIGSTOP, "hang_blocked", "unknown", 4.5),
    ],
)
async def test_a_worker_whose_loop_does_not_turn_is_killed_and_the_log_says_where_it_was(
    number: signal.Signals,
    reason: str,
    function: str,
    at_least_s: float,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    async with serving(tmp_path, port, 2) as plane:
        pid = pids(plane)[1]
        assert pid is not None
        start = monotonic()
        os.kill(pid, number)
        await until(lambda: replaced(plane, 1, pid), 20)
        assert monotonic() - start >= at_least_s
        assert restarts(plane) == {reason: 1}
        (record,) = [record for record in caplog.records if record.msg == "worker hangs, killed"]
        said = vars(record)
        assert (said["worker"], said["pid"], said["reason"]) == (1, pid, reason)
        assert said["stack"].split(" < ")[0].endswith(function)
        assert (await ask(port))[0] == 503


async def test_workers_with_long_turns_are_not_killed(tmp_path: Path) -> None:
    port = free_port()
    async with serving(tmp_path, port, 2) as plane:
        before = pids(plane)
        for pid in before:
            assert pid is not None
            os.kill(pid, signal.SIGTTOU)
        end = monotonic() + 8.0
        await until(lambda: monotonic() > end)
        assert pids(plane) == before
        assert (await ask(port))[0] == 503


async def test_of_two_workers_that_hang_the_second_is_killed_when_the_first_is_replaced(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with serving(tmp_path, port, 3) as plane:
        first, second, third = pids(plane)
        assert first is not None
        assert second is not None
        os.kill(first, signal.SIGSTOP)
        os.kill(second, signal.SIGSTOP)

        def both_are_replaced() -> bool:
            away = [
                worker
                for worker, pid in ((0, first), (1, second))
                if pids(plane)[worker] != pid and not replaced(plane, worker, pid)
            ]
            assert len(away) <= 1
            return replaced(plane, 0, first) and replaced(plane, 1, second)

        await until(both_are_replaced, 20)
        assert pids(plane)[2] == third
        assert restarts(plane) == {"hang_blocked": 2}


CHANGES = 100
"""Endpoint changes that take a worker over ten seconds, one after the other."""


def changed(version: int) -> tuple[Service, ...]:
    """Return a service whose 20,000 endpoints are others in each version."""
    endpoints = tuple(
        Endpoint(f"10.{version % 200}.{number // 250}.{number % 250}", 8080) for number in range(20_000)
    )
    return (Service("shop/web:80", (ClusterEndpoints("cluster-1", endpoints),)),)


async def test_workers_that_are_sent_more_than_they_can_take_in_ten_seconds_are_not_killed(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with serving(tmp_path, port, 2) as plane:
        before = pids(plane)
        end = monotonic() + 10.0
        for version in range(2, 2 + CHANGES):
            data = encode(EndpointsChanged(version, changed(version)))
            for session in plane.publisher._dispatcher.sessions.values():
                session.send(data)
        await until(lambda: monotonic() > end)
        assert pids(plane) == before
        assert not restarts(plane)


@pytest.mark.parametrize("with_its_workers", [False, True])
async def test_a_control_plane_that_was_stopped_kills_no_worker(
    tmp_path: Path, with_its_workers: bool
) -> None:
    port = free_port()
    argv = (sys.executable, "-m", "tests.support.fakecontrolplane", str(tmp_path), str(port), "1")
    process = await asyncio.create_subprocess_exec(*argv)
    try:
        await until((tmp_path / "ready-1").exists, 20)
        workers = msgspec.json.decode((tmp_path / "workers.json").read_bytes(), type=list[RosterEntry])
        stopped = [process.pid, *(entry.pid for entry in workers if with_its_workers)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        start = monotonic()
        await until(lambda: monotonic() > start + 8.0)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        await until(lambda: monotonic() > start + 11.0)
        assert (
            msgspec.json.decode((tmp_path / "workers.json").read_bytes(), type=list[RosterEntry]) == workers
        )
        assert all(entry.alive for entry in workers)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(15):
            await process.wait()


async def test_a_worker_that_has_served_is_replaced_without_a_growing_pause(tmp_path: Path) -> None:
    """The ninth pause would be 5 s if the pauses doubled; the three last replacements cannot all be slow."""
    port = free_port()
    routes = tuple(route(port, host=f"h{number}.example.com", name=f"i{number}") for number in range(100))
    async with serving(tmp_path, port, 1) as plane:
        plane.publish(small_snapshot(port, {"c1": [("127.0.0.1", 1)]}, *routes, version=2))
        took = []
        for _ in range(9):
            await until(lambda: len(plane.publisher.serving()) == 1 and plane.publisher.applied_count() == 1)
            lived = monotonic() + 2 * PERIOD_S
            await until(lambda: monotonic() > lived)  # noqa: B023
            (pid,) = pids(plane)
            assert pid is not None
            start = monotonic()
            kill(pid)
            assert (await ask(port))[0] in (404, 503)
            took.append(monotonic() - start)
        assert min(took[-3:]) < 2.5
        assert restarts(plane) == {"signal": 9}
