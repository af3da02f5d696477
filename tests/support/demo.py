"""The demo as a user starts it, with kubectl and curl as clients."""

import asyncio
import base64
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from loadtest.ports import free_port
from tests.support.requests import request, tally

HOST = "alb.ingress.alibaba.com"
START_S = 60.0
ROOT = Path(__file__).parents[2]


@dataclass
class RunningDemo:
    port: int
    mse_port: int
    https_port: int
    admin_port: int
    directory: Path
    banner: str
    process: "subprocess.Popen[str]"

    def kubectl(self, cluster: str, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl against "fleet", "cluster-1" or "cluster-2"; return what it prints."""
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.directory / f"{cluster}.kubeconfig"), *arguments],
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "HOME": str(self.directory)},
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def api(self, cluster: str) -> httpx.AsyncClient:
        """Return a client of the API server of "fleet", "cluster-1" or "cluster-2", logged in."""
        return httpx.AsyncClient(**self._login(cluster))

    def get(self, cluster: str, path: str) -> dict[str, Any]:
        """Return an object or a list of an API server: what kubectl would print, without its 0.2 s of CPU."""
        with httpx.Client(**self._login(cluster)) as client:
            answer: dict[str, Any] = client.get(path).raise_for_status().json()
            return answer

    def _login(self, cluster: str) -> dict[str, Any]:
        config = yaml.safe_load((self.directory / f"{cluster}.kubeconfig").read_text())
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(server["certificate-authority-data"]).decode()
        return {
            "base_url": server["server"],
            "headers": {"authorization": f"Bearer {user['token']}"},
            "verify": ssl.create_default_context(cadata=authority),
            "trust_env": False,
            "timeout": 10.0,
        }

    def pid(self, name: str) -> int:
        """Return the process id that the banner names."""
        found = re.search(rf"{name} (\d+)", self.banner)
        assert found is not None, self.banner
        return int(found.group(1))

    def pods(self, env: str) -> list[int]:
        """Return the process ids of the web-demo pods of an environment of this demo."""
        nodes = {self.pid("cluster-1 node"), self.pid("cluster-2 node")}
        return [
            int(stat.parent.name)
            for stat in Path("/proc").glob("[0-9]*/stat")
            if _parent(stat) in nodes and f"--env={env}" in _command(stat.parent)
        ]

    def tally(
        self, path: str, count: int, *, host: str = HOST, extra: str = "", port: int = 0
    ) -> Counter[str]:
        """Count who answers `count` requests over one connection to the AlbConfig's port, or another."""
        answers = asyncio.run(tally(port or self.port, count, request(path, host=host, extra=extra)))
        return Counter({_who(answer): times for answer, times in answers.items()})

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=10, trust_env=False).text


def until(condition: Callable[[], bool], what: str, within: float = 20.0) -> None:
    """Wait for a condition; fail with `what` after `within` seconds.

    Asking, which often starts kubectl, rests twice as long as it took, at most a second: the demo has to
    run as well.
    """
    deadline = time.monotonic() + within
    asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now < deadline, f"not within {within} s: {what}"
        time.sleep(min(max(0.05, 2 * (now - asked)), 1.0))
        asked = time.monotonic()


@contextmanager
def running_demo(directory: Path, workers: int) -> Iterator[RunningDemo]:
    """Start `fleetgate demo` on free ports; end it by its process id."""
    port, mse_port, https_port, admin_port = (free_port() for _ in range(4))
    command = [
        *(sys.executable, "-m", "controlplane.cli.main", "demo"),
        *(
            "--port",
            str(port),
            "--mse-port",
            str(mse_port),
            "--https-port",
            str(https_port),
            "--admin-port",
            str(admin_port),
        ),
        *("--workers", str(workers), "--dir", str(directory)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        banner = ""
        started = time.monotonic()
        while "fleetgate_requests_total" not in banner:
            line = process.stdout.readline()
            assert line, f"the demo ended: {banner}"
            assert time.monotonic() - started < START_S
            banner += line
        yield RunningDemo(port, mse_port, https_port, admin_port, directory, banner, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def _who(answer: str) -> str:
    found = re.search(r"This is env (\w+) !", answer)
    return found.group(1) if found else answer


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return -1


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
