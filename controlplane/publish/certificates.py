"""Certificates with their private keys: sent to workers, and kept for a start without the Fleet.

They are in a file of their own that only the gateway's user can read, as the key of affinity cookies is. They
are in no snapshot, log line, metric or answer of the admin API.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from controlplane.publish.saver import Saver
from controlplane.system import statedir
from proxy.model.tls import Certificate

log = logging.getLogger(__name__)


class Certificates:
    """`certificates.msgpack` in the state directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saver: Saver[tuple[Certificate, ...]] = Saver(path, msgspec.msgpack.encode)
        self._by_id: dict[str, Certificate] = {}

    def load(self) -> None:
        """Take over the certificates on disk; an unreadable file is ignored."""
        try:
            kept = msgspec.msgpack.decode(statedir.read(self._path), type=tuple[Certificate, ...])
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("certificates ignored", extra={"path": str(self._path), "cause": str(error)})
            return
        self._by_id = {certificate.id: certificate for certificate in kept}

    async def close(self) -> None:
        await self._saver.close()

    def all(self) -> tuple[Certificate, ...]:
        return tuple(self._by_id.values())

    def add(self, certificates: Mapping[str, Certificate]) -> tuple[Certificate, ...]:
        """Return those that are new."""
        new = tuple(each for name, each in certificates.items() if name not in self._by_id)
        self._by_id |= {each.id: each for each in new}
        self._save_if(new)
        return new

    def keep(self, ids: frozenset[str]) -> tuple[str, ...]:
        """Forget all others, and return their ids."""
        gone = tuple(name for name in self._by_id if name not in ids)
        for name in gone:
            del self._by_id[name]
        self._save_if(gone)
        return gone

    def _save_if(self, changed: tuple[object, ...]) -> None:
        if changed:
            self._saver.save_soon(self.all())
