"""The number of endpoints of clusters before they lost the last one. Pure: callers pass counts and the time.

Where shares go by the number of endpoints, a cluster without endpoints has no share, so without this memory
it could not lose one.
"""

from collections.abc import Set
from typing import Final

import msgspec

from controlplane.publish import Pair

FORGET_S: Final = 3600.0
"""A cluster that has had no endpoint for so long was emptied on purpose: it has no share to lose any more."""

FALL_S: Final = 60.0
"""Endpoints that leave one after the other within this time have left together."""


class _Seen(msgspec.Struct):
    """Total weights of endpoints: now, and the most of lately."""

    now: int
    most: int
    most_until: float
    emptied: float | None = None  # since when there are none


class EndpointMemory:
    """See `note` and `had`."""

    def __init__(self) -> None:
        self._seen: dict[Pair, _Seen] = {}

    def note(self, pair: Pair, total: int, before: float, now: float) -> None:
        """Take in the total weight of a cluster's endpoints. The last noted weight held until `before`."""
        seen = self._seen.get(pair)
        if seen is None:
            if total:
                self._seen[pair] = _Seen(total, total, now)
            return
        if seen.now == seen.most:
            seen.most_until = max(before, seen.most_until)
        if seen.now and now - seen.most_until > FALL_S:
            seen.most, seen.most_until = seen.now, before
        if total >= seen.most:
            seen.most, seen.most_until = total, now
        seen.now = total
        seen.emptied = None if total else (seen.emptied or now)

    def had(self, pair: Pair) -> int:
        """Return the total weight that an emptied cluster had; 0 if it has endpoints or never had any."""
        seen = self._seen.get(pair)
        return seen.most if seen is not None and seen.emptied is not None else 0

    def keep(self, pairs: Set[Pair]) -> None:
        """Forget all others."""
        self._seen = {pair: seen for pair, seen in self._seen.items() if pair in pairs}

    def forget(self, now: float) -> bool:
        """Forget clusters that have been empty for FORGET_S; return whether there were any."""
        old = [pair for pair, s in self._seen.items() if s.emptied is not None and now - s.emptied > FORGET_S]
        for pair in old:
            del self._seen[pair]
        return bool(old)
