"""One worker's place: its listening sockets, which outlive it, and the process that is in it now."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from controlplane import children
from controlplane.supervisor import processes
from controlplane.supervisor.roster import Entry
from controlplane.supervisor.sockets import Address
from proxy.model.channel import ListenerSocket

log = logging.getLogger(__name__)

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
HEALTHY_AFTER_S = 30.0

SILENT_LIMIT = 5
"""Heartbeats (one per second) a worker may leave unanswered. Counted, not timed: a control plane that
was itself stopped for a minute must not take its workers for dead."""

SILENT_LIMIT_AT_START = 15
"""The same before its first word: a busy machine imports slowly."""


@dataclass(slots=True)
class Backoff:
    """The first restart is immediate; then 0.1 s doubling to 5 s, until a worker lived 30 s."""

    next_s: float = 0.0

    def after(self, lived_s: float) -> float:
        if lived_s >= HEALTHY_AFTER_S:
            self.next_s = 0.0
        delay = self.next_s
        self.next_s = min(BACKOFF_MAX_S, max(BACKOFF_FIRST_S, 2 * delay))
        return delay


class Slot:
    """Keeps one worker running until `stop`."""

    def __init__(
        self, worker: int, command: Sequence[str], on_change: Callable[[int, int | None], None]
    ) -> None:
        self.worker = worker
        self.restarts = 0
        self._command = tuple(command)
        self._on_change = on_change
        self._sockets: dict[Address, socket.socket] = {}
        self._unsent: list[Address] = []
        self._channel: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0
        self._stopping = asyncio.Event()
        self._backoff = Backoff()
        self._silent = 0
        self._heard: int | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def entry(self, generation: str) -> Entry | None:
        return None if self._process is None else Entry(self._process.pid, self._started, generation)

    def add_socket(self, address: Address, listening: socket.socket) -> None:
        """Take over a listening socket and pass it to the worker."""
        self._sockets[address] = listening
        self._unsent.append(address)
        self.flush()

    def drop_socket(self, address: Address) -> None:
        self._sockets.pop(address).close()
        if address in self._unsent:
            self._unsent.remove(address)

    def flush(self) -> bool:
        """Send what the worker has not got yet; what does not fit its queue waits for the next call.

        Returns whether anything was sent.
        """
        before = len(self._unsent)
        while self._unsent and self._channel is not None:
            address = self._unsent[0]
            label = msgspec.json.encode(ListenerSocket(*address))
            try:
                socket.send_fds(self._channel, [label], [self._sockets[address].fileno()])
            except OSError:  # full (after 278), or the worker just died: its successor is sent everything
                break
            del self._unsent[0]
        return len(self._unsent) < before

    async def run(self) -> None:
        """Start the worker, and start it again whenever it ends."""
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = loop.time()
            await self._run_once()
            delay = self._backoff.after(loop.time() - started)
            self.restarts += not self._stopping.is_set()
            if delay:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)

    def stop(self) -> None:
        """From now on the end of the worker is its end."""
        self._stopping.set()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def heartbeat(self, heard: int | None) -> None:
        """`heard` is how many messages the worker has sent so far, None before its first word."""
        if self._process is None:
            return
        if heard is not None and heard != self._heard:
            self._heard, self._silent = heard, 0
            return
        self._silent += 1
        limit = SILENT_LIMIT_AT_START if self._heard is None else SILENT_LIMIT
        if self._silent >= limit:
            log.error("worker hangs, killed", extra={"worker": self.worker, "pid": self._process.pid})
            self.signal(signal.SIGKILL)

    async def _run_once(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._channel, self._unsent = ours, list(self._sockets)
        self._heard, self._silent = None, 0
        self.flush()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    *("--id", str(self.worker), "--fds", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=children.environment(),
                    start_new_session=True,  # Ctrl-C in a terminal is for us: we drain them
                )
            await self._watch(process)
        except OSError as error:
            log.error("worker not started", extra={"worker": self.worker, "cause": str(error)})
        finally:
            self._channel = None
            ours.close()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        self._process, self._started = process, processes.start_time(process.pid) or 0
        log.info("worker started", extra={"worker": self.worker, "pid": process.pid})
        self._on_change(self.worker, None)
        if self._stopping.is_set():  # too late to be told to drain
            self.signal(signal.SIGTERM)
        code = await process.wait()
        self._process = None
        level = logging.INFO if self._stopping.is_set() and code == 0 else logging.ERROR
        log.log(
            level, "worker ended", extra={"worker": self.worker, "pid": process.pid, "status": _status(code)}
        )
        self._on_change(self.worker, process.pid)

    def close(self) -> None:
        for listening in self._sockets.values():
            listening.close()
        self._sockets.clear()
        self._unsent.clear()


def _status(code: int) -> str:
    """Name the signal that ended a process, or give its exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
