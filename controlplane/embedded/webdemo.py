"""The demo pod: one process that answers like the web-demo image of the tutorials.

The module imports as little as possible, because a pod should listen within 150 ms of its start.
"""

import argparse
import asyncio
import ctypes
import functools
import json
import os
import signal
import socket
import sys
import time
from email.utils import formatdate

import uvloop

from controlplane.embedded.webdemo_http import Answer, Connection, Request, Site

PR_SET_PDEATHSIG = 1
FINISH_S = 5.0
"""How long requests under way may take once the grace period is over."""


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="webdemo", description="The demo pod.")
    parser.add_argument("--env", default="", help="environment named in the answer")
    parser.add_argument("--config", default="", help="text of the configuration file")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--port", type=int, action="append", help="port to listen on, 0 for a free one; repeatable"
    )
    parser.add_argument("--pod", default="", help="value of the x-pod header")
    parser.add_argument("--cluster", default="", help="value of the x-cluster header")
    parser.add_argument("--grace", type=float, default=0.5, help="seconds to go on serving after SIGTERM")
    parser.add_argument("--parent", type=int, default=0, help="pid of the parent to die with")
    return parser.parse_args(arguments)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the call above
        raise SystemExit(1)


class WebDemo:
    """The answers of one pod, and its end."""

    def __init__(self, options: argparse.Namespace) -> None:
        text = f"This is env {options.env} ! Config file is {options.config}\n"
        self._hello = Answer(200, "text/plain; charset=utf-8", text.encode())
        self._identity = {"pod": options.pod, "cluster": options.cluster}
        self._grace_s = float(options.grace)
        self._terminated = asyncio.Event()
        headers = f"x-pod: {options.pod}\r\nx-cluster: {options.cluster}\r\n".encode("latin-1")
        self.site = Site(self.answer, headers)

    def answer(self, request: Request) -> Answer:
        path, _, query = request.target.partition("?")
        if path == "/healthz":
            return self._health()
        if path == "/echo":
            return self._echo(request, path, query)
        return self._hello

    def _health(self) -> Answer:
        if self.site.draining:
            return Answer(503, "text/plain", b"terminating\n")
        return Answer(200, "text/plain", b"ok\n")

    def _echo(self, request: Request, path: str, query: str) -> Answer:
        seen = {
            "method": request.method,
            "path": path,
            "query": query,
            "headers": request.headers(),
            "bodyLength": request.body_bytes,
            **self._identity,
        }
        return Answer(200, "application/json", json.dumps(seen).encode() + b"\n")

    def terminate(self) -> None:
        """Fail readiness and ask clients to leave; the process ends after the grace period."""
        self.site.draining = True
        self._terminated.set()

    async def keep_date(self) -> None:
        while True:
            self.site.date = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
            await asyncio.sleep(1.0)

    async def until_drained(self) -> None:
        """Return after SIGTERM, when nothing is under way any more."""
        await self._terminated.wait()
        await asyncio.sleep(self._grace_s)
        deadline = time.monotonic() + FINISH_S
        while time.monotonic() < deadline:
            busy = [connection for connection in self.site.connections if not connection.close_if_idle()]
            if not busy:
                return
            await asyncio.sleep(0.02)


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM. Prints `listening PORT…` once, for the process that started it."""
    loop = asyncio.get_running_loop()
    demo = WebDemo(options)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        loop.add_signal_handler(number, demo.terminate)
    sockets = [socket.create_server((options.host, port), backlog=1024) for port in options.port or [8080]]
    factory = functools.partial(Connection, demo.site)
    servers = [await loop.create_server(factory, sock=listening) for listening in sockets]
    clock = loop.create_task(demo.keep_date())
    await asyncio.sleep(0)  # the first date is set before the first request
    ports = " ".join(str(listening.getsockname()[1]) for listening in sockets)
    os.write(sys.stdout.fileno(), f"listening {ports}\n".encode())
    await demo.until_drained()
    for server in servers:
        server.close()
    clock.cancel()


def main() -> None:
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # the process has no logs to reopen
        signal.signal(number, signal.SIG_IGN)
    options = parse_arguments(sys.argv[1:])
    if options.parent:
        die_with_parent(options.parent)
    try:
        uvloop.run(serve(options))
    except OSError as error:
        raise SystemExit(
            f"webdemo: cannot listen on {options.host} port {options.port}: {error.strerror}"
        ) from error


if __name__ == "__main__":
    main()
