"""The last good snapshot on disk, for a gateway that starts while no API server answers."""

import logging
from pathlib import Path

import msgspec

from controlplane.publish.saver import Saver
from controlplane.system import statedir
from proxy.model.codec import SnapshotError, decode_snapshot, encode_snapshot
from proxy.model.snapshot import Snapshot

log = logging.getLogger(__name__)


class StoreHealth(msgspec.Struct, frozen=True):
    """How persistence is doing. `failures` counts since start, `error` is "" after a success."""

    saved_version: int
    failures: int
    error: str


class SnapshotStore:
    """`snapshot.json` in the state directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saver: Saver[Snapshot] = Saver(path, encode_snapshot)
        self._asked: Snapshot | None = None

    @property
    def health(self) -> StoreHealth:
        saved = self._saver.saved
        version = 0 if saved is None else saved.version
        return StoreHealth(version, self._saver.failures, self._saver.error)

    def load(self) -> Snapshot | None:
        """Return the snapshot on disk, or None when there is none this version can use."""
        try:
            self._saver.saved = decode_snapshot(statedir.read(self._path))
        except FileNotFoundError:
            return None
        except (OSError, SnapshotError) as error:
            log.warning("stored snapshot ignored", extra={"path": str(self._path), "cause": str(error)})
            return None
        self._asked = self._saver.saved
        return self._saver.saved

    def save_soon(self, snapshot: Snapshot) -> None:
        """Save it unless it is the very object that was given last: every ACK of a worker asks."""
        if snapshot is not self._asked:
            self._asked = snapshot
            self._saver.save_soon(snapshot)

    async def close(self) -> None:
        await self._saver.close()
