"""The file that tells the next control plane which workers this one left behind."""

import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import msgspec

from controlplane.supervisor import processes

log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """One worker process. `started` is its start time in clock ticks since boot."""

    pid: int
    started: int
    generation: str

    @property
    def alive(self) -> bool:
        return processes.start_time(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone: another one may have its pid."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(slots=True)
class Roster:
    """`workers.json` in the state directory."""

    path: Path

    def survivors(self) -> tuple[Entry, ...]:
        """Return the listed workers that still run."""
        try:
            entries = msgspec.json.decode(self.path.read_bytes(), type=tuple[Entry, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("list of earlier workers ignored", extra={"cause": str(error)})
            return ()
        return tuple(entry for entry in entries if entry.alive)

    def write(self, entries: tuple[Entry, ...]) -> None:
        """Replace the list. A full disk is tolerated: it costs a take-over, not the service."""
        temporary = self.path.with_name(f".{self.path.name}.new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.encode(entries))
            temporary.replace(self.path)
        except OSError as error:
            log.error("list of workers not saved", extra={"cause": str(error)})
