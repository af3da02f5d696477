"""No signal that an operator or a log rotation sends is an unclean end, whenever and wherever it arrives."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest

from controlplane.gateway.settings import Settings
from controlplane.gateway.workers import WorkerPool
from loadtest.ports import free_port
from tests.gateway.test_process import is_ready, listed
from tests.support.clusters import Clusters, ask, clusters
from tests.support.waiting import until, until_async

MODULE = (sys.executable, "-m", "controlplane.cli.main")
HARMLESS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR1)
SLOW_START = """
import asyncio
from controlplane.admin.server import AdminServer
started = AdminServer.start
async def start_slowly(self, *words):
    await asyncio.sleep(2)
    await started(self, *words)
AdminServer.start = start_slowly
from controlplane.cli.main import main
main()
"""


def command(rig: Clusters, admin: int, log: Path) -> list[str]:
    members = [word for cluster, path in rig.members.items() for word in ("--member", f"{cluster}={path}")]
    return [
        *("run", "--allow-loopback-endpoints", "--fleet-kubeconfig", str(rig.kubeconfigs["fleet"]), *members),
        *("--state-dir", str(rig.directory / "state"), "--admin", f"127.0.0.1:{admin}", "--workers", "2"),
        *("--access-log", str(log), "--grace", "5"),
    ]


@asynccontextmanager
async def started(*words: str, errors: Path) -> AsyncIterator[Process]:
    with errors.open("ab") as file:
        process = await asyncio.create_subprocess_exec(*words, stderr=file, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.wait()


def workers(rig: Clusters) -> list[int]:
    return [entry.pid for entry in listed(rig.directory / "state")]


def noted(log: Path) -> list[str]:
    return [json.loads(line)["status"] for line in log.read_text().splitlines()] if log.exists() else []


async def test_sigusr1_reopens_the_log_of_every_worker_and_ends_nothing(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    async with clusters(tmp_path, port) as rig:
        words = command(rig, admin, log)
        async with started(*MODULE, *words, errors=tmp_path / "errors") as gateway:
            await until_async(partial(is_ready, admin), 20, "readyz")
            before = workers(rig)
            assert (await ask(port))[0] == 200
            await until(lambda: noted(log))
            log.rename(moved)
            gateway.send_signal(signal.SIGUSR1)
            gateway.send_signal(signal.SIGUSR1)
            await until(log.exists)
            old = len(noted(moved))
            for _ in range(40):
                assert (await ask(port))[0] == 200
            await until(lambda: len(noted(log)) == 40)
            assert len(noted(moved)) == old
            assert workers(rig) == before
            assert gateway.returncode is None


async def test_a_worker_that_gets_the_signal_itself_reopens_its_log(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    async with clusters(tmp_path, port) as rig:
        words = command(rig, admin, log)
        async with started(*MODULE, *words, errors=tmp_path / "errors"):
            await until_async(partial(is_ready, admin), 20, "readyz")
            before = workers(rig)
            await until(log.exists)
            log.rename(moved)
            for pid in before:
                for number in HARMLESS:
                    os.kill(pid, number)
            await until(log.exists)
            assert (await ask(port))[0] == 200
            await until(lambda: noted(log) + noted(moved))
            assert workers(rig) == before


async def test_signals_during_the_drain_do_not_cut_it_short(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig:
        words = command(rig, admin, tmp_path / "access.log")
        async with started(*MODULE, *words, errors=tmp_path / "errors") as gateway:
            await until_async(partial(is_ready, admin), 20, "readyz")
            pids = workers(rig)
            gateway.terminate()
            while gateway.returncode is None:
                for pid in (gateway.pid, *pids):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGUSR1)
                        os.kill(pid, signal.SIGUSR2)
                await asyncio.sleep(0.005)
            assert gateway.returncode == 0
    said = (tmp_path / "errors").read_text()
    assert said.count('msg="worker ended"') == 2
    assert said.count('status="exit code 0"') == 2


async def test_a_gateway_that_is_starting_is_not_ended_by_a_log_rotation(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig:
        words = command(rig, admin, tmp_path / "access.log")
        async with started(*MODULE, *words, errors=tmp_path / "errors") as gateway:
            await until(partial(_holds_back, gateway.pid, signal.SIGUSR1), 10, "signals held back")
            ready = asyncio.create_task(until_async(partial(is_ready, admin), 20, "readyz"))
            while not ready.done():
                for number in HARMLESS:
                    gateway.send_signal(number)
                await asyncio.sleep(0.01)
            await ready
            assert (await ask(port))[0] == 200


def test_the_command_holds_signals_back_before_it_imports_anything_that_takes_time() -> None:
    program = (
        "import signal, sys; from controlplane.cli import start; start.hold_signals();"
        "assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, ());"
        "print([name for name in ('asyncio', 'click', 'logging') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    (entry,) = metadata.entry_points(group="console_scripts", name="fleetgate")
    assert entry.value == "controlplane.cli.start:main"


async def test_a_worker_that_is_starting_is_not_ended_by_a_log_rotation(tmp_path: Path) -> None:
    plane = WorkerPool(tmp_path, 2, Settings(tmp_path, 2).worker_argv, str(tmp_path / "log"), 2.0)
    await plane.start()
    try:
        while len(plane.publisher.workers()) < 2:
            for view in plane.supervisor.views():
                if view.pid is not None:
                    for number in HARMLESS:
                        os.kill(view.pid, number)
            await asyncio.sleep(0.01)
        assert [view.restarts for view in plane.supervisor.views()] == [0, 0]
    finally:
        await plane.stop()


async def test_a_signal_between_the_start_of_the_workers_and_of_the_admin_api_leaves_no_worker(
    tmp_path: Path,
) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig:
        words = command(rig, admin, tmp_path / "access.log")
        async with started(sys.executable, "-c", SLOW_START, *words, errors=tmp_path / "errors") as gateway:
            await until(lambda: "worker started" in (tmp_path / "errors").read_text(), 20)
            await until((rig.directory / "state" / "workers.json").exists)
            await until(lambda: len(workers(rig)) == 2)
            entries = listed(rig.directory / "state")
            gateway.terminate()
            async with asyncio.timeout(15):
                assert await gateway.wait() == 0
    assert not any(entry.alive for entry in entries)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
async def test_these_signals_drain_like_sigterm(number: signal.Signals, tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig:
        words = command(rig, admin, tmp_path / "access.log")
        async with started(*MODULE, *words, errors=tmp_path / "errors") as gateway:
            await until_async(partial(is_ready, admin), 20, "readyz")
            worker = workers(rig)[0]
            os.kill(worker, signal.SIGHUP)  # to a worker: it drains, and has a successor
            await until(lambda: worker not in workers(rig), 10)
            gateway.send_signal(number)
            async with asyncio.timeout(15):
                assert await gateway.wait() == 0
    assert f'pid={worker} status="exit code 0"' in (tmp_path / "errors").read_text()


async def test_an_api_server_and_its_pods_take_no_harm_from_a_log_rotation(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "fleet.kubeconfig"
    words = (*MODULE, "apiserver", "--name", "fleet", "--kubeconfig", str(kubeconfig), "--controller")
    async with started(*words, errors=tmp_path / "errors") as process:
        await until(partial(_holds_back, process.pid, signal.SIGUSR1), 10, "signals held back")
        while not kubeconfig.exists():
            process.send_signal(signal.SIGUSR1)
            await asyncio.sleep(0.01)
        for number in HARMLESS:
            process.send_signal(number)
        process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_a_full_pipe_of_a_reader_that_sleeps_holds_up_neither_requests_nor_the_end(
    tmp_path: Path,
) -> None:
    port, admin = free_port(), free_port()
    pipe = tmp_path / "access.log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    filler = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(filler, b"." * 4096):
            pass
    async with clusters(tmp_path, port) as rig:
        words = command(rig, admin, pipe)
        async with started(*MODULE, *words, errors=tmp_path / "errors") as gateway:
            await until_async(partial(is_ready, admin), 20, "readyz")
            for _ in range(20):
                assert (await ask(port))[0] == 200
            gateway.send_signal(signal.SIGUSR1)
            gateway.terminate()
            async with asyncio.timeout(10):
                assert await gateway.wait() == 0
    os.close(filler)
    os.close(reader)


def _holds_back(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigBlk:")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)
