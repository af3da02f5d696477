"""The input of a watch: stored objects, changes, and a bounded queue of them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import msgspec
from msgspec import field

_encode = msgspec.json.Encoder().encode
# A client that lets this many events pile up is cut off, as kube-apiserver does; it relists.
QUEUE_LIMIT = 20_000


class Stored(msgspec.Struct, eq=False):
    """One version of an object, with its JSON text made at most once per API version it is read in."""

    object: dict[str, Any]
    version: int
    _texts: dict[str, bytes] = field(default_factory=dict)
    _views: dict[str, dict[str, Any]] = field(default_factory=dict)

    def view(self, api_version: str, convert: Any) -> dict[str, Any]:
        found = self._views.get(api_version)
        if found is None:
            found = self._views[api_version] = convert(self.object)
        return found

    def text(self, api_version: str, convert: Any) -> bytes:
        found = self._texts.get(api_version)
        if found is None:
            found = self._texts[api_version] = _encode(self.view(api_version, convert))
        return found


class Change(msgspec.Struct, frozen=True):
    """One write: `new` is None for a deletion, whose last state is `last`."""

    version: int
    key: tuple[str, str]
    new: Stored | None
    old: Stored | None
    last: Stored | None


class Watcher:
    """The queue between the store and one watch request."""

    def __init__(self, backlog: list[Change]) -> None:
        self._changes: deque[Change] = deque(backlog)
        self._wake: asyncio.Future[None] | None = None
        self.closed = False

    def offer(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) > QUEUE_LIMIT:
            self.closed = True
        self._ring()

    def close(self) -> None:
        self.closed = True
        self._ring()

    def _ring(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def take(self, timeout: float) -> list[Change]:
        """All queued changes; empty after `timeout` seconds without one, or once closed."""
        if not self._changes and not self.closed and timeout > 0:
            self._wake = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._wake,), timeout=timeout)
            self._wake = None
        changes = list(self._changes)
        self._changes.clear()
        return changes
