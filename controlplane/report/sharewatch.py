"""Looks every second whether clusters get their shares, and reports it on the Ingresses."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from controlplane.kube.client import ApiClient
from controlplane.kube.events import EventRecorder, EventSubject
from controlplane.kube.lease import LeaderElector
from controlplane.observe.demand import IngressKey
from controlplane.observe.failovers import LOOK_S, FailoverWatch
from controlplane.observe.unavailable import UnavailabilityTracker, UnavailableClusters
from controlplane.publish import Pair, Publisher, Totals, WorkerView
from controlplane.report.annotation import ShareAnnotator
from controlplane.report.failovers import FailoverEvents
from controlplane.report.texts import annotation_text
from controlplane.resources.kinds import INGRESSES
from controlplane.sources.fleet import Fleet
from proxy.model.snapshot import Snapshot

PAUSES = 4.0
"""The pause after a look that takes long, as a multiple of its duration."""


class ShareWatch:
    """See `works`."""

    def __init__(
        self,
        client: ApiClient,
        fleet: Fleet,
        publisher: Publisher,
        failovers: FailoverWatch,
        recorder: EventRecorder,
        elector: LeaderElector,
        *,
        write_shares: bool,
    ) -> None:
        self._fleet = fleet
        self._publisher = publisher
        self._failovers = failovers
        self._elector = elector
        self._tracker = UnavailabilityTracker()
        self._events = FailoverEvents(recorder, self._subject, failovers.latest_of)
        self._annotator = (
            ShareAnnotator(client, elector, self._uid, fleet.shares_written) if write_shares else None
        )

    def works(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Yield the tasks to run, with their names."""
        yield "notices", self.run
        if self._annotator is not None:
            yield "shares on Ingresses", self._annotator.run

    async def run(self) -> None:
        """Look at the shares and write Events until cancelled. All replicas look: any may lead next."""
        while True:
            started = time.perf_counter()
            await self._look()
            took = time.perf_counter() - started
            await asyncio.sleep(max(LOOK_S, took * PAUSES))

    @property
    def last_error(self) -> str:
        return self._annotator.last_error if self._annotator is not None else ""

    async def _look(self) -> None:
        workers, snapshot = self._publisher.workers(), self._publisher.snapshot
        if snapshot is None or all(view.stats is None for view in workers):
            return
        self._failovers.look()  # so that the timeline has the failovers that end with this look
        unavailable, texts = await asyncio.to_thread(self._judge, snapshot, workers)
        self._events.tell(unavailable, leading=self._elector.is_leader)
        if self._annotator is not None:
            self._annotator.want(texts)

    def _judge(
        self, snapshot: Snapshot, workers: tuple[WorkerView, ...]
    ) -> tuple[UnavailableClusters, dict[IngressKey, str]]:
        """Beside the event loop: a cluster that fails for 10,000 services is a second's work."""
        unavailable = self._tracker.observe(snapshot, workers, time.time())
        if unavailable.shortages or self._events.is_counting:
            unavailable = msgspec.structs.replace(unavailable, served=served(self._publisher.totals()))
        if self._annotator is None:
            return unavailable, {}
        return unavailable, {
            ingress: annotation_text(services) for ingress, services in unavailable.shortages.items()
        }

    def _subject(self, ingress: IngressKey) -> EventSubject | None:
        found = self._fleet.current_status(INGRESSES, *ingress)
        if found is None:
            return None
        return EventSubject(INGRESSES.api_version, INGRESSES.kind, *ingress, found.uid)

    def _uid(self, ingress: IngressKey) -> str | None:
        found = self._fleet.current_status(INGRESSES, *ingress)
        return found.uid if found is not None else None


def served(totals: Totals) -> Counter[Pair]:
    """Return the requests by service and cluster."""
    found: Counter[Pair] = Counter()
    for (_, _, service, cluster, _, _), count in totals.requests.items():
        found[service, cluster] += count
    return found
