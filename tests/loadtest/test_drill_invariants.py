"""What must hold in every drill, and how a worker that breaks it is told."""

import os
from pathlib import Path
from typing import cast

import pytest

from loadtest.drills import invariants, site
from loadtest.drills.measure import measure
from loadtest.drills.peers.fleetgate import Worker
from proxy.model.statistics import ConnectionCount, EndpointStats, Stats
from tests.support.drilled import record


class FakeWorker:
    """A worker that is this process, and says what it is told to."""

    pid = os.getpid()

    def __init__(self, *reports: Stats) -> None:
        self.reports = list(reports)

    def stats(self) -> Stats:
        return self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]


def holding(clients: int = 0, in_flight: int = 0, tasks: int = 6, timers: int = 3) -> Stats:
    endpoint = EndpointStats("s", "c", "10.0.0.1", 80, "healthy", in_flight, 0, 0, 0, "")
    connections = (ConnectionCount("http", clients, clients),)
    return Stats(1, (), (), (), (endpoint,), connections, 0.0, 0, tasks=tasks, timers=timers)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([holding()], []),
        ([holding(tasks=7, timers=9), holding(timers=4)], []),  # a moment later
        ([holding(tasks=7)], ["I6: 7 tasks, 6 before the load"]),
        ([holding(timers=6)], ["I6: 6 timers, 3 before the load"]),
        ([holding(clients=1)], ["I6: 1 client connections, 0 before the load"]),
        ([holding(in_flight=2)], ["I6: 2 requests on their way, 0 before the load"]),
    ],
)
def test_tasks_timers_and_requests_that_a_worker_still_holds_are_named(
    after: list[Stats], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariants, "REST_S", 0.3)
    place = site.new(tmp_path, site.LOOPBACK)
    place.access_log.touch()
    (tmp_path / "messages").touch()
    watch = invariants.Watch(cast(Worker, FakeWorker(holding(), *after)), place)
    watch.at_end([])
    assert list(watch.violations(measure(record(), 0.0))) == expected
