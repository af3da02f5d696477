"""How worker processes are started, and the spare one that is started before it is needed."""

import asyncio
import contextlib
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence

import msgspec

from controlplane.system import children, signals
from proxy.model.channel import Place


async def start(command: Sequence[str], *options: str, fds: Sequence[int]) -> Process:
    """Start a worker process that inherits these descriptors. Raises OSError."""
    with signals.held_for_child():
        return await asyncio.create_subprocess_exec(
            *command,
            *options,
            stdin=DEVNULL,
            pass_fds=fds,
            env=children.environment(),
            start_new_session=True,  # Ctrl-C in a terminal is for us: we drain the workers
        )


class Spare:
    """A process that has done its imports and can take any worker's place. It ends with this process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._channel: socket.socket | None = None
        self.process: Process | None = None

    async def keep(self) -> None:
        """Start the process, unless it runs. Raises OSError."""
        if self.process is not None and self.process.returncode is None:
            return
        self._forget()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        with theirs:
            self.process = await start(self._command, "--spare", str(theirs.fileno()), fds=(theirs.fileno(),))

    def take(self, worker: int, fds: Sequence[int]) -> Process | None:
        """Make the process this worker with these descriptors, and return it; None when there is none."""
        process, channel = self.process, self._channel
        if process is None or channel is None or process.returncode is not None:
            return None
        try:
            socket.send_fds(channel, [msgspec.json.encode(Place(worker))], fds)
        except OSError:  # it just ended
            process = None
        self._forget()
        return process

    async def end(self) -> None:
        """End the process, if it runs."""
        process = self.process
        self._forget()
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)  # not by subprocess.Popen: see Slot.signal
            await process.wait()

    def _forget(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = self.process = None
