"""The snapshot that is proven good, and the one on trial with a single worker.

A snapshot that kills or confuses a worker must not reach all of them: one worker tries it, and the others get
it only when that worker has acknowledged it. Pure: events in, messages to send out.
"""

from dataclasses import dataclass, field

import msgspec

from controlplane.publish.delta import endpoint_delta, with_endpoints_of
from proxy.model.snapshot import Service, Snapshot

DEATHS_TO_REJECT = 2
"""One worker that dies while it applies a snapshot may be chance; a second one is the snapshot."""


class Rejection(msgspec.Struct, frozen=True):
    """A snapshot that the workers could not use."""

    version: int
    reason: str


@dataclass(slots=True)
class Rollout:
    """`wanted` is the newest snapshot of the control plane; every worker may have `good`.

    The version of `good` is that of its endpoints; its rules have `rules_version`, which is lower when only
    endpoints have changed since, or when newer rules were refused.
    """

    good: Snapshot | None = None
    rules_version: int = 0
    wanted: Snapshot | None = None
    trial: Snapshot | None = None
    rejection: Rejection | None = None
    rejected_total: int = 0
    deaths: int = 0
    _tried: Snapshot | None = field(default=None, repr=False)

    def want(self, snapshot: Snapshot) -> tuple[Service, ...]:
        """Note the wanted snapshot; return the services whose new endpoints can go to all workers at once."""
        self.wanted = snapshot
        return self._settle()

    def promote(self) -> tuple[Service, ...]:
        """The trial was acknowledged: it is good. Return endpoint changes that came meanwhile."""
        assert self.trial is not None
        self.good, self.trial = self.trial, None
        self.rules_version = self.good.version
        self.rejection = None
        return self._settle()

    def reject(self, reason: str) -> tuple[Service, ...]:
        """The trial cannot be used. Return the services whose endpoints the good snapshot takes over."""
        assert self.trial is not None
        self.rejection = Rejection(self.trial.version, reason)
        self.rejected_total += 1
        self.trial = None
        return self._settle()

    def died(self) -> bool:
        """A worker died over the trial; return whether that is once too often."""
        self.deaths += 1
        return self.deaths >= DEATHS_TO_REJECT

    def _settle(self) -> tuple[Service, ...]:
        """Start a trial if the rules differ from those that were tried last. Endpoints are passed on in any
        case: a trial may take seconds, and failover cannot wait for them.
        """
        if self.wanted is None or self.wanted is self.good:
            return ()
        if self.trial is None:
            tried = self._tried or self.good
            if tried is None or endpoint_delta(tried, self.wanted) is None:
                self.trial = self.wanted
                self.deaths = 0
            self._tried = self.wanted
        if self.good is None:
            return ()
        self.good, changed = with_endpoints_of(self.good, self.wanted)
        if self.trial is None:
            self._number()
        return changed

    def _number(self) -> None:
        """Give `good` the number of `wanted`: apart from refused rules, all of that snapshot is applied.

        The number of a rejected snapshot names no other snapshot.
        """
        assert self.good is not None
        assert self.wanted is not None
        if self.rejection is None:
            self.good = self.wanted
        elif self.wanted.version > self.rejection.version:
            self.good = msgspec.structs.replace(self.good, version=self.wanted.version)

    def resume(self, snapshot: Snapshot) -> None:
        """Start from a snapshot that workers acknowledged in an earlier life."""
        self.good = self.wanted = self._tried = snapshot
        self.rules_version = snapshot.version


def same_content(old: Snapshot, new: Snapshot) -> bool:
    """Return whether two snapshots differ in nothing but their number."""
    return msgspec.structs.replace(old, version=new.version) == new
