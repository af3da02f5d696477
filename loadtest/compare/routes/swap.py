"""The cost of a swap of the routes for requests of a real worker, and the memory that the routes take."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from loadtest.compare.routes import tables
from loadtest.kit.fleetgate import Fleetgate, Worker
from loadtest.kit.processes import (
    StartError,
    in_background,
    module,
    on_cores,
    own_environment,
    rss_bytes,
)
from loadtest.kit.site import PREFIX, Site
from proxy.model.channel import Apply, encode

QUIET_S = 1.0
SETTLE_S = 0.3
"""Pause after an acknowledgement: the worker still takes the old table apart; requests may notice."""


@dataclass(frozen=True, slots=True)
class Period:
    """The observations of the steady load. Times in seconds."""

    requests: int
    failed: int
    worst_s: float
    worst_own_s: float  # less the time that the processes on the way waited for their cores


@dataclass(frozen=True, slots=True)
class Swaps:
    """Times in seconds. Every swap changes every route."""

    swap_s: float  # median, from the order to the acknowledgement
    memory_per_route: float | None  # bytes of the worker; None for one route
    memory_after: int  # bytes of the worker after all swaps
    worst_s: float  # slowest request of a swap, median of the swaps
    worst_own_s: float  # the same, less the time that the processes on the way waited for their cores
    worst_of_all_s: float  # slowest request of all swaps, less the waits
    quiet_s: float  # slowest request of a second in which nothing is swapped, median; less the waits
    lag_s: float  # worst delay of the worker's own timer during swaps
    failed: int


def measure(
    peer: Fleetgate, site: Site, routes: int, swaps: int, cores: tuple[int, int], backends: list[int]
) -> Swaps:
    """Start a worker with the routes on the first core, load it from the second, and swap."""
    worker = Worker(peer, site, cores[0], 0)
    try:
        worker.apply(_order(site, 1, version=1))
        worker.process.wait_for_port(site.port)
        empty = rss_bytes(worker.pid)
        worker.apply(_order(site, routes, version=2))
        time.sleep(SETTLE_S)
        grown = rss_bytes(worker.pid) - empty
        # In the background: this process is the control plane, and shares the core of load and backend
        with _load(site.port, cores[1], [worker.pid, *backends]) as load, in_background(cores[1]):
            quiet = [_quiet(load) for _ in range(swaps)]
            worker.stats()  # takes the lag so far away
            taken = [_swap(worker, load, _order(site, routes, version=3 + number)) for number in range(swaps)]
        periods = [period for _, period in taken]
        return Swaps(
            swap_s=median(seconds for seconds, _ in taken),
            memory_per_route=grown / routes if routes > 1 else None,
            memory_after=rss_bytes(worker.pid),
            worst_s=median(period.worst_s for period in periods),
            worst_own_s=median(period.worst_own_s for period in periods),
            worst_of_all_s=max(period.worst_own_s for period in periods),
            quiet_s=median(period.worst_own_s for period in quiet),
            lag_s=worker.stats().loop_lag_s,
            failed=sum(period.failed for period in (*quiet, *periods)),
        )
    finally:
        worker.stop()


def _order(site: Site, routes: int, version: int) -> bytes:
    return encode(Apply(tables.snapshot(site, routes, version)))


def _quiet(load: "Load") -> Period:
    load.take()
    time.sleep(QUIET_S)
    return load.take()


def _swap(worker: Worker, load: "Load", order: bytes) -> tuple[float, Period]:
    """Return the seconds until the acknowledgement, and the figures of requests until the worker is done."""
    load.take()
    start = time.perf_counter()
    worker.apply(order)
    taken = time.perf_counter() - start
    time.sleep(SETTLE_S + taken)
    return taken, load.take()


class Load:
    """The steady load, in a process of its own: this one is busy making snapshots."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def take(self) -> Period:
        """Return the figures since the last time. Raises StartError when the load has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            return Period(**json.loads(self._process.stdout.readline()))
        except (OSError, ValueError) as error:
            raise StartError(f"the steady load has ended: {error}") from error


@contextmanager
def _load(port: int, core: int, pids: list[int]) -> Iterator[Load]:
    command = module("loadtest.compare.routes.steady", str(port), f"{PREFIX}/90B", *map(str, pids))
    with (
        on_cores(core),
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=own_environment(), text=True
        ) as process,
    ):
        yield Load(process)
        process.communicate("")
