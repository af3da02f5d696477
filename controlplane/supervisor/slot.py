"""One worker's place: its listening sockets, which outlive it, and the process that is in it now."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from controlplane.supervisor import processes
from controlplane.supervisor.hangs import Hang, Look, Reason
from controlplane.supervisor.page import LivenessPage
from controlplane.supervisor.roster import RosterEntry
from controlplane.supervisor.sockets import Address
from controlplane.supervisor.starting import Spare, start
from proxy.model.channel import ListenerSocket

log = logging.getLogger(__name__)

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
HEALTHY_AFTER_S = 30.0

STACK_PATIENCE_S = 0.1
"""A worker that hangs has this long to write where it is, before it is killed."""

RESTART_REASONS: Final = (*Reason, "signal", "exit", "not_started")
"""Why a worker's process had to be replaced. "signal" is one that the kernel or another program sent."""


class RestartBackoff(msgspec.Struct):
    """The pause before a restart: none at first, then 0.1 s.

    The pause doubles up to 5 s only while processes end that have never served: clients miss a worker that
    has served, and the cause of its end need not return.
    """

    next_s: float = 0.0

    def after(self, lived_s: float, *, served: bool) -> float:
        if lived_s >= HEALTHY_AFTER_S:
            self.next_s = 0.0
        delay = min(self.next_s, BACKOFF_FIRST_S) if served else self.next_s
        self.next_s = min(BACKOFF_MAX_S, max(BACKOFF_FIRST_S, 2 * delay))
        return delay


class Slot:
    """Keeps one worker running until `stop`."""

    def __init__(
        self,
        worker: int,
        command: Sequence[str],
        spare: Spare,
        evidence: int,
        on_change: Callable[[int, int | None], None],
    ) -> None:
        """`evidence` is the descriptor of the file that all workers share."""
        self.worker = worker
        self._evidence = evidence
        self.restarts: Counter[str] = Counter(dict.fromkeys(RESTART_REASONS, 0))
        self._command = tuple(command)
        self._spare = spare
        self._on_change = on_change
        self._sockets: dict[Address, socket.socket] = {}
        self._unsent: list[Address] = []
        self._channel: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0
        self._stopping = asyncio.Event()
        self._backoff = RestartBackoff()
        self._page: LivenessPage | None = None
        self._hang: Hang | None = None
        self._has_served = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def entry(self, generation: str) -> RosterEntry | None:
        return None if self._process is None else RosterEntry(self._process.pid, self._started, generation)

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
        """Send the sockets that the worker lacks; those that do not fit its queue wait for the next call.

        Returns whether any socket was sent.
        """
        before = len(self._unsent)
        while self._unsent and self._channel is not None:
            address = self._unsent[0]
            label = msgspec.json.encode(ListenerSocket(*address))
            try:
                socket.send_fds(self._channel, [label], [self._sockets[address].fileno()])
            except OSError:  # full (after 278), or the worker just died: its successor gets all sockets
                break
            del self._unsent[0]
        return len(self._unsent) < before

    async def run(self) -> None:
        """Start the worker, and start it again whenever it ends."""
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = loop.time()
            reason = await self._run_once()
            delay = self._backoff.after(loop.time() - started, served=self._has_served)
            self.restarts[reason] += not self._stopping.is_set()
            if delay:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)

    def stop(self) -> None:
        """Let the worker's process end without a successor from now on."""
        self._stopping.set()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended.

        Not by subprocess.Popen: it would collect the exit status of a process that has just ended, and
        asyncio would report 255 instead.
        """
        if self._process is not None and processes.start_time(self._process.pid) == self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def look(self, serving: frozenset[int]) -> Look | None:
        """Return an observation of the process now, None without a process to judge."""
        if self._process is None or self._page is None or self._hang is not None:
            return None
        pid = self._process.pid
        self._has_served |= pid in serving
        times = processes.main_thread(pid)
        if times is None:
            return None
        return Look(pid, self._page.turns(), times.ran_s, times.waited_s, times.is_ready, pid in serving)

    def end(self, hang: Hang) -> None:
        """Kill the process, after a moment in which it may say where it hangs."""
        self._hang = hang
        patience_s = 0.0
        if self._page is not None and self._page.turns():  # before its first turn SIGQUIT would dump core
            self.signal(signal.SIGQUIT)
            patience_s = STACK_PATIENCE_S
        asyncio.get_running_loop().call_later(patience_s, self._kill, hang)

    def _kill(self, hang: Hang) -> None:
        if self._process is None or self._process.pid != hang.pid:
            return  # it ended by itself
        stack = self._page.stack() if self._page is not None else ""
        log.error(
            "worker hangs, killed",
            extra={
                "worker": self.worker,
                "pid": hang.pid,
                "reason": hang.reason.value,
                "cause": hang.cause,
                "stack": stack or "unknown",
            },
        )
        self.signal(signal.SIGKILL)

    async def _run_once(self) -> str:
        """Return why the process ended."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._channel, self._unsent, self._has_served = ours, list(self._sockets), False
        self.flush()
        try:
            with theirs, LivenessPage() as self._page:
                process = await self._start(theirs.fileno(), self._page.fd)
                theirs.close()
                return await self._watch(process)
        except OSError as error:
            log.error("worker not started", extra={"worker": self.worker, "cause": str(error)})
            return "not_started"
        finally:
            self._channel = self._page = self._hang = None
            ours.close()

    async def _start(self, fds: int, liveness: int) -> asyncio.subprocess.Process:
        inherited = (fds, liveness, self._evidence)
        spare = self._spare.take(self.worker, inherited)
        if spare is not None:
            return spare
        options = ("--fds", str(fds), "--liveness", str(liveness), "--evidence", str(self._evidence))
        return await start(self._command, "--id", str(self.worker), *options, fds=inherited)

    async def _watch(self, process: asyncio.subprocess.Process) -> str:
        self._process, self._started = process, processes.start_time(process.pid) or 0
        log.info("worker started", extra={"worker": self.worker, "pid": process.pid})
        self._on_change(self.worker, None)
        if self._stopping.is_set():  # too late for the message to drain
            self.signal(signal.SIGTERM)
        code = await process.wait()
        self._process = None
        was_asked = self._stopping.is_set() and code in (0, -signal.SIGTERM)  # it ends so before it has begun
        level = logging.INFO if was_asked else logging.ERROR
        log.log(
            level, "worker ended", extra={"worker": self.worker, "pid": process.pid, "status": _status(code)}
        )
        self._on_change(self.worker, process.pid)
        if self._hang is not None:
            return self._hang.reason
        return "signal" if code < 0 else "exit"

    def close(self) -> None:
        for listening in self._sockets.values():
            listening.close()
        self._sockets.clear()
        self._unsent.clear()


def _status(code: int) -> str:
    """Name the signal that ended a process, or give its exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
