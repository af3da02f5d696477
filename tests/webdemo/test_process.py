"""The demo pod as a process: it starts fast, drains on SIGTERM and never outlives its parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-I", "-m", "controlplane.embedded.webdemo", "--port", "0"]


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline().split()[1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def until_gone(pid: int, deadline_s: float = 5.0) -> bool:
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.01)
    return False


def test_sigterm_fails_readiness_serves_on_for_the_grace_period_and_exits_0() -> None:
    with started("--env", "cluster2", "--grace", "0.4") as (process, port), httpx.Client() as client:
        url = f"http://127.0.0.1:{port}"
        assert client.get(f"{url}/healthz").status_code == 200
        process.terminate()
        deadline = time.monotonic() + 3
        while client.get(f"{url}/healthz").status_code == 200:
            assert time.monotonic() < deadline
        answer = client.get(url)
        assert answer.text == "This is env cluster2 ! Config file is \n"
        assert answer.headers["connection"] == "close"
        assert process.wait(5) == 0


def test_a_request_under_way_at_sigterm_is_finished() -> None:
    with started("--grace", "0.05") as (process, port):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            idle = socket.create_connection(("127.0.0.1", port), 5)
            connection.sendall(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            process.terminate()
            assert idle.recv(1) == b""  # an idle connection is closed
            idle.close()
            assert process.poll() is None
            connection.sendall(b"cd")
            assert b'"bodyLength": 4' in connection.recv(65536)
        assert process.wait(5) == 0


def test_a_busy_port_is_one_line_and_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        done = subprocess.run([*COMMAND[:-1], port], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert done.stderr.startswith("webdemo: cannot listen on 127.0.0.1 port")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_pod_dies_with_its_parent_even_when_that_is_killed() -> None:
    starter = (
        "import os, subprocess, sys;"
        "pod = subprocess.Popen([*sys.argv[1:], '--parent', str(os.getpid())], stdout=subprocess.PIPE);"
        "pod.stdout.readline(); print(pod.pid, flush=True); pod.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter, *COMMAND], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, signal.SIGSTOP)  # not even a stopped pod survives
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until_gone(pid)
