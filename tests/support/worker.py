"""A worker process under test, with the test as its control plane."""

import asyncio
import functools
import os
import resource
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

from proxy.model.channel import (
    Ack,
    Apply,
    EndpointsChanged,
    FromWorker,
    Hello,
    Nack,
    Report,
    StatsJoiner,
    ToWorker,
    UseCertificates,
    encode,
    from_worker_framer,
)
from proxy.model.snapshot import Service, Snapshot
from proxy.model.statistics import Stats
from proxy.model.tls import Certificate
from tests.support.forks import Forked, fork_server

START_S = 10.0
WORKER_PYTHON = os.environ.get("FLEETGATE_WORKER_PYTHON", "")
"""Python with fleetgate installed, whose worker is tested instead of the sources' (make test-compiled)."""

Message = TypeVar("Message")


MODULE = "proxy.worker"
ROOT = Path(__file__).parents[2]


def has_worker(item: pytest.Item) -> bool:
    """Whether a test may start a WorkerProcess: by a fixture, or because its file imports the class.

    tests/test_fork_server.py sees to it that there is no third way.
    """
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return "worker" in fixtures or hasattr(getattr(item, "module", None), WorkerProcess.__name__)


class WorkerProcess:
    """Starts `python -m proxy.worker`, answers its control channel, ends it.

    A fork server does most of it; with `descriptors`, the interpreter is started as the product starts it.
    """

    def __init__(
        self, access_log: str = "off", *, descriptors: tuple[int, int] | None = None, complains: str = ""
    ) -> None:
        """`descriptors` is its RLIMIT_NOFILE, soft and hard; `complains` what it will have logged."""
        self._descriptors = descriptors
        self._complains = complains
        self._directory = tempfile.TemporaryDirectory(prefix="fleetgate-test-")
        self._access_log = access_log
        self._stderr = (Path(self._directory.name) / "stderr").open("w+")
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._inbox: asyncio.Queue[FromWorker] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes = 0  # of endpoints, of which no answer was read
        self.hello: Hello | None = None
        self.process: asyncio.subprocess.Process | Forked | None = None

    async def __aenter__(self) -> Self:
        path = Path(self._directory.name) / "control.sock"
        self._server = await asyncio.start_unix_server(self._serve, path)
        self.process = await self._start(
            "--socket", str(path), "--generation", "test", "--access-log", self._access_log
        )
        hello = await self._next(Hello)
        self.hello = hello
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None
        assert self._server is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stderr.seek(0)
        said = self._stderr.read()
        self._stderr.close()
        self._directory.cleanup()
        if error is None:
            # Whatever its peers do, a worker has nothing to complain of, unless the test is about that
            assert self._complains in said if self._complains else not said, said

    async def _start(self, *options: str) -> "asyncio.subprocess.Process | Forked":
        if self._descriptors is None:
            server = fork_server(WORKER_PYTHON or sys.executable, MODULE, "" if WORKER_PYTHON else str(ROOT))
            return server.start(options, os.environ, self._stderr)
        command = (WORKER_PYTHON, "-P") if WORKER_PYTHON else (sys.executable,)
        sources = {} if WORKER_PYTHON else {"PYTHONPATH": str(ROOT)}
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, self._descriptors)
        return await asyncio.create_subprocess_exec(
            *command, "-m", MODULE, *options,
            env={**os.environ, **sources}, stderr=self._stderr, preexec_fn=limit,
        )  # fmt: skip

    def cpu_s(self) -> float:
        """CPU time it has used so far."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def apply(self, snapshot: Snapshot) -> Ack | Nack:
        """Return what the worker answers to this snapshot, not to the endpoints that were sent before."""
        self.send(Apply(snapshot))
        while True:
            answer = await self._next(Ack, Nack)
            assert isinstance(answer, Ack | Nack)
            if isinstance(answer, Nack) or not self._changes:
                return answer
            self._changes -= 1

    def use_certificates(self, *certificates: Certificate, removed: tuple[str, ...] = ()) -> None:
        self.send(UseCertificates(certificates, removed))

    def change_endpoints(self, version: int, *services: Service) -> None:
        self._changes += 1
        self.send(EndpointsChanged(version, services))

    async def stats(self) -> Stats:
        self.send(Report())
        return await self._next(Stats)

    def send(self, message: ToWorker) -> None:
        assert self._writer is not None
        self._writer.write(encode(message))

    async def message(self) -> FromWorker:
        """Return the next thing the worker says, whatever it is."""
        async with asyncio.timeout(START_S):
            return await self._inbox.get()

    async def _next(self, *kinds: type[Message]) -> Message:
        async with asyncio.timeout(START_S):
            while True:
                message = await self._inbox.get()
                if isinstance(message, kinds):
                    return message

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writer = writer
        framer = from_worker_framer()
        joiner = StatsJoiner()
        try:
            while data := await reader.read(1 << 20):
                for piece in framer.feed(data):
                    message = joiner.whole(piece)
                    if message is not None:
                        self._inbox.put_nowait(message)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
