"""The clusters' side of a worker: its endpoints, and everything that watches, opens and counts for them."""

import asyncio
from collections.abc import Iterable

from proxy.backlog import Backlog
from proxy.model.channel import Ejection
from proxy.telemetry.counters import AttemptCounters, SuppressedCounters
from proxy.timers import TICK_S, TimerWheel
from proxy.upstream.detection.corroboration import Corroboration
from proxy.upstream.detection.learning import Learning
from proxy.upstream.detection.outliers import OutlierDetection
from proxy.upstream.detection.prober import Prober
from proxy.upstream.detection.shared_ejections import SharedEjections
from proxy.upstream.detection.stalls import StallWatch
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.shared import Shared
from proxy.upstream.retries.offered_load import OfferedLoad
from proxy.upstream.retries.replay import ReplayMemory
from proxy.upstream.service import Services


class Upstream:
    """One per worker, for its whole life."""

    __slots__ = (
        "_corroboration", "_offered_load", "attempts", "connector", "ejections", "learning", "outliers",
        "prober", "replay", "services", "stalls", "suppressed",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wheel: TimerWheel, backlog: Backlog, shared: Shared
    ) -> None:
        """`shared`: the memory that the workers of the gateway share."""
        self.services = Services(shared.histories, wheel.clock)
        self.connector = Connector(loop, wheel, backlog, self.services)
        self.prober = Prober(loop, self.connector, self.services)
        self.ejections = SharedEjections()
        self.outliers = OutlierDetection(self.services, self.prober, self.ejections)
        self.connector.on_unreachable = self.outliers.on_unreachable
        self._corroboration = Corroboration(shared.board)
        self.stalls = StallWatch(
            loop, self.services, self.connector, self.prober, self._corroboration, self.ejections
        )
        self.learning = Learning(self.stalls.pauses)
        self.replay = ReplayMemory()
        self._offered_load = OfferedLoad(self.services)
        self.attempts = AttemptCounters()
        self.suppressed = SuppressedCounters()

    def start(self, wheel: TimerWheel) -> None:
        """Begin the work that is done once a tick."""
        for periodic in (self.services.recovery, self._offered_load, self._corroboration):
            wheel.schedule(periodic, wheel.now + TICK_S)

    async def close(self) -> None:
        self.prober.stop()
        await self.connector.close()
        self.stalls.stop()

    def believe(self, ejections: Iterable[Ejection]) -> list[Ejection]:
        """Take over the ejections of another worker; return those of endpoints that are unknown here."""
        unknown = []
        for told in ejections:
            endpoint = self.services.find(told.service, told.cluster, told.address, told.port)
            if endpoint is None:
                unknown.append(told)
            else:
                self.stalls.believe(endpoint, stalled=told.stalled, unreachable=told.unreachable)
        return unknown

    def count_attempt(self, endpoint: LiveEndpoint, failure: Failure, to_cluster: str) -> None:
        """Count a failed attempt in the metrics; `to_cluster` is where the next one goes, "" without one."""
        self.attempts.record(endpoint.service, endpoint.cluster, to_cluster, failure.value)
