"""Deadlines of the supervisor kill no worker that could not have met them."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from controlplane.gateway.workers import WorkerPool
from controlplane.supervisor import Roster, Supervisor, WorkerCommand, processes
from controlplane.supervisor import supervisor as supervisor_module
from controlplane.supervisor.roster import RosterEntry
from loadtest.ports import free_port
from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient


@asynccontextmanager
async def orphan(state_dir: Path) -> AsyncIterator[RosterEntry]:
    """A process that workers.json lists as a worker of an earlier control plane."""
    argv = (sys.executable, "-c", "import time; time.sleep(60)", "--generation", "earlier")
    child = await asyncio.create_subprocess_exec(*argv)
    try:
        started = processes.start_time(child.pid)
        assert started is not None
        entry = RosterEntry(child.pid, started, "earlier")
        (state_dir / "workers.json").write_bytes(msgspec.json.encode([entry]))
        (state_dir / "workers.json").chmod(0o600)
        await until(lambda: entry.alive)  # a new process has no command line yet, for a moment
        yield entry
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def test_time_that_the_supervisor_missed_is_added_to_the_deadlines_of_orphans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(supervisor_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    async with orphan(tmp_path) as entry:
        command = WorkerCommand(("unused",), tmp_path / "socket", "now")
        supervisor = Supervisor(0, command, Roster(tmp_path / "workers.json"), lambda _worker, _pid: None)
        supervisor.start()
        supervisor.tick()
        supervisor.orphans_told(frozenset(), 1.0)
        clock.now += 60.0  # stopped, with the machine
        supervisor.tick()
        for _ in range(4):
            clock.now += 1.0
            supervisor.tick()
        killed_by = asyncio.get_running_loop().time() + 0.3
        await until(lambda: asyncio.get_running_loop().time() > killed_by)
        assert entry.alive
        for _ in range(2):
            clock.now += 1.0
            supervisor.tick()
        await until(lambda: not entry.alive)


async def test_a_worker_ends_by_itself_when_its_grace_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, lines = free_port(), tmp_path / "access.log"
    caplog.set_level(logging.INFO)
    argv = (sys.executable, "-m", "proxy.worker")
    plane = WorkerPool(tmp_path, 1, argv, str(lines), 0.5)
    await plane.start()
    async with Origin(lambda _connection, _request: b"") as silent:
        plane.publish(snapshot(port, {"c1": [silent.address]}))
        await until(lambda: plane.publisher.applied_count() == 1, 20)
        client = await RawClient.connect(port)
        await client.send(request())
        await until(lambda: silent.requests)
        await plane.stop()
        await client.close()
    assert [vars(record)["status"] for record in caplog.records if record.msg == "worker ended"] == [
        "exit code 0"
    ]
    assert "worker killed after the grace" not in [record.msg for record in caplog.records]
