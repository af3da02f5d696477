"""Whose counters count: living workers by their last report, dead ones for good."""

from collections.abc import Set

from controlplane.publish.failures import Failures
from controlplane.publish.totals import Totals
from proxy.model.channel import Stats

Process = tuple[int, int]
"""worker id, pid"""


class Ledger:
    """Adds up reports so that a total never goes back, whatever ends or reconnects."""

    def __init__(self) -> None:
        self._latest: dict[Process, Stats] = {}
        self._exited: set[Process] = set()
        self._retired = Totals()

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

    def totals(self) -> Totals:
        totals = self._retired.copy()
        for stats in self._latest.values():
            totals.add(stats)
        return totals

    def failures(self) -> Failures:
        failures = Failures()
        failures.add_totals(self._retired)
        for stats in self._latest.values():
            failures.add(stats)
        return failures

    def keep_routes(self, live: Set[str]) -> None:
        self._retired.keep_routes(live)

    def _retire(self, process: Process) -> None:
        stats = self._latest.pop(process, None)
        if stats is not None:
            self._retired.add(stats)
