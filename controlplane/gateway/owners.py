"""Which Secret registered which member cluster, over restarts: `clusters.json` in the state directory."""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from controlplane.publish import Saver
from controlplane.system import statedir
from controlplane.translate.registrations import Owner

log = logging.getLogger(__name__)


class OwnersFile:
    """See `load`, `save`."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir.resolve() / "clusters.json"
        self._saver: Saver[dict[str, Owner]] = Saver(self._path, msgspec.json.encode)

    def load(self) -> Mapping[str, Owner]:
        """Return the owners on disk; an unreadable file is ignored."""
        try:
            return msgspec.json.decode(statedir.read(self._path), type=dict[str, Owner])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("owners of clusters ignored", extra={"path": str(self._path), "cause": str(error)})
            return {}

    def save(self, owners: Mapping[str, Owner]) -> None:
        self._saver.save_soon(dict(owners))

    async def close(self) -> None:
        await self._saver.close()
