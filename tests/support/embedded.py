"""Embedded API servers for tests: in this loop with an httpx client, or as a process with kubectl."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from controlplane.embedded.server import EmbeddedServer

DEADLINE = 15.0


def trusting(server: EmbeddedServer) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=(server.ca_pem or b"").decode())


@asynccontextmanager
async def running_server(**options: Any) -> AsyncIterator[tuple[EmbeddedServer, httpx.AsyncClient]]:
    """A server and a client that is logged in."""
    server = EmbeddedServer("test", **options)
    await server.start()
    headers = {"authorization": f"Bearer {server.token}"}
    try:
        async with httpx.AsyncClient(
            base_url=server.url, headers=headers, verify=trusting(server), trust_env=False, timeout=DEADLINE
        ) as client:
            yield server, client
    finally:
        await server.stop()


class WatchStream:
    """The events of one watch, each read with a deadline."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        line = await asyncio.wait_for(anext(self._lines), DEADLINE)
        event: dict[str, Any] = json.loads(line)
        return event

    async def rest(self) -> list[dict[str, Any]]:
        return [json.loads(line) async for line in self._lines]


@asynccontextmanager
async def watching(client: httpx.AsyncClient, path: str, **query: Any) -> AsyncIterator[WatchStream]:
    async with client.stream("GET", path, params={"watch": "1", **query}) as response:
        assert response.status_code == 200
        yield WatchStream(response)


class Kubectl:
    """kubectl with a home of its own."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "KUBECACHEDIR": str(home / "cache"),
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE * 2,
            check=False,
        )

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """The output of a command that has to succeed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """The error text of a command that has to fail."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stderr

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["kubectl", *arguments], env=self._environment, stdout=subprocess.PIPE, text=True
        )


@contextmanager
def server_process(directory: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`python -m controlplane.embedded` until the block ends; gives the process and its kubeconfig."""
    kubeconfig = directory / "test.kubeconfig"
    command = [sys.executable, "-W", "error", "-m", "controlplane.embedded", "--name", "test"]
    process = subprocess.Popen(
        [*command, "--kubeconfig", str(kubeconfig), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "serves https://" in line, line + process.stdout.read()
        yield process, kubeconfig
    finally:
        process.terminate()
        process.wait(DEADLINE)
        if process.stdout is not None:
            process.stdout.close()


async def gone(client: httpx.AsyncClient, path: str) -> None:
    """Until `path` is not found."""
    async with asyncio.timeout(DEADLINE):
        for pause in itertools.repeat(0.01):
            if (await client.get(path)).status_code == 404:
                return
            await asyncio.sleep(pause)


def until(check: Any, *, deadline: float = DEADLINE) -> Any:
    """Calls `check` until it gives something true."""
    end = time.monotonic() + deadline
    while not (found := check()):
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.02)
    return found
