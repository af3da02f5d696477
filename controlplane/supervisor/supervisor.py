"""N worker processes: started, kept running, replaced when they hang, drained at the end."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import field

from controlplane.supervisor.hangs import Judge
from controlplane.supervisor.page import memory_file
from controlplane.supervisor.roster import Roster, RosterEntry
from controlplane.supervisor.slot import Slot
from controlplane.supervisor.sockets import Address, CannotListen, open_group
from controlplane.supervisor.starting import Spare
from proxy.model import evidence
from proxy.model.snapshot import Listener

log = logging.getLogger(__name__)

ORPHAN_PATIENCE_S = 5.0
"""How long a worker of an earlier control plane may take to connect, or to end after its grace."""

END_S = 3.0
"""A worker ends by itself when its grace is over, and has this long to write the end of its access log."""

SPARE_PAUSE_S = 1.0
"""How often it is looked whether a spare process has to be started."""

LATE_S = 3.0
"""Between two ticks: after more, this process was stopped, and other processes may have been, too."""


class WorkerCommand(msgspec.Struct, frozen=True):
    """How a worker is started; its id and descriptor are added."""

    argv: tuple[str, ...]
    control_socket: Path
    generation: str
    access_log: str = "-"

    def words(self) -> tuple[str, ...]:
        return (
            *self.argv,
            *("--socket", str(self.control_socket)),
            *("--generation", self.generation),
            *("--access-log", self.access_log),
        )


class ProcessView(msgspec.Struct, frozen=True):
    """One worker's process; `pid` is None while none runs. `reasons` counts its restarts."""

    worker: int
    pid: int | None
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def restarts(self) -> int:
        return sum(self.reasons.values())


