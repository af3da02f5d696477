"""The failures at the workers, without their other counters: cheap enough for every second."""

from collections import Counter
from typing import Final

import msgspec
from msgspec import field

from controlplane.publish.totals import AttemptKey, Totals
from proxy.model.statistics import Stats

LOST_FLAGS: Final = frozenset(("UF", "UC", "UT", "UPE", "UO"))
"""Flags of requests that ended with an error because an attempt failed."""

Pair = tuple[str, str]
"""service, cluster"""


class Failures(msgspec.Struct):
    """`attempts` that failed, and requests `lost`, by where their last attempt was."""

    attempts: Counter[AttemptKey] = field(default_factory=Counter)
    lost: Counter[Pair] = field(default_factory=Counter)

    def add(self, stats: Stats) -> None:
        for a in stats.attempts:
            self._attempted((a.service, a.from_cluster, a.to_cluster, a.reason), a.count)
        for r in stats.requests:
            if r.flag in LOST_FLAGS:
                self.lost[r.service, r.cluster] += r.count

    def add_totals(self, totals: Totals) -> None:
        for key, count in totals.attempts.items():
            self._attempted(key, count)
        for (_, _, service, cluster, _, flag), count in totals.requests.items():
            if flag in LOST_FLAGS:
                self.lost[service, cluster] += count

    def since(self, earlier: "Failures") -> "Failures":
        """Return the failures since then; those that were forgotten with their route do not count."""
        return Failures(self.attempts - earlier.attempts, self.lost - earlier.lost)

    def _attempted(self, key: AttemptKey, count: int) -> None:
        self.attempts[key] += count
        service, from_cluster, to_cluster, reason = key
        if reason == "status" and not to_cluster:  # the endpoint's own 502, 503 or 504 was relayed
            self.lost[service, from_cluster] += count
