"""The workers as one thing: sockets, snapshots, liveness, and taking over from a killed control plane."""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from controlplane.publish import Certificates, Held, Publisher, SnapshotStore, place_socket
from controlplane.supervisor import PERIOD_S, Roster, Supervisor, WorkerCommand
from controlplane.system import statedir
from proxy.model.snapshot import Snapshot

log = logging.getLogger(__name__)

REPORT_S = 1.0


class StateDirectoryInUse(Exception):
    """Another control plane works in this state directory; the message names it."""


class WorkerPool:
    """Starts the workers, keeps them fed and alive, drains them at the end."""

    def __init__(
        self, state_dir: Path, workers: int, argv: tuple[str, ...], access_log: str, grace_s: float
    ) -> None:
        generation = secrets.token_hex(8)
        self._state_dir = state_dir
        self._grace_s = grace_s
        self._place = place_socket(state_dir)
        self._lock: int | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self.worker_count = workers
        self.draining = False
        self.publisher = Publisher(
            self._place.path,
            generation,
            workers,
            SnapshotStore(state_dir.resolve() / "snapshot.json"),
            Held(state_dir.resolve() / "held.json"),
            Certificates(state_dir.resolve() / "certificates.msgpack"),
        )
        self.supervisor = Supervisor(
            workers,
            WorkerCommand(argv, self._place.path, generation, access_log),
            Roster(state_dir.resolve() / "workers.json"),
            self.publisher.process_exited,
        )
        self.publisher.on_applied = self._all_applied
        self.applied_version = 0
        self.applied_at = 0.0

    async def start(self) -> Snapshot | None:
        """Start the workers on the snapshot on disk and return it, None when there is none.

        Raises OSError, StateDirectoryInUse.
        """
        self._lock = lock(self._state_dir)
        await self.publisher.start()
        snapshot = self.publisher.resume()
        self.supervisor.start()
        if snapshot is not None:
            self.supervisor.listen(snapshot.listeners)
        self._tasks = (
            asyncio.create_task(self._report(), name="reports of workers"),
            asyncio.create_task(self._watch(), name="liveness of workers"),
        )
        return snapshot

    def publish(self, snapshot: Snapshot) -> Mapping[int, str]:
        """Open the sockets this snapshot needs, bring it to the workers; return ports that failed."""
        before = self.supervisor.listening
        failed = self.supervisor.listen(snapshot.listeners)
        if not self.publisher.publish(snapshot) and self.supervisor.listening - before:
            self.publisher.repeat()  # a port that was busy is free now
        return failed

    def hurry(self) -> None:
        self.supervisor.hurry()

    async def stop(self) -> None:
        """Drain the workers, kill the rest after the grace, leave the state directory clean."""
        self.draining = True
        self.supervisor.retire()
        told = self.publisher.drain(self._grace_s)
        await self.supervisor.stop(told, self._grace_s)
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.publisher.stop()
        self._place.clean_up()
        if self._lock is not None:
            os.close(self._lock)

    async def _report(self) -> None:
        while True:
            pause = asyncio.create_task(asyncio.sleep(REPORT_S))
            await self.publisher.collect()
            await pause
            if not self.draining and self.supervisor.tick():
                self.publisher.repeat()

    async def _watch(self) -> None:
        while not self.draining:
            self.supervisor.look(self.publisher.serving())
            await asyncio.sleep(PERIOD_S)

    def _all_applied(self) -> None:
        """Every worker serves the good snapshot: those of an earlier control plane may go."""
        snapshot = self.publisher.snapshot
        if snapshot is not None and snapshot.version != self.applied_version:
            self.applied_version, self.applied_at = snapshot.version, time.time()
            log.info("snapshot applied", extra={"version": snapshot.version, "workers": self.worker_count})
        told = self.publisher.drain_orphans(self._grace_s)
        self.supervisor.orphans_told(told, self._grace_s)


def lock(state_dir: Path) -> int:
    """Make this directory ours until the descriptor closes.

    Raises OSError, Untrusted, StateDirectoryInUse.
    """
    statedir.own(state_dir)
    statedir.check_files(state_dir)
    descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StateDirectoryInUse(
            f"state directory {state_dir} is used by another fleetgate; choose another one with --state-dir"
        ) from None
    return descriptor
