"""The state directory is believed only where no other user can have written, and no pid without proof."""

import asyncio
import errno
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest

from controlplane.gateway.workers import lock
from controlplane.publish import Held, SnapshotStore
from controlplane.supervisor import processes
from controlplane.supervisor.roster import Roster, RosterEntry
from controlplane.system import statedir
from controlplane.system.statedir import Untrusted
from proxy.model.codec import encode_snapshot
from tests.cli.test_command import KUBECONFIG, fleetgate
from tests.support.dataplane import running, snapshot
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable  # not in a home
FILES = (
    "workers.json",
    "snapshot.json",
    "held.json",
    "last-good.json",
    "lock",
    "control.sock",
    ".held.json.new",
)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of another user")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@asynccontextmanager
async def victim(*words: str) -> AsyncIterator[tuple[int, int]]:
    """Run a process that is nobody's worker; yield its pid and start time."""
    process = await asyncio.create_subprocess_exec(*(words or ("sleep", "60")))
    try:
        await until(lambda: processes.words(process.pid)[:1] != (sys.executable,))
        started = processes.start_time(process.pid)
        assert started is not None
        yield process.pid, started
        assert processes.start_time(process.pid) == started, "the victim was ended"
    finally:
        process.kill()
        await process.wait()


def plant(directory: Path, *entries: RosterEntry) -> None:
    path = directory / "workers.json"
    path.write_bytes(msgspec.json.encode(entries))
    path.chmod(0o600)


async def test_a_process_that_is_no_worker_gets_no_signal_whatever_the_list_says(state: Path) -> None:
    async with victim() as (pid, started):
        entry = RosterEntry(pid, started, "0123456789abcdef")
        plant(state, entry)
        assert not entry.alive
        entry.send(signal.SIGKILL)
        assert Roster(state / "workers.json").survivors() == ()
        async with running(state, workers=1) as plane:
            plane.supervisor.reopen_logs()
            plane.supervisor.orphans_told(frozenset(), 0.0)
            assert processes.start_time(pid) == started


async def test_a_worker_of_another_control_plane_gets_no_signal_of_ours(state: Path) -> None:
    """Its start time and pid are right; the random word on its command line is another one."""
    async with victim("sh", "-c", "sleep 60; :", "worker", "--generation", "theirs") as (pid, started):
        assert not RosterEntry(pid, started, "ours").alive
        assert not RosterEntry(pid, started + 1, "theirs").alive
        assert RosterEntry(pid, started, "theirs").alive


@needs_root
async def test_a_process_of_another_user_is_no_worker() -> None:
    words = ["sh", "-c", "sleep 60; :", "worker", "--generation", "ours"]
    process = await asyncio.create_subprocess_exec(*words, user=NOBODY, cwd="/")
    try:
        await until(lambda: "--generation" in processes.words(process.pid))
        started = processes.start_time(process.pid)
        assert started is not None
        entry = RosterEntry(process.pid, started, "ours")
        assert not entry.alive
        entry.send(signal.SIGKILL)
        assert processes.start_time(process.pid) == started
    finally:
        process.kill()
        await process.wait()


