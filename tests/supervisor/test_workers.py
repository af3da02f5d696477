"""Workers are replaced without losing a waiting client, and ports are never shared by accident."""

import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from controlplane.gateway.workers import WorkerPool
from loadtest.ports import free_port
from tests.support.dataplane import applied, fetch, kill, running, snapshot
from tests.support.waiting import until


def pids(plane: WorkerPool) -> list[int | None]:
    return [view.pid for view in plane.supervisor.views()]


async def test_workers_serve_a_published_snapshot(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        assert plane.publish(snapshot(1, port)) == {}
        await applied(plane, 1)
        answers = [await fetch(port) for _ in range(40)]
        assert {pid for _, pid, _ in answers} == set(pids(plane))


async def test_connections_in_the_queue_of_a_killed_worker_are_answered_by_its_successor(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with running(tmp_path, workers=1) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        (pid,) = pids(plane)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # nobody accepts now: connections stay in the queue
        waiting = [asyncio.create_task(fetch(port)) for _ in range(20)]
        await until(lambda: queue_length(port) == 20)
        kill(pid)
        answers = await asyncio.gather(*waiting)
        assert {answer[1] for answer in answers} == set(pids(plane)) - {pid}


def queue_length(port: int) -> int:
    """Return how many connections wait to be accepted on a loopback port."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            return int(fields[4].rpartition(":")[2], 16)
    return 0


async def test_no_new_connection_fails_while_workers_are_killed_one_after_the_other(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        for victim in (0, 1):
            pid = pids(plane)[victim]
            assert pid is not None
            kill(pid)
            await until(lambda: pids(plane)[victim] not in (None, pid))  # noqa: B023
            for _ in range(10):
                await fetch(port)


async def test_counters_survive_the_death_of_a_worker(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path, workers=1) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        for _ in range(5):
            await fetch(port)
        await plane.publisher.collect()
        before = plane.publisher.totals()
        assert before.requests.total() == 5
        (pid,) = pids(plane)
        assert pid is not None
        kill(pid)
        seen = []
        while pids(plane) in ([pid], [None]):
            seen.append(plane.publisher.totals().requests.total())
            await asyncio.sleep(0)
        await applied(plane, 1)
        await fetch(port)
        await plane.publisher.collect()
        after = plane.publisher.totals()
        assert min(seen, default=5) >= 5
        assert after.requests.total() == 6
        assert after.durations["shop/web/0/0", "cluster-1"].buckets[0] == 6


async def test_a_hanging_worker_is_killed_and_replaced(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        hanging = pids(plane)[0]
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        await until(lambda: pids(plane)[0] not in (None, hanging), 10)
        await applied(plane, 1)


async def test_a_signal_does_not_collect_the_exit_status_that_the_end_of_the_worker_is_told_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    async with running(tmp_path, workers=1) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        polled: list[subprocess.Popen[bytes]] = []
        monkeypatch.setattr(subprocess.Popen, "poll", polled.append)
        plane.supervisor._slots[0].signal(signal.SIGCONT)
        assert not polled


async def test_a_port_of_another_process_is_reported_although_it_would_be_shared(tmp_path: Path) -> None:
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        child = await asyncio.create_subprocess_exec("sleep", "60", pass_fds=(foreign.fileno(),))
        foreign.close()
        try:
            async with running(tmp_path, workers=1) as plane:
                failed = plane.publish(snapshot(1, port))
                assert failed == {
                    port: f"port {port} is in use by sleep (pid {child.pid}); stop it or choose another port"
                }
                child.kill()
                await child.wait()
                assert plane.publish(snapshot(1, port)) == {}
                await applied(plane, 1)
                await fetch(port)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


async def test_listeners_open_and_close_while_running(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, first))
        await applied(plane, 1)
        plane.publish(snapshot(2, second))
        await applied(plane, 2)
        await fetch(second)
        with pytest.raises(ConnectionRefusedError):
            await fetch(first)
        assert plane.publish(snapshot(3, first, second)) == {}  # while the workers may not have let go yet
        await applied(plane, 3)
        await fetch(first)


async def test_stopping_ends_all_workers_and_leaves_no_socket(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
    assert pids(plane) == [None, None]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "snapshot.json", "workers.json"]
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}


async def test_a_worker_that_does_not_drain_is_killed_after_the_grace(tmp_path: Path) -> None:
    async with running(tmp_path, workers=1, grace_s=0.3) as plane:
        plane.publish(snapshot(1, free_port()))
        await applied(plane, 1)
        (pid,) = pids(plane)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    assert pids(plane) == [None]


async def test_a_long_state_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    state_dir = tmp_path / ("long" * 30)
    port = free_port()
    async with running(state_dir, workers=1) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        place = plane._place
        assert place.private_directory is not None
        assert place.private_directory.stat().st_mode & 0o777 == 0o700
        assert place.path.stat().st_mode & 0o777 == 0o600
    assert not place.private_directory.exists()
