"""Processes under test: started on a core, awaited, accounted for from /proc, stopped by their id."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.system import children

START_S = 15.0
STOP_S = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")
PROJECT = Path(__file__).parents[2]


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the load tests, see `own_environment`."""
    return [sys.executable, "-P", "-m", name, *arguments]


def own_environment() -> dict[str, str]:
    """Return the environment in which a child finds the modules of the load tests."""
    return {**children.environment(), "PYTHONPATH": str(PROJECT)}


class StartError(Exception):
    """A process ended, or did not listen in time; the message has its lines on standard error."""


@contextmanager
def on_cores(*cores: int) -> Iterator[None]:
    """Have children that are started inside run on these cores only, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Started:
    """A process and the file its messages go to."""

    def __init__(
        self, command: list[str], directory: Path, cores: tuple[int, ...], *, stdout: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`stdout` is appended to; without it, output goes to the file of standard error. Programs that are
        no module of ours get only the variables of `children.environment`."""
        self._messages = directory / "messages"
        with (
            on_cores(*cores),
            self._messages.open("ab") as messages,
            (stdout or self._messages).open("ab") as out,
        ):
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=messages, cwd=directory,
                env=children.environment() if environment is None else environment,
            )  # fmt: skip
        self.pid = self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait_for_port(self, port: int, address: str = "127.0.0.1") -> None:
        """Return when the port accepts. Raises StartError, the process then is stopped."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and not self.has_ended:
            try:
                socket.create_connection((address, port), timeout=1.0).close()
                return
            except OSError:
                time.sleep(0.01)
        raise self.failed(f"nothing listens on port {port}")

    def failed(self, reason: str) -> StartError:
        """Stop the process and return the error to raise."""
        self.stop()
        said = self._messages.read_text(errors="replace").strip()[-2000:]
        return StartError(f"{self._process.args!r} did not start: {reason}: {said}")

    def stop(self) -> None:
        """End the process. May be called again."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def in_background(core: int) -> Iterator[None]:
    """Run this process on the core, and only while no other process wants it. Not for starting others."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        with on_cores(core):
            yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def cpu_s(pid: int) -> float:
    """Return the user and system time of a process, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class CoreWaits:
    """Time for which the main threads of some processes could have run, and had no core."""

    def __init__(self, *pids: int) -> None:
        self._files = [os.open(f"/proc/{pid}/schedstat", os.O_RDONLY) for pid in pids]

    def seconds(self) -> float:
        """Return the sum since the processes started."""
        return sum(int(os.pread(file, 100, 0).split()[1]) for file in self._files) / 1e9


def rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def raise_file_limit() -> int:
    """Let this process and its children open as many files as the system permits; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
