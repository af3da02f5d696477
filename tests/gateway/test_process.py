"""`fleetgate run` as a user starts it: its life, its violent end, and its successor."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest

from controlplane.supervisor.roster import Roster, RosterEntry
from loadtest.ports import free_port
from tests.cli.asking import fleetgate
from tests.support import command
from tests.support.clusters import HOST, Clusters, ask, clusters
from tests.support.dataplane import kill
from tests.support.forks import Forked
from tests.support.waiting import until, until_async


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose workers are ended with the test."""
    directory = tmp_path / "state"
    yield directory
    for entry in Roster(directory / "workers.json").survivors():
        with contextlib.suppress(ProcessLookupError):
            kill(entry.pid)


@asynccontextmanager
async def fleetgate_run(
    rig: Clusters, state_dir: Path, admin: int, grace_s: int = 5
) -> AsyncIterator[Forked]:
    """Start the gateway and wait until it is ready."""
    argv = ["run", "--allow-loopback-endpoints"]
    argv += ["--fleet-kubeconfig", str(rig.kubeconfigs["fleet"]), "--state-dir", str(state_dir)]
    argv += [
        "--admin",
        f"127.0.0.1:{admin}",
        "--workers",
        "2",
        "--access-log",
        "off",
        "--grace",
        str(grace_s),
    ]
    for cluster, path in rig.members.items():
        argv += ["--member", f"{cluster}={path}"]
    with (rig.directory / f"log-{admin}").open("w") as log:
        process = command.server().start(argv, os.environ, log)
    try:
        await until_async(partial(is_ready, admin), 20, "readyz")
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.wait()


async def is_ready(admin: int) -> bool:
    try:
        async with httpx.AsyncClient() as api:
            return (await api.get(f"http://127.0.0.1:{admin}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def listed(state_dir: Path) -> list[RosterEntry]:
    return msgspec.json.decode((state_dir / "workers.json").read_bytes(), type=list[RosterEntry])


async def test_sigterm_ends_it_and_its_workers_with_exit_code_0(tmp_path: Path, state_dir: Path) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig, fleetgate_run(rig, state_dir, admin) as process:
        assert (await ask(port))[0] == 200
        workers = listed(state_dir)
        for pid in (process.pid, *(entry.pid for entry in workers)):  # private keys are in their memory
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            (core,) = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
            assert core == ["0", "0"]
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert not any(entry.alive for entry in workers)
        with pytest.raises(ConnectionRefusedError):
            await ask(port)
        log = (tmp_path / f"log-{admin}").read_text()
        assert "Traceback" not in log
        assert "t0ken" not in log


async def test_a_second_signal_shortens_the_drain(tmp_path: Path, state_dir: Path) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig, fleetgate_run(rig, state_dir, admin, grace_s=60) as process:
        for entry in listed(state_dir):
            os.kill(entry.pid, signal.SIGSTOP)
        process.terminate()
        await until(lambda: "msg=draining" in (tmp_path / f"log-{admin}").read_text())
        assert not await is_ready(admin)
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_a_gateway_is_killed_and_replaced_without_a_failed_request(
    tmp_path: Path, state_dir: Path
) -> None:
    port, first, second = free_port(), free_port(), free_port()
    failed: list[object] = []
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            try:
                answer = await ask(port)
            except OSError as error:
                failed.append(error)
            else:
                if answer[0] != 200:
                    failed.append(answer)

    async with clusters(tmp_path, port) as rig:
        async with fleetgate_run(rig, state_dir, first) as process:
            orphans = listed(state_dir)
            group = [asyncio.create_task(client()) for _ in range(4)]
            kill(process.pid)
            await process.wait()
        async with fleetgate_run(rig, state_dir, second):
            await until(lambda: not any(entry.alive for entry in orphans), 20)
            done.set()
            await asyncio.gather(*group)
            assert (await ask(port))[0] == 200
    assert failed == []


async def test_a_stopped_control_plane_does_not_kill_its_workers_when_it_goes_on(
    tmp_path: Path, state_dir: Path
) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig, fleetgate_run(rig, state_dir, admin) as process:
        before = listed(state_dir)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            end = asyncio.get_running_loop().time() + 7  # longer than a worker may be silent
            while asyncio.get_running_loop().time() < end:
                assert (await ask(port))[0] == 200
                await asyncio.sleep(0.05)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        async with httpx.AsyncClient() as api:
            answer = await api.get(f"http://127.0.0.1:{admin}/metrics")
        assert 'fleetgate_worker_up{worker="1"} 1.0' in answer.text
        assert listed(state_dir) == before


async def test_the_admin_api_has_a_token_that_its_own_user_finds_and_no_log_has(
    tmp_path: Path, state_dir: Path
) -> None:
    port, admin = free_port(), free_port()
    async with clusters(tmp_path, port) as rig, fleetgate_run(rig, state_dir, admin):
        token = (state_dir / "admin-token").read_text().strip()
        assert (state_dir / "admin-token").stat().st_mode & 0o777 == 0o600
        asked = ("explain", "GET", f"http://{HOST}:{port}/", "--admin", f"127.0.0.1:{admin}")
        done = await fleetgate(*asked)
        assert (done.code, "chosen" in done.out or "web" in done.out) == (0, True), done.err
        other = tmp_path / "other"
        other.touch(0o600)
        other.write_text("not-the-token-of-this-gateway")
        done = await fleetgate(*asked, "--admin-token-file", str(other))
        assert (done.code, "asks for its token" in done.err) == (2, True)
        other.chmod(0o644)
        done = await fleetgate(*asked, "--admin-token-file", str(other))
        assert (done.code, "chmod 600" in done.err) == (2, True)
        async with httpx.AsyncClient() as api:
            url = f"http://127.0.0.1:{admin}/api/v1/failback"
            question = {"ingress": "shop/web"}
            assert (await api.post(url, json=question)).status_code == 401
            answer = await api.post(url, json=question, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 400  # understood: that Ingress has no failback by hand
    assert token not in (tmp_path / f"log-{admin}").read_text()


async def test_a_token_file_that_others_can_read_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("readable-by-everybody")
    path.chmod(0o644)
    done = await fleetgate("run", "--admin-token-file", str(path), "--state-dir", str(tmp_path / "state"))
    assert done.code == 2
    assert "--admin-token-file" in done.err
    assert "chmod 600" in done.err
    assert "readable-by-everybody" not in done.err
