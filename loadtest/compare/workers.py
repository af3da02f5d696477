"""One worker and two: does the second one make the first one's requests dearer?

    python -m loadtest.compare.workers [--rounds N] [--seconds N]

Two workers get twice the connections of one: with as many in all, each would keep fewer to the endpoints, and
a pool that is too small for one worker would look as if two scaled.

With four cores or more, two are the workers' and the others backend's and load's. With fewer, one worker has
a core for itself and two share both with the load: then their throughput says nothing about scaling.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from loadtest.compare import backend, load
from loadtest.compare.figures import LoadError
from loadtest.compare.report import machine, table, today
from loadtest.compare.rows import Row, select
from loadtest.compare.runner import WARM_UP_S, empty, rotated
from loadtest.kit.fleetgate import Fleetgate, Worker, snapshot
from loadtest.kit.options import add_builds, builds
from loadtest.kit.processes import StartError, cpu_s
from loadtest.kit.programs import Missing
from loadtest.kit.site import Site, free_clusters
from loadtest.ports import free_ports
from proxy.model.channel import Apply, encode

ROWS = ("90B-32-*", "10KB-32-*")
CONNECTIONS = 64
"""Connections of each worker: as many as it keeps idle to one endpoint, so that none is opened anew."""
HEAD = ("row", "build", "workers", "req/s", "CPU µs/request", "busy", "req/s, 2 / 1", "CPU/request, 2 / 1")
MEANING = (
    f"Answers and heads of the row; {CONNECTIONS} connections for each worker, dealt out by the kernel.",
    "busy: the part of its core that each worker used.",
    "2 / 1: two workers over one, medians of the ratios of neighbouring rounds.",
)
SHARED = (
    "This machine has too few cores for two workers and a load: one worker had a core for itself, two shared"
    " theirs with the load. Whether two carry twice as much cannot be seen here; it needs four cores. The CPU"
    " time per request of the two includes the cost of the load on the same cores."
)


@dataclass(frozen=True, slots=True)
class Round:
    row: str
    build: str
    workers: int
    round: int
    requests_per_s: float
    cpu_us_per_request: float
    core_shares: tuple[float, ...]
    errors: int


@dataclass(frozen=True, slots=True)
class Cores:
    workers: tuple[int, int]
    rest: tuple[int, ...]

    @property
    def are_shared(self) -> bool:
        return len(self.rest) < 2

    def of_load(self, size: int) -> tuple[int, ...]:
        """Return the cores of backend and load beside `size` workers."""
        if not self.are_shared:
            return self.rest
        return self.workers[1:] if size == 1 else self.workers


def divide(usable: list[int]) -> Cores:
    """Raises Missing when there is only one core."""
    if len(usable) < 2:
        raise Missing(f"two workers on two cores need two cores; this machine lets it use {len(usable)}")
    return Cores((usable[0], usable[1]), tuple(usable[2:]))


class Team:
    """Workers that share a port, each on a core of its own."""

    def __init__(
        self, build: Fleetgate, site: Site, row: Row, size: int, cores: Cores, stack: ExitStack
    ) -> None:
        """Start them; `stack` stops them."""
        self._build = build.name
        self._site = site
        self._row = replace(row, connections=CONNECTIONS * size)
        self._prepared = load.prepare(self._row, site.directory)
        self._load_cores = cores.of_load(size)
        self._workers: list[Worker] = []
        for number in range(size):
            worker = Worker(build, site, cores.workers[number], number)
            stack.callback(worker.stop)
            worker.apply(encode(Apply(snapshot(site))))
            self._workers.append(worker)

    def measure(self, number: int, seconds: int) -> Round:
        before = self._cpu_s()
        seen = load.run(self._row, self._prepared, self._site.port, seconds, self._load_cores)
        spent = [after - earlier for after, earlier in zip(self._cpu_s(), before, strict=True)]
        empty(self._site.access_log)
        return Round(
            row=self._row.name,
            build=self._build,
            workers=len(self._workers),
            round=number,
            requests_per_s=seen.requests_per_s,
            cpu_us_per_request=sum(spent) * 1e6 / max(1, seen.requests),
            core_shares=tuple(each / seen.elapsed_s for each in spent),
            errors=seen.errors,
        )

    def _cpu_s(self) -> list[float]:
        return [cpu_s(worker.pid) for worker in self._workers]


def rounds_of(
    row: Row, build: Fleetgate, options: argparse.Namespace, directory: Path, cores: Cores
) -> Iterator[Round]:
    """Alternate between one worker and two, which are started once, with backends of their own."""
    with ExitStack() as stack:
        teams = []
        for size in (1, 2):
            own = directory / f"workers-{size}"
            own.mkdir()
            site = Site(own, free_ports(1)[0], free_clusters())
            stack.enter_context(backend.started(row.origin, site.backends, own, cores.of_load(size)))
            team = Team(build, site, row, size, cores, stack)
            team.measure(0, WARM_UP_S)
            teams.append(team)
        for number in range(options.rounds):
            for team in rotated(teams, number):
                yield team.measure(number, options.seconds)


def summary(rounds: list[Round]) -> list[tuple[str, ...]]:
    """Return two rows of the table from the rounds of a row and a build."""
    one, two = ([each for each in rounds if each.workers == size] for size in (1, 2))
    pairs = list(zip(one, two, strict=True))
    speed = median(b.requests_per_s / a.requests_per_s for a, b in pairs)
    cost = median(b.cpu_us_per_request / a.cpu_us_per_request for a, b in pairs)
    return [(*_cells(one), "", ""), (*_cells(two), f"{speed:.2f}", f"{cost:.2f}")]


def _cells(rounds: list[Round]) -> tuple[str, ...]:
    shares = zip(*(each.core_shares for each in rounds), strict=True)
    return (
        rounds[0].row,
        rounds[0].build,
        str(rounds[0].workers),
        f"{median(each.requests_per_s for each in rounds):,.0f}",
        f"{median(each.cpu_us_per_request for each in rounds):.1f}",
        " + ".join(f"{median(share):.0%}" for share in shares),
    )


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.compare.workers", description="Measure one worker and two."
    )
    add_builds(parser)
    parser.add_argument("--rows", nargs="+", default=ROWS, metavar="PATTERN", help="rows of loadtest.compare")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a round (default 2)")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are whole numbers from 1")
    return options


def run(options: argparse.Namespace) -> int:
    cores = divide(sorted(os.sched_getaffinity(0)))
    tested = builds(options.fleetgate)
    notes = (*MEANING, SHARED) if cores.are_shared else MEANING
    heading = "\n".join((f"{today()}, {machine()}", *(f"{each.name} {each.version()}" for each in tested)))
    print(heading, table(HEAD, ()), sep="\n", flush=True)
    measured: list[Round] = []
    lines: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(prefix="fleetgate-workers-") as directory:
        for row in select(list(options.rows)):
            for build in tested:
                own = Path(directory) / f"{row.name}-{build.name}"
                own.mkdir()
                rounds = list(rounds_of(row, build, options, own, cores))
                for cells in summary(rounds):
                    print("| " + " | ".join(cells) + " |", flush=True)
                    lines.append(cells)
                measured += rounds
    print(*notes, sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in measured], indent=1) + "\n")
    if options.markdown:
        listed = "\n".join(f"- {text}" for text in notes)
        options.markdown.write_text(f"{heading}\n\n{table(HEAD, lines)}\n\n{listed}\n")
    return 1 if any(each.errors for each in measured) else 0


def main() -> int:
    try:
        return run(parse_arguments(sys.argv[1:]))
    except (Missing, StartError, LoadError, ValueError, OSError) as error:
        raise SystemExit(f"compare.workers: {error}") from error


if __name__ == "__main__":
    raise SystemExit(main())
