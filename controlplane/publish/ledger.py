"""The sums of counters: of living workers by their last report, of dead workers for good."""

from collections.abc import Callable, Iterable, Set
from typing import Final

from controlplane.publish.failures import Failures
from controlplane.publish.totals import Totals
from proxy.model.statistics import Stats

KEPT_APART: Final = 8
"""Adding up a report is a long turn of the loop, and most gateways never see so many workers end."""

Process = tuple[int, int]
"""worker id, pid"""


class Ledger:
    """Adds up reports so that a total never goes back when workers end or reconnect."""

    def __init__(self) -> None:
        self._latest: dict[Process, Stats] = {}
        self._exited: set[Process] = set()
        self._dead: tuple[Stats, ...] = ()  # last reports of those that ended lately
        self._retired = Totals()  # of all before them; never changed, for a thread may be reading it

    def reported(self, process: Process, stats: Stats) -> None:
        self._latest[process] = stats

    def exited(self, process: Process, connected: bool) -> None:
        """The process ended. While it is still connected, its last words may be in the socket."""
        if connected:
            self._exited.add(process)
        else:
            self._retire(process)

    def disconnected(self, process: Process) -> None:
        """The connection ended. The worker may be alive and come back: then its counters go on."""
        if process in self._exited:
            self._exited.discard(process)
            self._retire(process)

    def tally(self) -> Callable[[], Totals]:
        """Return a function that adds up the reports of this moment, in any thread: 100,000 routes take a
        second.
        """
        retired, reports = self._retired, (*self._dead, *self._latest.values())
        return lambda: _summed(retired, reports)

    def failures(self) -> Failures:
        failures = Failures()
        failures.add_totals(self._retired)
        for stats in (*self._dead, *self._latest.values()):
            failures.add(stats)
        return failures

    def keep_routes(self, live: Set[str]) -> None:
        self._retired = self._retired.kept(live)

    def _retire(self, process: Process) -> None:
        stats = self._latest.pop(process, None)
        if stats is None:
            return
        self._dead = (*self._dead, stats)
        if len(self._dead) > KEPT_APART:
            self._retired, self._dead = _summed(self._retired, self._dead), ()


def _summed(retired: Totals, reports: Iterable[Stats]) -> Totals:
    totals = retired.copy()
    for stats in reports:
        totals.add(stats)
    return totals
