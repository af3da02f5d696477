"""One data plane process: composition root, signals, and the order of a drain.

Started by the supervisor as `python -m proxy.worker`; see `--help`.
"""

import argparse
import asyncio
import ctypes
import gc
import logging
import mmap
import resource
import signal
import socket
import sys
from typing import Final

import msgspec
import uvloop
from msgspec.structs import replace

from proxy.agent import Agent
from proxy.dataplane import DataPlane
from proxy.downstream.guards.descriptors import DescriptorBudget, raised_limit
from proxy.downstream.listener import IDLE_GRACE_S, Listeners
from proxy.liveness import Liveness
from proxy.model import evidence
from proxy.spare import wait_for_place
from proxy.stderr import StderrHandler
from proxy.telemetry.access_log import FLUSH_S, AccessLog
from proxy.upstream.evidence.shared import MEMORY_BYTES, Shared

DEFAULT_GRACE_S: Final = 30.0
KEPT_BYTES: Final = 32 << 20
_HANDLED: Final = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
_POLL_S: Final = 0.05
_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3

log = logging.getLogger(__name__)


class Options(msgspec.Struct, frozen=True):
    worker: int
    socket: str
    generation: str
    fds: int | None
    liveness: int | None
    evidence: int | None
    spare: int | None
    access_log: str


class Worker:
    """The parts of one process, and its end."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        lines = AccessLog(options.access_log) if options.access_log != "off" else None
        self._options = options
        self._liveness = Liveness(options.liveness) if options.liveness is not None else None
        self._plane = DataPlane(loop, lines, _shared(options))
        budget = DescriptorBudget(raised_limit())
        self._listeners = Listeners(self._plane, budget, opens_sockets=options.fds is None)
        fds = socket.socket(fileno=options.fds) if options.fds is not None else None
        if fds is not None:
            fds.setblocking(False)
        self._agent = Agent(options.worker, options.generation, self._plane, self._listeners, self.drain, fds)
        self._grace: asyncio.Future[float] = loop.create_future()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        plane = self._plane
        if self._liveness is not None:
            self._liveness.start(loop)
        plane.wheel.start()
        plane.upstream.start(plane.wheel)
        if plane.log is not None:
            plane.wheel.schedule(plane.log, plane.wheel.now + FLUSH_S)
        self._handle_signals(loop)
        agent = asyncio.create_task(self._agent.run(self._options.socket))
        try:
            await self._finish_requests(await self._grace)
        finally:
            agent.cancel()
            await asyncio.gather(agent, return_exceptions=True)
            await plane.upstream.close()
            plane.wheel.stop()
            if plane.log is not None:
                plane.log.close()
            # The loop takes its handlers away before the process ends: then they would be an unclean end
            signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)

    def _handle_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Handle signals from here on. Earlier ones wait: the supervisor starts workers with a mask.

        SIGQUIT is the liveness page's.
        """
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.drain, DEFAULT_GRACE_S)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches the supervisor, which drains us
        loop.add_signal_handler(signal.SIGUSR1, self._reopen_log)
        loop.add_signal_handler(signal.SIGUSR2, log.info, "SIGUSR2 does nothing here")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)

    def _reopen_log(self) -> None:
        if self._plane.log is not None:
            self._plane.log.reopen()

    def drain(self, grace_s: float) -> None:
        """Stop accepting; end when every request is answered, or after `grace_s`."""
        self._plane.draining = True
        self._listeners.stop_accepting()
        if not self._grace.done():
            self._grace.set_result(grace_s)

    async def _finish_requests(self, grace_s: float) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while loop.time() - start < grace_s:
            if not any(listener.is_busy for listener in self._listeners):
                return
            if loop.time() - start >= min(IDLE_GRACE_S, grace_s):
                for listener in self._listeners:
                    listener.close_idle()
            await asyncio.sleep(_POLL_S)


def _shared(options: Options) -> Shared:
    """Return the memory that workers share. Raises OSError, ValueError when the file is no such memory."""
    if options.evidence is None:
        return Shared()
    return Shared(memoryview(mmap.mmap(options.evidence, evidence.BYTES))[:MEMORY_BYTES], options.worker)


def _parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m proxy.worker", description="One data plane process of fleetgate."
    )
    parser.add_argument("--id", type=int, default=0, dest="worker", help="number of this worker")
    parser.add_argument("--socket", required=True, help="Unix socket of the control plane")
    parser.add_argument("--generation", default="", help="of the supervisor that starts it")
    parser.add_argument("--fds", type=int, help="inherited socket that listening sockets come over")
    parser.add_argument("--liveness", type=int, metavar="FD", help="inherited page that says the loop turns")
    parser.add_argument("--evidence", type=int, metavar="FD", help="inherited file that the workers share")
    parser.add_argument(
        "--spare", type=int, metavar="FD", help="inherited socket that number and descriptors come over"
    )
    parser.add_argument("--access-log", default="-", metavar="PATH|-|off", help="default: standard output")
    return Options(**vars(parser.parse_args(arguments)))


def keep_memory() -> None:
    """Let freed memory stay with the process: taking it back from the kernel, page by page, was measured
    as a tenth of the time that answers of 1 MB take. Only glibc needs to be told."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES // 2)


def main() -> int:
    keep_memory()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would have private keys in it
    options = _parse(sys.argv[1:])
    if options.spare is not None:
        given = wait_for_place(options.spare)
        if given is None:
            return 0
        options = replace(
            options, worker=given.worker, fds=given.fds, liveness=given.liveness, evidence=given.evidence
        )
    logging.basicConfig(
        level=logging.INFO,
        format=f"level=%(levelname)s worker={options.worker} %(message)s",
        handlers=[StderrHandler()],
    )
    gc.set_threshold(
        20_000, 50, 100
    )  # requests leave no cycles; a full collection is a pause for all of them
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(Worker(options, runner.get_loop()).run())
        except OSError as error:
            print(f"worker {options.worker}: {error}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