class Supervisor:
    """See `listen`, `look`, `tick`, `stop`."""

    def __init__(
        self, count: int, command: WorkerCommand, roster: Roster, on_exit: Callable[[int, int], None]
    ) -> None:
        self._generation = command.generation
        self._roster = roster
        self._on_exit = on_exit
        self._spare = Spare(command.words())
        self._evidence = memory_file("fleetgate-evidence", evidence.BYTES)
        self._slots = tuple(
            Slot(worker, command.words(), self._spare, self._evidence, self._changed)
            for worker in range(count)
        )
        self._all_serve = False
        self._keeping: asyncio.Task[None] | None = None
        self._held: set[Address] = set()
        self._failed: dict[int, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._orphans: dict[RosterEntry, float | None] = {}
        self._hurry = asyncio.Event()
        self._judge = Judge()
        self._ticked = time.monotonic()

    def start(self) -> None:
        """Start all workers; remember those that an earlier control plane left behind."""
        self._orphans = dict.fromkeys(self._roster.survivors())
        self._tasks = [asyncio.create_task(slot.run(), name=f"worker {slot.worker}") for slot in self._slots]
        self._keeping = asyncio.create_task(self._keep_spare(), name="spare worker")

    def listen(self, listeners: Iterable[Listener]) -> Mapping[int, str]:
        """Open and close listening sockets until they are those of `listeners`.

        Returns the ports that cannot be bound, with the cause; they are tried again with every call.
        To be called before the snapshot with these listeners is published.
        """
        wanted = {(listener.address, listener.port) for listener in listeners}
        for address in self._held - wanted:
            self._held.discard(address)
            for slot in self._slots:
                slot.drop_socket(address)
        failed = {}
        for address in sorted(wanted - self._held):
            try:
                group = open_group(address, len(self._slots), self._our_pids)
            except CannotListen as error:
                failed[address[1]] = str(error)
                continue
            self._held.add(address)
            for slot, listening in zip(self._slots, group, strict=True):
                slot.add_socket(address, listening)
        self._log_failures(failed)
        self._failed = failed
        return dict(failed)

    def look(self, serving: frozenset[int]) -> None:
        """Kill a worker that hangs. To be called every `hangs.PERIOD_S`, with the pids that serve."""
        looks = {slot.worker: look for slot in self._slots if (look := slot.look(serving)) is not None}
        self._all_serve = len(looks) == len(self._slots) and all(look.serves for look in looks.values())
        hang = self._judge.look(time.monotonic(), looks)
        if hang is not None:
            self._slots[hang.worker].end(hang)

    def tick(self) -> bool:
        """Send waiting sockets, and end overdue orphans; to be called every second.

        Returns whether a worker was sent sockets only now, after the snapshot that needs them.
        """
        late = [slot.flush() for slot in self._slots]
        self._forgive_orphans()
        self._bury_orphans()
        return any(late)

    def orphans_told(self, pids: frozenset[int], grace_s: float) -> None:
        """Note the orphans that got the message to drain. The others have a little time to connect, then they
        are ended.
        """
        now = time.monotonic()
        for entry, deadline in self._orphans.items():
            if entry.pid in pids:
                self._orphans[entry] = now + grace_s + ORPHAN_PATIENCE_S
            elif deadline is None:
                self._orphans[entry] = now + ORPHAN_PATIENCE_S

    def views(self) -> tuple[ProcessView, ...]:
        return tuple(ProcessView(slot.worker, slot.pid, dict(slot.restarts)) for slot in self._slots)

    @property
    def failed_ports(self) -> Mapping[int, str]:
        return dict(self._failed)

    @property
    def listening(self) -> frozenset[Address]:
        return frozenset(self._held)

    def retire(self) -> None:
        """End restarts, and close our copies of the listening sockets.

        To be called right before the workers get the message to drain: the last holder's close refuses new
        connections, while a queue without a worker would leave clients waiting.
        """
        if self._keeping is not None:
            self._keeping.cancel()
        for slot in self._slots:
            slot.stop()
            slot.close()
        self._held.clear()

    async def stop(self, told: frozenset[int], grace_s: float) -> None:
        """Wait for the workers to end, for `grace_s` seconds and a little more, then kill the rest.

        `told` are the pids that got the message to drain; the others are sent SIGTERM.
        """
        for slot in self._slots:
            if slot.pid is not None and slot.pid not in told:
                slot.signal(signal.SIGTERM)
        waiting = asyncio.gather(*self._tasks)
        hurry = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait((waiting, hurry), timeout=grace_s + END_S, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        for slot in self._slots:
            if slot.pid is not None:
                log.warning("worker killed after the grace", extra={"worker": slot.worker, "pid": slot.pid})
                slot.signal(signal.SIGKILL)
        await waiting
        await self._spare.end()
        os.close(self._evidence)
        self._save()

    def reopen_logs(self) -> None:
        """Have every worker open its access log anew, those of an earlier control plane too."""
        log.info("access log reopened")
        for slot in self._slots:
            slot.signal(signal.SIGUSR1)
        for entry in self._orphans:
            entry.send(signal.SIGUSR1)

    def hurry(self) -> None:
        """Do not wait any longer."""
        self._hurry.set()

    async def _keep_spare(self) -> None:
        """Start the spare process when all workers serve: its imports would slow a starting worker down."""
        while True:
            await asyncio.sleep(SPARE_PAUSE_S)
            if self._all_serve:
                try:
                    await self._spare.keep()
                except OSError as error:
                    log.warning("spare worker not started", extra={"cause": str(error)})

    def _our_pids(self) -> list[int]:
        pids = [slot.pid for slot in self._slots if slot.pid is not None]
        return [os.getpid(), *pids, *(entry.pid for entry in self._orphans if entry.alive)]

    def _changed(self, worker: int, exited: int | None) -> None:
        self._save()
        if exited is not None:
            self._on_exit(worker, exited)

    def _save(self) -> None:
        entries = (slot.entry(self._generation) for slot in self._slots)
        self._roster.write((*(entry for entry in entries if entry is not None), *self._orphans))

    def _forgive_orphans(self) -> None:
        """Add the time that this process missed to every deadline: no worker could have met it."""
        now = time.monotonic()
        missed_s, self._ticked = now - self._ticked, now
        if missed_s > LATE_S:
            for entry, deadline in self._orphans.items():
                self._orphans[entry] = None if deadline is None else deadline + missed_s

    def _bury_orphans(self) -> None:
        for entry, deadline in list(self._orphans.items()):
            if not entry.alive:
                log.info("worker of an earlier control plane ended", extra={"pid": entry.pid})
                del self._orphans[entry]
                self._save()
            elif deadline is not None and time.monotonic() > deadline:
                log.warning("worker of an earlier control plane killed", extra={"pid": entry.pid})
                entry.send(signal.SIGKILL)

    def _log_failures(self, failed: Mapping[int, str]) -> None:
        for port in failed.keys() - self._failed.keys():
            log.error("listener not opened", extra={"port": port, "cause": failed[port]})