async def test_without_pidfd_there_is_no_signal_without_proof_either(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise PermissionError(errno.EPERM, "a sandbox")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    async with victim() as (pid, started):
        RosterEntry(pid, started, "0123456789abcdef").send(signal.SIGKILL)
    async with running(state, workers=1) as plane:
        await until(lambda: bool(plane.publisher.workers()), 15)
        Roster(state / "workers.json").survivors()[0].send(signal.SIGKILL)
        await until(lambda: plane.supervisor.views()[0].restarts == 1)


async def test_a_worker_of_ours_gets_the_signal(state: Path) -> None:
    async with running(state, workers=1) as plane:
        await until(lambda: bool(plane.publisher.workers()), 15)
        (entry,) = Roster(state / "workers.json").survivors()
        entry.send(signal.SIGKILL)
        await until(lambda: plane.supervisor.views()[0].restarts == 1)
        entry.send(signal.SIGKILL)  # nobody has its pid any more


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_directory_that_others_may_write_to_is_refused(mode: int, state: Path) -> None:
    state.chmod(mode)
    with pytest.raises(
        Untrusted, match=rf"{state} can be written by others \(mode {mode:04o}\).*chmod go-w {state}"
    ):
        lock(state)


@needs_root
def test_a_directory_of_another_user_is_refused(state: Path) -> None:
    os.chown(state, NOBODY, -1)
    with pytest.raises(Untrusted, match=rf"{state} belongs to .*uid {NOBODY}.*chown 0 {state}"):
        lock(state)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_others_may_write_to_is_refused(name: str, state: Path) -> None:
    (state / name).write_bytes(b"[]")
    (state / name).chmod(0o666)
    with pytest.raises(Untrusted, match=f"chmod go-w {state / name}"):
        lock(state)


@needs_root
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_user_is_refused(name: str, state: Path) -> None:
    (state / name).write_bytes(b"[]")
    (state / name).chmod(0o600)
    os.chown(state / name, NOBODY, -1)
    with pytest.raises(Untrusted, match=f"{state / name} belongs to"):
        lock(state)


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_the_place_of_a_file_is_refused(name: str, state: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"[]")
    (state / name).symlink_to(tmp_path / "other")
    with pytest.raises(Untrusted, match="symbolic link; remove it"):
        lock(state)
    (state / name).unlink()
    os.link(tmp_path / "other", state / name)
    with pytest.raises(Untrusted, match="hard link"):
        lock(state)
    assert (tmp_path / "other").read_bytes() == b"[]"


@needs_root
def test_a_link_of_another_user_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    os.close(lock(link / "state"))  # root's own
    os.chown(link, NOBODY, -1, follow_symlinks=False)
    with pytest.raises(Untrusted, match=f"{link} is a symbolic link of"):
        lock(link / "state")


def test_created_directories_and_files_are_private_whatever_the_umask_says(tmp_path: Path) -> None:
    with umask(0):
        os.close(lock(tmp_path / "a" / "b" / "state"))
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "state"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b" / "state" / "lock").stat().st_mode) == 0o600


def test_a_file_that_was_planted_after_the_start_is_not_read(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted = state / "snapshot.json"
    planted.write_bytes(encode_snapshot(snapshot(7, 8001)))
    planted.chmod(0o666)
    assert SnapshotStore(planted).load() is None
    assert "can be written by others" in str([vars(record) for record in caplog.records])
    planted.chmod(0o600)
    assert SnapshotStore(planted).load() is not None
    link = state / "held.json"
    link.symlink_to(planted)
    Held(link).load()
    with pytest.raises(Untrusted):
        statedir.read(link)


def test_the_command_says_what_is_wrong_on_one_line(tmp_path: Path, state: Path) -> None:
    (tmp_path / "fleet").write_text(KUBECONFIG)
    state.chmod(0o777)
    done = fleetgate(
        *("run", "--fleet-kubeconfig", str(tmp_path / "fleet"), "--admin", "127.0.0.1:0"),
        *("--state-dir", str(state), "--access-log", "off"),
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"fleetgate: state directory {state} cannot be trusted: {state} can be written"
    )
    assert done.stderr.count("\n") == 1


def test_the_demo_trusts_its_directory_no_more(state: Path) -> None:
    state.chmod(0o777)
    done = fleetgate("demo", "--dir", str(state), *_free_ports())
    assert done.returncode == 3
    assert done.stderr.startswith(
        f"fleetgate: --dir {state} cannot be trusted: {state} can be written by others"
    )


def _free_ports() -> tuple[str, ...]:
    with socket.socket() as a, socket.socket() as b, socket.socket() as c, socket.socket() as d:
        for each in (a, b, c, d):
            each.bind(("127.0.0.1", 0))
        words = zip(("--port", "--mse-port", "--https-port", "--admin-port"), (a, b, c, d), strict=True)
        return tuple(word for name, each in words for word in (name, str(each.getsockname()[1])))


def test_the_default_directory_does_not_depend_on_where_the_gateway_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert statedir.default() == Path("/var/lib/fleetgate")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert statedir.default() == Path("/home/user/.local/state/fleetgate")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # the specification: to be ignored
    assert statedir.default() == Path("/home/user/.local/state/fleetgate")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert statedir.default() == tmp_path / "fleetgate"


@needs_root
async def test_a_worker_tells_a_control_plane_of_another_user_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    ours = Path(tempfile.gettempdir())
    for parent in takewhile(lambda each: each != ours, tmp_path.parents):  # more of them beside other tests
        parent.chmod(0o711)
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "print('ready', flush=True); c = s.accept()[0]; print(len(c.recv(100)), flush=True)"
    )
    place = str(tmp_path / "control.sock")
    other = await asyncio.create_subprocess_exec(
        PYTHON, "-c", program, place, stdout=asyncio.subprocess.PIPE, user=NOBODY, cwd="/"
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"ready\n"
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy.worker", "--socket", place, "--access-log", "off"),
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(15):
            assert await other.stdout.readline() == b"0\n"
    finally:
        worker.kill()
        await worker.wait()
        if other.returncode is None:
            other.kill()
        await other.wait()
