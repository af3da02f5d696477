"""A fork of the fork server is what a new interpreter would be: most workers of tests are forks."""

import ast
import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.forks import ForkServer, fork_server
from tests.support.worker import MODULE, ROOT, WorkerProcess

PROGRAM = """
import json, os, resource, signal, sys, threading, time

def state():
    return {
        "arguments": sys.argv, "name": __name__, "environment": dict(os.environ), "directory": os.getcwd(),
        "descriptors": [os.readlink(f"/proc/self/fd/{n}") for n in range(3)],
        "open": len(os.listdir("/proc/self/fd")), "threads": threading.active_count(),
        "signals": {n: str(signal.getsignal(n)) for n in signal.valid_signals()},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "limits": [resource.getrlimit(n) for n in range(16)], "umask": os.umask(0o22),
        "group": os.getpgrp(), "session": os.getsid(0), "flags": str(sys.flags),
    }

if __name__ == "__main__":
    if sys.argv[1] == "state":
        print(json.dumps(state()), file=sys.stderr)
    elif sys.argv[1] == "sleep":
        print("asleep", file=sys.stderr, flush=True)
        time.sleep(60)
    elif sys.argv[1] == "raise":
        raise RuntimeError("as meant")
    elif sys.argv[1] == "copy":
        print(sys.stdin.read().upper())
    else:
        sys.exit(int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1])
"""
DRAWS = """
import os, sys, time
drawn = []

def watch(owner, name):
    real = getattr(owner, name)
    def watched(*arguments):
        drawn.append((name, sys._getframe(1).f_globals["__name__"]))
        return real(*arguments)
    setattr(owner, name, watched)

for name in ("urandom", "getpid", "getppid"):
    watch(os, name)
for name in ("time", "monotonic", "perf_counter"):
    watch(time, name)
    watch(time, name + "_ns")
import random
before = random.getstate()
import proxy.worker
print([(name, module) for name, module in drawn if module != "logging"], random.getstate() == before)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def server(program: Path) -> Iterator[ForkServer]:
    made = ForkServer(sys.executable, "program", str(program.parent))
    yield made
    made.end()


async def forked(server: ForkServer, errors: Path, *arguments: str) -> tuple[int, str]:
    with errors.open("w") as file:
        process = server.start(arguments, os.environ, file)
    async with asyncio.timeout(20):
        code = await process.wait()
    return code, errors.read_text()


def executed(program: Path, errors: Path, *arguments: str) -> tuple[int, str]:
    words = (sys.executable, "-P", "-m", "program", *arguments)
    with errors.open("w") as file:
        done = subprocess.run(
            words, stderr=file, env={**os.environ, "PYTHONPATH": str(program.parent)}, timeout=20, check=False
        )
    return done.returncode, errors.read_text()


def state(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    found["environment"].pop("PYTHONPATH", None)  # how it finds the program
    return found


async def test_a_fork_is_in_the_state_of_a_new_process(
    server: ForkServer, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATER", "than the server")
    monkeypatch.chdir(tmp_path)
    errors = tmp_path / "errors"
    code, text = await forked(server, errors, "state", "--word", "two words")
    assert (code, state(text)) == (0, state(executed(program, errors, "state", "--word", "two words")[1]))


@pytest.mark.parametrize("end", ["0", "3", "in words", "raise"])
async def test_a_fork_ends_as_a_new_process_does(
    server: ForkServer, program: Path, tmp_path: Path, end: str
) -> None:
    code, text = await forked(server, tmp_path / "errors", end)
    real_code, real_text = executed(program, tmp_path / "errors", end)
    assert code == real_code
    assert text.splitlines()[-1:] == real_text.splitlines()[-1:]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
async def test_a_signal_ends_a_fork(server: ForkServer, tmp_path: Path, number: signal.Signals) -> None:
    with (tmp_path / "errors").open("w") as errors:
        process = server.start(("sleep",), os.environ, errors)
    async with asyncio.timeout(20):
        while "asleep" not in (tmp_path / "errors").read_text():
            await asyncio.sleep(0.01)
        process.send_signal(number)
        assert await process.wait() == -number
    with pytest.raises(ProcessLookupError):
        process.kill()


async def test_forks_run_side_by_side_and_end_in_any_order(server: ForkServer, tmp_path: Path) -> None:
    with (tmp_path / "errors").open("w") as errors:
        first, second = (server.start(("sleep",), os.environ, errors) for _ in range(2))
        third = server.start(("7",), os.environ, errors)
    async with asyncio.timeout(20):
        assert await third.wait() == 7
        second.kill()
        assert await second.wait() == -signal.SIGKILL
        assert first.returncode is None
        first.kill()
        await first.wait()


def test_a_fork_runs_to_its_end_with_the_input_of_a_test(server: ForkServer) -> None:
    done = server.run(("copy",), os.environ, stdin="said\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "SAID\n\n", "")
    assert server.run(("4",), os.environ).returncode == 4


def test_a_fork_that_does_not_end_is_killed(server: ForkServer) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        server.run(("sleep",), os.environ, timeout_s=0.5)
    assert server.run(("0",), os.environ).returncode == 0


async def test_workers_of_tests_are_forks_and_those_with_a_limit_are_not() -> None:
    server = fork_server(sys.executable, MODULE, str(ROOT))
    async with WorkerProcess() as one, WorkerProcess(descriptors=(200, 300)) as other:
        assert one.process is not None
        assert other.process is not None
        assert _parent(other.process.pid) == os.getpid()
        assert _parent(one.process.pid) == server.pid


def test_a_worker_process_is_started_by_a_fixture_or_a_test() -> None:
    """Tests of the compiled worker leave out what starts none: see has_worker."""
    starting = {
        (path.name if path.name.startswith("test_") else str(path.relative_to(ROOT)), name)
        for path in (ROOT / "tests").rglob("*.py")
        for name in _starting(path)
        if not (path.name.startswith("test_") and name.startswith("test_"))
    }
    assert starting == {
        ("tests/dataplane/conftest.py", "worker"),
        ("test_h2_attacks.py", "serving"),
        ("test_h2spec.py", "h2_target"),
        ("test_http2_clients.py", "site"),
        ("test_http2_sequences.py", "setting"),
        ("test_request_vectors.py", "lane"),
        ("test_response_vectors.py", "lane"),
    }


def _starting(path: Path) -> set[str]:
    """Return the functions of a file in which WorkerProcess is called."""
    return {
        function.name
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == WorkerProcess.__name__
    }


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_imports_draw_nothing_that_forks_would_share() -> None:
    """Neither random numbers, nor the time, nor the number of the process."""
    command = (sys.executable, "-c", DRAWS)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[] True"
