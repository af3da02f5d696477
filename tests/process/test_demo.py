"""The demo as a whole: no process of it takes harm from a log rotation, or knows what its parent knows."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo import RunningDemo, running_demo, until

SECRETS = {"AWS_SECRET_ACCESS_KEY": "k3y", "KUBECONFIG": "/nowhere", "FLEETGATE_LIMITS": "max-connections=1"}


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningDemo]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with running_demo(tmp_path / "demo", workers=1) as running:
        yield running


def descendants(pid: int) -> list[int]:
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]
    return children + [each for child in children for each in descendants(child)]


def commands(demo: RunningDemo) -> dict[int, list[bytes]]:
    """Return the command lines of all processes of the demo."""
    found = descendants(demo.process.pid)
    return {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in found}


def test_every_process_of_the_demo_keeps_to_itself_and_survives_a_log_rotation(demo: RunningDemo) -> None:
    processes = commands(demo)
    assert len(processes) >= 3 + 2 + 2 + 4  # API servers, nodes, gateway and worker, pods
    for pid, command in processes.items():
        assert b"-P" in command[: command.index(b"-m")]
        names = {line.partition(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
        assert not names & {name.encode() for name in SECRETS}
    log, moved = demo.directory / "access.log", demo.directory / "access.log.1"
    until(log.exists, "an access log")
    log.rename(moved)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
        demo.process.send_signal(number)
    until(log.exists, "the access log reopened")
    for pid in processes:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, number)
    assert demo.tally("/svc1", 10).total() == 10
    until(lambda: log.read_text().count("\n") >= 10, "the requests in the new access log")
    assert commands(demo) == processes
    demo.process.send_signal(signal.SIGHUP)
    assert demo.process.wait(timeout=30) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
