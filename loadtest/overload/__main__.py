"""Twice the load that one worker can carry, in open loop: `python -m loadtest.overload`.

One worker on one core, load and backend on another. Requests are due at a constant rate, even if earlier
requests still wait. The client gives a request up one second after its due time, in any state: the client
closes its connection and, in a pool, replaces it. *Good* is an answer 200 within that second.

A pool of connections serves requests oldest first, as the pools of most HTTP clients do; a request that
finds no free connection waits in the client, and this wait counts. Without a pool (--connections 0) each
request opens a connection of its own.

Heads are long and never repeat, so that a request costs the worker far more than the load: otherwise
the load is the limit on two cores. A 503 is therefore cheap here beside a request that is served; with
short heads it is not.

The capacity is measured with 64 clients that send their next request when they are answered. When other
programs use the machine meanwhile, goodput can come out above the capacity, or too low: compare the use of
the cores.

Phases: capacity (closed loop), half of it, twice it, half of it again, capacity again: capacity is the mean
of the two, because it changes with the other work of the machine.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median

from msgspec.structs import replace

from loadtest.compare import backend
from loadtest.compare.rows import Origin
from loadtest.kit.fleetgate import Worker, snapshot
from loadtest.kit.options import builds, check_cores
from loadtest.kit.processes import StartError, cpu_s, on_cores, raise_file_limit
from loadtest.kit.programs import Missing
from loadtest.kit.site import Site, free_clusters
from loadtest.overload.load import Load, Phase
from loadtest.ports import free_ports
from proxy.model.channel import Apply, encode
from proxy.model.limits import Limits

WELL_SHARE = 0.95
BUCKET_S = 0.1
BUCKETS = 10
MIN_LIMIT_S = 0.1
CLIENTS = 64


@dataclass(frozen=True, slots=True)
class Result:
    """One run: rates in requests per second, times in seconds."""

    capacity: float
    before: Phase
    over: Phase
    after: Phase

    @property
    def goodput(self) -> float:
        """Goodput of the second half: a queue that ends in requests given up takes a while to grow."""
        return self.over.goodput(self.over.seconds / 2) / self.capacity

    @property
    def recovery_s(self) -> float:
        """Seconds until a second began in which requests were answered as before the overload; or inf."""
        limit = max(5 * self.before.p(0.99), MIN_LIMIT_S)
        shares = self.after.well(limit, BUCKET_S)
        for first in range(len(shares) - BUCKETS + 1):
            if min(shares[first : first + BUCKETS]) >= WELL_SHARE:
                return first * BUCKET_S
        return inf


def measure(
    worker: Worker, site: Site, others: Sequence[int], connections: int, fields: int, seconds: float
) -> Result:
    """Run the four phases. `others`: processes beside this one on the core of the load."""
    load = Load(site.port, connections, fields)
    try:
        load.warm_up()
        phases = []
        rate = 0.0
        rates = ("half", 0.5, 1), ("twice", 2.0, 2), ("half again", 0.5, 4)
        for name, share, length in (("capacity", 0.0, 1), *rates, ("capacity", 0.0, 1)):
            phase = Phase(name)
            busy = cpu_s(worker.pid), sum(map(cpu_s, (os.getpid(), *others)))
            if share:
                load.run(phase, rate * share, seconds * length)
            else:
                load.run_closed(phase, CLIENTS, seconds)
                rate = rate or phase.goodput(0.0)
            now = cpu_s(worker.pid), sum(map(cpu_s, (os.getpid(), *others)))
            phase.worker_core, phase.load_core = (
                (b - a) / phase.elapsed for a, b in zip(busy, now, strict=True)
            )
            phases.append(phase)
        load.settle()
        print(*phases, sep="\n", flush=True)
    finally:
        load.close()
    first, before, over, after, last = phases
    return Result((first.goodput(0.0) + last.goodput(0.0)) / 2, before, over, after)


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.overload", description=__doc__, formatter_class=raw
    )
    parser.add_argument("--fleetgate", metavar="NAME=PYTHON", help="a build (default: this interpreter)")
    parser.add_argument(
        "--connections", type=int, default=200, help="in the pool; 0: one per request (default 200)"
    )
    parser.add_argument("--fields", type=int, default=70, help="header fields, 1 to 90 (default 70)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        help="1 to 15 (default 3); the overload lasts twice that, the load after it four times",
    )
    parser.add_argument("--runs", type=int, default=3, help="1 to 20 (default 3)")
    parser.add_argument("--max-wait", type=float, metavar="S", help="the limit; 0: shed nothing")
    parser.add_argument("--proxy-core", type=int, default=0, help="core of the worker (default 0)")
    parser.add_argument("--load-core", type=int, default=1, help="core of backend and load (default 1)")
    options = parser.parse_args()
    for name, low, high in (
        ("connections", 0, 10_000),
        ("fields", 1, 90),
        ("seconds", 1, 15),
        ("runs", 1, 20),
    ):
        if not low <= getattr(options, name) <= high:
            parser.error(f"--{name} {getattr(options, name)}: give a number from {low} to {high}")
    raise_file_limit()
    try:
        check_cores(options.proxy_core, options.load_core)
        results = [one_run(options) for _ in range(options.runs)]
    except (Missing, StartError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"median of {len(results)}: capacity {median(r.capacity for r in results):.0f}/s"
        f"  goodput at twice {median(r.goodput for r in results):.0%}"
        f"  p99 {median(r.over.p(0.99) for r in results) * 1000:.0f} ms"
        f" (half: {median(r.before.p(0.99) for r in results) * 1000:.0f} ms)"
        f"  recovery {median(r.recovery_s for r in results):.1f} s"
    )
    return 0


def one_run(options: argparse.Namespace) -> Result:
    build = builds([options.fleetgate] if options.fleetgate else None)[0]
    with tempfile.TemporaryDirectory(prefix="fleetgate-overload-") as name:
        site = Site(Path(name), free_ports(1)[0], free_clusters())
        core = options.load_core
        with backend.started(Origin.FILES, site.backends, site.directory, (core,)) as pids:
            worker = build.start(site, options.proxy_core)
            if options.max_wait is not None:
                limits = Limits(max_wait_s=options.max_wait)
                worker.apply(encode(Apply(replace(snapshot(site), limits=limits))))
            try:
                with on_cores(core):
                    result = measure(worker, site, pids, options.connections, options.fields, options.seconds)
                stats = worker.stats()
                shed = ", ".join(f"{count.cause} {count.count}" for count in stats.shed)
                print(
                    f"goodput {result.goodput:.0%} of capacity, recovered after {result.recovery_s:.1f} s"
                    + (f"; shed: {shed}" if shed else ""),
                    flush=True,
                )
                return result
            finally:
                worker.stop()


if __name__ == "__main__":
    sys.exit(main())
