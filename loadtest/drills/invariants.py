"""Invariants that must hold for fleetgate in every drill, as far as they show from outside.

I1 no request gets the answer to another request. I2 no POST arrives twice. I3 every request ends within its
deadline and a second. I4 no line of standard error reports an exception. I5 after the fault no request fails,
and p99 is as before. I6 descriptors, tasks, timers, connections and memory are as before. I7 every failed
request has a line in the access log with the reason, and a metric counts the request.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from loadtest.drills.load import GIVEN_UP, Request
from loadtest.drills.measure import Result
from loadtest.drills.peers.fleetgate import Worker
from loadtest.drills.site import Site
from loadtest.kit.processes import rss_bytes

TOLERANCE = 1.05
RECOVERED = 1.2
NOISE_MS = 5.0
"""Change of a p99 of 2 s without a fault on a machine that others use."""
OPEN_FILES, TASKS, TIMERS = "open files", "tasks", "timers"
CLIENTS, REQUESTS = "client connections", "requests on their way"
FEW = {OPEN_FILES: 2, TASKS: 0, TIMERS: 2, CLIENTS: 0, REQUESTS: 0}
"""Counts that may be left over. Two may be a probe's: an endpoint that is back was asked and found well."""
FEW_BYTES = 4 << 20
"""Buffers and tables that any load fills; a leak of a connection's state per request is far more."""
REST_S = 8.0
"""Rest after the load, in seconds: idle connections to endpoints are closed after four."""
FINE = ("-", "CF")
"""Flags of requests that were answered."""
EXCEPTIONS = ("Traceback", "exception was never retrieved", "Unhandled", "was never awaited")


class Watch:
    """Looks at a worker before, at the hit and after the load."""

    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site
        self._before = self._held()
        self._rss = rss_bytes(worker.pid)
        self._found: list[str] = []

    def at_hit(self) -> None:
        self._rss = rss_bytes(self._worker.pid)

    def at_end(self, requests: Sequence[Request]) -> None:
        """Look when the load is over and its connections are closed; the worker still runs."""
        self._check_rest()
        failed = [each for each in requests if each.has_failed and each.status != GIVEN_UP]
        self._check_causes(failed)

    def violations(self, result: Result) -> tuple[str, ...]:
        """Return all violations of invariants; the worker has stopped."""
        found = list(self._found)
        if result.mixed_up or result.lost:
            found.append(f"I1: {result.mixed_up} answers of another request, {result.lost} from nowhere")
        if result.duplicate_posts:
            found.append(f"I2: {result.duplicate_posts} POSTs arrived more than once")
        if result.given_up:
            found.append(f"I3: {result.given_up} requests did not end")
        messages = (self._site.directory / "messages").read_text(errors="replace")
        found += [f"I4: {text} on standard error" for text in EXCEPTIONS if text in messages]
        limit = max(result.base_p99_ms * RECOVERED, result.base_p99_ms + NOISE_MS)
        if result.late_failed:
            found.append(f"I5: {result.late_failed} requests failed after the fault")
        if result.late_p99_ms is not None and result.late_p99_ms > limit:
            found.append(
                f"I5: p99 {result.late_p99_ms:.1f} ms after the fault, {result.base_p99_ms:.1f} before"
            )
        return tuple(found)

    def _check_rest(self) -> None:
        deadline = time.monotonic() + REST_S
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self._found += left
        rss = rss_bytes(self._worker.pid)
        if rss > self._rss * TOLERANCE + FEW_BYTES:
            self._found.append(f"I6: {rss >> 20} MiB of memory, {self._rss >> 20} MiB at the hit")

    def _check_causes(self, failed: Sequence[Request]) -> None:
        """Look for the failed requests in log and metrics; those refused at once are in the metrics only."""
        stats = self._worker.stats()
        shed = sum(count.count for count in stats.shed)
        explained = _explained(self._site.access_log)
        missing = sum(each.identity.rpartition("/")[2] not in explained for each in failed)
        if missing > shed:
            self._found.append(f"I7: {missing} of {len(failed)} failed requests are not explained in the log")
        counted = shed + sum(
            count.count for count in stats.requests if count.flag not in FINE or count.code_class == "5xx"
        )
        if counted < len(failed):
            self._found.append(f"I7: metrics count {counted} failures, there were {len(failed)}")

    def _left(self) -> list[str]:
        return [
            f"I6: {count} {what}, {self._before[what]} before the load"
            for what, count in self._held().items()
            if count > int(self._before[what] * TOLERANCE) + FEW[what]
        ]

    def _held(self) -> dict[str, int]:
        stats = self._worker.stats()
        return {
            OPEN_FILES: len(os.listdir(f"/proc/{self._worker.pid}/fd")),
            TASKS: stats.tasks,
            TIMERS: stats.timers,
            CLIENTS: sum(count.active for count in stats.connections),
            REQUESTS: sum(endpoint.in_flight for endpoint in stats.endpoints),
        }


def _explained(access_log: Path) -> set[str]:
    """Return the ids of requests of which the log says that, and why, they did not go well."""
    found = set()
    for line in access_log.read_text().splitlines():
        entry = json.loads(line)
        if entry["status"] >= 500 or entry["flag"] not in FINE:
            found.add(entry["path"].rpartition("/")[2])
    return found
