"""The last good snapshot on disk: what a gateway serves that starts while no API server answers."""

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from proxy.model.codec import SnapshotError, decode_snapshot, encode_snapshot
from proxy.model.snapshot import Snapshot

log = logging.getLogger(__name__)

DEBOUNCE_S = 0.5
RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How persistence is doing. `failures` counts since start, `error` is "" after a success."""

    saved_version: int
    failures: int
    error: str


class SnapshotStore:
    """Saves snapshots atomically, at most every `DEBOUNCE_S` seconds, never on the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: Snapshot | None = None
        self._task: asyncio.Task[None] | None = None
        self._saved_version = 0
        self._failures = 0
        self._error = ""

    @property
    def health(self) -> StoreHealth:
        return StoreHealth(self._saved_version, self._failures, self._error)

    def load(self) -> Snapshot | None:
        """Return the snapshot on disk, or None when there is none this version can use."""
        try:
            snapshot = decode_snapshot(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, SnapshotError) as error:
            log.warning("stored snapshot ignored", extra={"path": str(self._path), "cause": str(error)})
            return None
        self._saved_version = snapshot.version
        return snapshot

    def save_soon(self, snapshot: Snapshot) -> None:
        self._pending = snapshot
        if self._task is None:
            self._task = asyncio.create_task(self._save_pending(), name="snapshot store")

    async def close(self) -> None:
        """Write what is pending, once, and stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._pending is not None:
            await self._save(self._pending)

    async def _save_pending(self) -> None:
        while self._pending is not None:
            await asyncio.sleep(RETRY_S if self._error else DEBOUNCE_S)
            snapshot, self._pending = self._pending, None
            if not await asyncio.shield(self._save(snapshot)):
                self._pending = self._pending or snapshot
        self._task = None

    async def _save(self, snapshot: Snapshot) -> bool:
        try:
            await asyncio.to_thread(write_atomically, self._path, snapshot)
        except OSError as error:
            self._failures += 1
            if not self._error:
                log.error("snapshot not saved", extra={"path": str(self._path), "cause": str(error)})
            self._error = str(error)
            return False
        self._saved_version = snapshot.version
        self._error = ""
        return True


def write_atomically(path: Path, snapshot: Snapshot) -> None:
    """Replace the file at `path`, readable by its owner only. Raises OSError; the old file stays then."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(encode_snapshot(snapshot))
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the rename itself must survive a power cut
    finally:
        os.close(directory)
