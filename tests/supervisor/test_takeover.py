"""Workers serve on when their control plane is killed, and its successor replaces them unnoticed."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from controlplane.gateway.workers import StateDirectoryInUse, lock
from controlplane.supervisor import processes
from controlplane.supervisor.roster import RosterEntry
from loadtest.ports import free_port
from tests.support.dataplane import fetch, kill
from tests.support.waiting import until


@asynccontextmanager
async def control_plane(state_dir: Path, port: int, version: int) -> AsyncIterator[Process]:
    argv = (sys.executable, "-m", "tests.support.fakecontrolplane", str(state_dir), str(port), str(version))
    process = await asyncio.create_subprocess_exec(*argv)
    try:
        await until((state_dir / f"ready-{version}").exists, 15)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(15):
            await process.wait()


def listed(state_dir: Path) -> list[RosterEntry]:
    return list(msgspec.json.decode((state_dir / "workers.json").read_bytes(), type=list[RosterEntry]))


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose workers are ended with the test, whatever became of their control plane."""
    yield tmp_path
    for entry in listed(tmp_path):
        if entry.alive:
            with contextlib.suppress(ProcessLookupError):
                kill(entry.pid)


async def killed(state_dir: Path, port: int) -> list[RosterEntry]:
    """Run a control plane until its workers serve version 1, kill it, and return its workers."""
    async with control_plane(state_dir, port, 1) as process:
        workers = listed(state_dir)
        kill(process.pid)
        await process.wait()
    return workers


async def test_workers_serve_on_without_a_control_plane(state_dir: Path) -> None:
    port = free_port()
    workers = await killed(state_dir, port)
    answers = [await fetch(port) for _ in range(20)]
    assert {(pid, version) for _, pid, version in answers} == {(entry.pid, 1) for entry in workers}


async def test_a_new_control_plane_takes_over_without_a_refused_connection(state_dir: Path) -> None:
    port = free_port()
    orphans = await killed(state_dir, port)
    answered: list[int] = []
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            answered.append((await fetch(port))[2])

    async with asyncio.TaskGroup() as clients, control_plane(state_dir, port, 2):
        for _ in range(8):
            clients.create_task(client())
        await until(lambda: not any(entry.alive for entry in orphans), 20)
        seen = len(answered)
        await until(lambda: len(answered) > seen + 50)
        assert set(answered[-20:]) == {2}
        await until(lambda: not {*listed(state_dir)} & {*orphans})
        done.set()


async def test_an_orphan_that_hangs_is_killed_after_the_take_over(state_dir: Path) -> None:
    port = free_port()
    orphans = await killed(state_dir, port)
    os.kill(orphans[0].pid, signal.SIGSTOP)
    async with control_plane(state_dir, port, 2):
        await until(lambda: not any(entry.alive for entry in orphans), 20)


async def test_a_process_that_only_reuses_the_pid_is_left_alone(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        started = processes.start_time(child.pid)
        assert started is not None
        entries = [RosterEntry(child.pid, started - 1, "earlier")]
        (tmp_path / "workers.json").write_bytes(msgspec.json.encode(entries))
        async with control_plane(tmp_path, free_port(), 1):
            assert len(listed(tmp_path)) == 2
        assert processes.start_time(child.pid) == started
    finally:
        child.kill()
        await child.wait()


async def test_two_control_planes_cannot_share_a_state_directory(tmp_path: Path) -> None:
    async with control_plane(tmp_path, free_port(), 1):
        with pytest.raises(StateDirectoryInUse, match="--state-dir"):
            os.close(lock(tmp_path))
