"""The file that names the workers of a control plane for the next control plane."""

import contextlib
import errno
import logging
import os
import signal
from itertools import pairwise
from pathlib import Path

import msgspec

from controlplane.supervisor import processes
from controlplane.system import statedir

log = logging.getLogger(__name__)


class RosterEntry(msgspec.Struct, frozen=True):
    """One worker process. `started` is its start time in clock ticks since boot.

    `generation` is a random word of the control plane that started it, and on its command line: no
    other process has it, even if a file names one.
    """

    pid: int
    started: int
    generation: str

    @property
    def alive(self) -> bool:
        """Whether this process runs, and is the recorded worker."""
        if processes.start_time(self.pid) != self.started or processes.user(self.pid) != os.geteuid():
            return False
        words = processes.words(self.pid)
        return ("--generation", self.generation) in pairwise(words)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this worker, and to no process that has got its pid meanwhile."""
        try:
            process = os.pidfd_open(self.pid)
        except OSError as error:
            if error.errno != errno.ESRCH:  # a sandbox that knows no pidfd: the time between is short
                self._signal_by_pid(number)
            return
        try:
            if self.alive:
                signal.pidfd_send_signal(process, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(process)

    def _signal_by_pid(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Roster(msgspec.Struct):
    """`workers.json` in the state directory."""

    path: Path

    def survivors(self) -> tuple[RosterEntry, ...]:
        """Return the listed workers that still run."""
        try:
            entries = msgspec.json.decode(statedir.read(self.path), type=tuple[RosterEntry, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("list of earlier workers ignored", extra={"cause": str(error)})
            return ()
        return tuple(entry for entry in entries if entry.alive)

    def write(self, entries: tuple[RosterEntry, ...]) -> None:
        """Replace the list. A full disk is tolerated: it costs a take-over, not the service."""
        temporary = self.path.with_name(f".{self.path.name}.new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.encode(entries))
            temporary.replace(self.path)
        except OSError as error:
            log.error("list of workers not saved", extra={"cause": str(error)})
