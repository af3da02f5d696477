"""Clusters that are held out until an operator lets them back: kept for new workers and over restarts."""

import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from controlplane.publish.saver import Saver
from controlplane.system import statedir
from proxy.model.channel import Hold
from proxy.model.snapshot import Route, destinations_of

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True):
    hold: Hold
    since: float  # Unix seconds


class Held:
    """`held.json` in the state directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saver: Saver[tuple[_Kept, ...]] = Saver(path, msgspec.json.encode)
        self._since: dict[Hold, float] = {}
        self._routes: tuple[Route, ...] = ()  # that were looked at last

    def load(self) -> None:
        """Take over the clusters on disk; an unreadable file is ignored."""
        try:
            kept = msgspec.json.decode(statedir.read(self._path), type=tuple[_Kept, ...])
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("held clusters ignored", extra={"path": str(self._path), "cause": str(error)})
            return
        self._since = {each.hold: each.since for each in kept}

    async def close(self) -> None:
        await self._saver.close()

    def since(self) -> Mapping[Hold, float]:
        """Return the held clusters, each with the Unix time of its beginning."""
        return dict(self._since)

    def add(self, holds: Iterable[Hold]) -> tuple[Hold, ...]:
        """Return those that were not held."""
        new = tuple(hold for hold in holds if hold not in self._since)
        self._since |= dict.fromkeys(new, time.time())
        self._save_if(new)
        return new

    def let_back(self, ingress: str, cluster: str) -> tuple[Hold, ...]:
        """Return those that are not held any more; `cluster` "" is every one."""
        back = tuple(h for h in self._since if h.ingress == ingress and cluster in ("", h.cluster))
        for hold in back:
            del self._since[hold]
        self._save_if(back)
        return back

    def keep(self, routes: tuple[Route, ...]) -> None:
        """Forget clusters that no route holds out any more, as workers do when they get these routes."""
        if not self._since or routes is self._routes:
            return
        self._routes = routes
        manual = set(manuals(routes))
        gone = [hold for hold in self._since if (hold.ingress, hold.service) not in manual]
        for hold in gone:
            del self._since[hold]
        self._save_if(gone)

    def _save_if(self, changed: Iterable[Hold]) -> None:
        if changed:
            self._saver.save_soon(tuple(_Kept(hold, since) for hold, since in self._since.items()))


def manuals(routes: Iterable[Route]) -> Iterable[tuple[str, str]]:
    """Yield Ingress and service of every split whose failback is `manual`."""
    for route in routes:
        for service, split in destinations_of(route):
            if split.failback is not None and split.failback.manual:
                yield split.failback.ingress, service
