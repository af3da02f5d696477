"""Processes that a fork server starts: what a test asks of a process, without its half second of imports."""

import asyncio
import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_SERVER = Path(__file__).with_name("forkserver.py")
_READY_S = 60.0


class ForkServer:
    """Runs a module of one interpreter; see tests/support/forkserver.py.

    Every fork hashes strings as its server does. Each run of pytest has other servers.
    """

    def __init__(self, python: str, module: str, path: str, imported: Sequence[str] = ()) -> None:
        """`path` is PYTHONPATH of the server and of every fork; `imported` are modules to import before."""
        self._asking = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [python, "-P", str(_SERVER), str(theirs.fileno()), module, *imported],
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=(theirs.fileno(),),
            )
        self.pid = self._process.pid
        atexit.register(self.end)
        self._channel.settimeout(_READY_S)
        assert self._channel.recv(16) == b"ready", f"no fork server of {module}"

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], errors: IO[str]) -> "Forked":
        """Start the module in the current directory; it has the standard input and output of this process."""
        return Forked(self, self._fork(arguments, environment, 0, 1, errors.fileno()))

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stdin: str = "",
        timeout_s: float = 30.0,
    ) -> "subprocess.CompletedProcess[str]":
        """Run the module to its end in the current directory, as subprocess.run does; from any thread."""
        with (
            tempfile.TemporaryFile() as source,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            source.write(stdin.encode())
            source.seek(0)
            pid = self._fork(arguments, environment, source.fileno(), out.fileno(), err.fileno())
            descriptor = os.pidfd_open(pid)
            try:
                if not select.select([descriptor], [], [], timeout_s)[0]:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    self.reap(pid)
                    raise subprocess.TimeoutExpired(list(arguments), timeout_s)
            finally:
                os.close(descriptor)
            code = self.reap(pid)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())

    def _fork(self, arguments: Sequence[str], environment: Mapping[str, str], *fds: int) -> int:
        request = {"arguments": arguments, "environment": dict(environment), "directory": os.getcwd()}
        return self._ask(request, *fds)

    def reap(self, pid: int) -> int:
        """Return the exit code of a fork that has ended, as subprocess.Popen does."""
        return os.waitstatus_to_exitcode(self._ask({"reap": pid}))

    def _ask(self, request: object, *fds: int) -> int:
        with self._asking:
            socket.send_fds(self._channel, [json.dumps(request).encode()], fds)
            return int(self._channel.recv(16))

    def end(self) -> None:
        self._channel.close()
        self._process.wait()


class Forked:
    """What tests use of asyncio.subprocess.Process."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._ended = asyncio.Event()
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._reap)

    def send_signal(self, number: int) -> None:
        """Send a signal. Raises ProcessLookupError when the process has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def _reap(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self.returncode = self._server.reap(self.pid)
        os.close(self._descriptor)
        self._ended.set()


@functools.cache
def fork_server(python: str, module: str, path: str = "", imported: tuple[str, ...] = ()) -> ForkServer:
    """Return the server of this process, which lives as long as this process."""
    return ForkServer(python, module, path, imported)
