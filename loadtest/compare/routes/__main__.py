"""Routing tables of 1 to 100,000 routes: time per lookup, memory, and the cost of a swap.

    python -m loadtest.compare.routes [--routes N ...] [--swaps N]

A swap replaces all routes by others, in a worker that answers a request each millisecond meanwhile.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtest.compare import backend
from loadtest.compare.report import NO_FIGURE, machine, table, today
from loadtest.compare.routes import probe, tables
from loadtest.compare.routes.swap import Swaps, measure
from loadtest.compare.rows import Origin
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.options import add_common, builds, check_cores
from loadtest.kit.processes import StartError, on_cores
from loadtest.kit.programs import Missing
from loadtest.kit.site import Site, free_clusters
from loadtest.ports import free_ports
from proxy.model.channel import Apply, encode

ROUTES = (1, 1_000, 10_000, 100_000)
SWAPS = 5
HEAD = (
    "routes", "build", "found, µs", "found again, µs", "404, µs", "fill, ms", "bytes per route", "swap, ms",
    "slowest request of a swap, ms", "less waits, ms", "of all swaps, ms", "without a swap, ms",
    "worker's lag, ms",
)  # fmt: skip
MEANING = (
    "found, found again, 404: a lookup; of a header block that is new, of one that has come before, of a path"
    " without a route. The call from Python is included.",
    "fill: all routes into a table, without a pause. Swap: from the order to the acknowledgement, in slices,"
    " decoding included; every route is another than before.",
    "bytes per route: the growth of a worker, with the route's share of services and endpoints.",
    "slowest request: of one each millisecond on one connection; median over the swaps. Less waits: without"
    " the time in which worker, backend or load had no core because other processes ran there; so are the two"
    " after it, of all swaps and of a second without a swap. The lag is that of the worker's timer.",
    "The peers have no counterpart: nginx starts new processes and HAProxy is started anew for other routes,"
    " Envoy would need an xDS server. They are not measured.",
)


@dataclass(frozen=True, slots=True)
class Lookups:
    """Microseconds per lookup; seconds to fill the table."""

    fill_s: float
    found_us: float
    unknown_us: float
    again_us: float


@dataclass(frozen=True, slots=True)
class Result:
    routes: int
    build: str
    lookups: Lookups
    swaps: Swaps

    def cells(self) -> tuple[str, ...]:
        looked, swaps = self.lookups, self.swaps
        memory = swaps.memory_per_route
        times = (swaps.worst_s, swaps.worst_own_s, swaps.worst_of_all_s, swaps.quiet_s, swaps.lag_s)
        return (
            f"{self.routes:,}",
            self.build,
            *(f"{each:.2f}" for each in (looked.found_us, looked.again_us, looked.unknown_us)),
            f"{looked.fill_s * 1e3:.1f}",
            NO_FIGURE if memory is None else f"{memory:,.0f}",
            f"{swaps.swap_s * 1e3:.1f}",
            *(f"{each * 1e3:.1f}" for each in times),
        )


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.compare.routes", description="Measure routing tables of several sizes."
    )
    add_common(parser)
    parser.add_argument(
        "--routes", nargs="+", type=int, default=ROUTES, metavar="N", help="sizes of the tables"
    )
    parser.add_argument("--swaps", type=int, default=SWAPS, help=f"swaps of each (default {SWAPS})")
    options = parser.parse_args(arguments)
    if min(options.routes) < 1 or options.swaps < 1:
        parser.error("--routes and --swaps are whole numbers from 1")
    return options


def look_up(build: Fleetgate, site: Site, routes: int, core: int) -> Lookups:
    """Run the probe in the build's interpreter. Raises StartError."""
    with on_cores(core):
        done = subprocess.run(
            build.command(str(Path(probe.__file__))),
            input=encode(Apply(tables.snapshot(site, routes, version=1))),
            env=build.environment(),
            capture_output=True,
            check=False,
        )
    if done.returncode:
        raise StartError(f"{build.name}: the lookups failed: {done.stderr.decode(errors='replace').strip()}")
    return Lookups(**json.loads(done.stdout))


def results(options: argparse.Namespace, tested: list[Fleetgate], directory: Path) -> Iterator[Result]:
    clusters = free_clusters()
    ports = [port for pair in clusters.values() for port in pair]
    cores = (options.proxy_core, options.load_core)
    with backend.started(Origin.FILES, ports, directory, cores[1:]) as backends:
        for routes in options.routes:
            for build in tested:
                own = directory / f"{build.name}-{routes}"
                own.mkdir()
                site = Site(own, free_ports(1)[0], clusters)
                lookups = look_up(build, site, routes, options.proxy_core)
                swaps = measure(build, site, routes, options.swaps, cores, backends)
                yield Result(routes, build.name, lookups, swaps)


def run(options: argparse.Namespace) -> int:
    check_cores(options.proxy_core, options.load_core)
    tested = builds(options.fleetgate)
    heading = "\n".join((f"{today()}, {machine()}", *(f"{each.name} {each.version()}" for each in tested)))
    print(heading, table(HEAD, ()), sep="\n", flush=True)
    found = []
    with tempfile.TemporaryDirectory(prefix="fleetgate-routes-") as directory:
        for result in results(options, tested, Path(directory)):
            print("| " + " | ".join(result.cells()) + " |", flush=True)
            found.append(result)
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    if options.markdown:
        notes = "\n".join(f"- {text}" for text in MEANING)
        rows = table(HEAD, (each.cells() for each in found))
        options.markdown.write_text(f"{heading}\n\n{rows}\n\n{notes}\n")
    failed = sum(each.swaps.failed for each in found)
    print(*MEANING, f"{failed} requests failed", sep="\n")
    return 1 if failed else 0


def main() -> int:
    try:
        return run(parse_arguments(sys.argv[1:]))
    except (Missing, StartError, OSError) as error:
        raise SystemExit(f"compare.routes: {error}") from error


if __name__ == "__main__":
    raise SystemExit(main())
