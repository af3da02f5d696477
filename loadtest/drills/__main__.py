"""Drills: the effects on clients when one of two clusters fails, with fleetgate, Envoy, HAProxy and nginx.

    python -m loadtest.drills [--drills PATTERN ...] [--peers NAME ...] [--rate N] [--fault-s N]

A proxy on one core, endpoints and load on another. Requests are due at a constant rate, a quarter of them
POSTs; cluster-2 has half of them until its fault begins. In the drill `mixed` no endpoint fails: slow
requests run among fast ones, and each must be executed exactly once. docs/failover.md explains the tables.
The exit code is 1 when an invariant does not hold for fleetgate, when a run has no result, or, with --strict,
when fleetgate misses a target.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from loadtest.compare.report import machine, today
from loadtest.drills import chart, report
from loadtest.drills.combine import by_cell
from loadtest.drills.drills import Drill, select
from loadtest.drills.mixed import program as mixed
from loadtest.drills.mixed import report as mixed_report
from loadtest.drills.mixed.run import Cell as MixedCell
from loadtest.drills.peers import Peer, envoy, haproxy, nginx
from loadtest.drills.peers.fleetgate import Fleetgate
from loadtest.drills.run import Cell, Plan, leave, run, why_not
from loadtest.kit.options import add_common, builds, check_cores
from loadtest.kit.processes import StartError, raise_file_limit
from loadtest.kit.programs import Missing, installed

FIND: dict[str, Callable[[], Peer]] = {"envoy": envoy.find, "haproxy": haproxy.find, "nginx": nginx.find}


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.drills", description=__doc__, formatter_class=raw
    )
    add_common(parser)
    parser.add_argument(
        "--drills",
        nargs="+",
        metavar="PATTERN",
        default=["*"],
        help="by name, * is any text, mixed/CASE is one case of mixed (default: all)",
    )
    parser.add_argument("--quick", action="store_true", help="of mixed only the short cases")
    parser.add_argument(
        "--http2",
        action="store_true",
        help="clients speak HTTP/2 in the clear to every proxy; mixed has no such clients, and is left out",
    )
    parser.add_argument("--peers", nargs="*", choices=FIND, default=list(FIND), help="default: all")
    parser.add_argument(
        "--rate", type=int, default=1000, help="requests per second, 20 to 5000 (default 1000)"
    )
    parser.add_argument("--before-s", type=float, default=5.0, help="until the hit, 0.5 to 60 (default 5)")
    parser.add_argument(
        "--fault-s", type=float, default=10.0, help="length of the fault, 0.5 to 60 (default 10)"
    )
    parser.add_argument("--after-s", type=float, default=5.0, help="after it, 0.5 to 60 (default 5)")
    parser.add_argument(
        "--runs", type=int, default=1, help="of everything, one after the other, 1 to 20 (default 1)"
    )
    parser.add_argument("--chart", type=Path, metavar="FILE.svg", help="draw the runs over time")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIRECTORY",
        help="a new one, in which configurations, logs, packets on the wire (wire) and the outcome of each"
        " request (requests) are kept",
    )
    parser.add_argument("--strict", action="store_true", help="fail when fleetgate misses a target, too")
    options = parser.parse_args(arguments)
    if not 20 <= options.rate <= 5000:
        parser.error(f"--rate {options.rate}: give a whole number from 20 to 5000")
    if not 1 <= options.runs <= 20:
        parser.error(f"--runs {options.runs}: give a whole number from 1 to 20")
    for name in ("before", "fault", "after"):
        value = getattr(options, f"{name}_s")
        if not 0.5 <= value <= 60:
            parser.error(f"--{name}-s {value:g}: give a number from 0.5 to 60")
    return options


def possible(drills: list[Drill]) -> tuple[list[Drill], list[str]]:
    """Return the drills that this machine permits, and remarks about the others."""
    reasons = {drill.name: why_not(drill) for drill in drills}
    skipped = [f"skipped: {name}: {reason}" for name, reason in reasons.items() if reason]
    return [drill for drill in drills if not reasons[drill.name]], skipped


def cells(
    plan: Plan, runs: int, drills: list[Drill], peers: list[Peer], directory: Path
) -> Iterator[Cell | str]:
    """Yield each run of each cell; a sentence about one that could not be done, and the others still are."""
    for number, drill, peer in product(range(1, runs + 1), drills, peers):
        place = directory / f"{drill.name}-{peer.name}-{number}"
        try:
            yield run(plan, drill, peer, number, place)
        except (Missing, StartError, OSError) as error:
            yield f"run {number} of {drill.name} before {peer.name} came to nothing: {error}"


@contextmanager
def workplace(keep: Path | None) -> Iterator[Path]:
    """Yield a directory; one that is not to be kept is removed. Raises OSError when it is there already."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="fleetgate-drills-") as directory:
        yield Path(directory)


@dataclass(slots=True)
class Outcome:
    """The results so far."""

    about: report.Circumstances
    cells: list[Cell]
    mixed: list[MixedCell] = field(default_factory=list)
    has_gaps: bool = False

    def add(self, found: Cell | MixedCell | str) -> None:
        """Print a result or a remark, and keep it."""
        if isinstance(found, str):
            print(f"  {found}", flush=True)
            self.has_gaps = True
            self.about = replace(self.about, remarks=(*self.about.remarks, found))
        elif isinstance(found, Cell):
            self.cells.append(found)
            self._print(report.line(found), found.peer, report.judged(found))
        else:
            self.mixed.append(found)
            self._print(mixed_report.line(found), found.peer, mixed_report.judged(found))

    def _print(self, line: str, peer: str, missed: tuple[str, ...]) -> None:
        print(line, flush=True)
        if peer in self.about.ours:
            for text in missed:
                print(f"  missed: {text}", flush=True)

    def write(self, options: argparse.Namespace) -> None:
        """Write the results to the files that were asked for."""
        if options.json:
            report.write_json(options.json, self.cells, self.about, self.mixed)
        if options.markdown:
            options.markdown.write_text(report.markdown(self.cells, self.about, self.mixed))
        if options.chart and self.cells:
            subtitle = f"{self.about.date}, {machine()}, runs: {self.about.rounds}"
            options.chart.write_text(chart.svg(by_cell(self.cells), subtitle))


def drill(options: argparse.Namespace) -> Outcome:
    """Run the drills; print and write each result at once. Raises Missing, ValueError, OSError."""
    check_cores(options.proxy_core, options.load_core)
    patterns, case_patterns = mixed.divided(options.drills)
    drills, skipped = possible(select(patterns))
    if options.http2 and case_patterns:
        skipped.append("skipped: mixed: its clients speak HTTP/1.1")
    cases = [] if options.http2 else mixed.chosen(case_patterns, quick=options.quick)
    installations = builds(options.fleetgate)
    ours = [Fleetgate(build) for build in installations]
    others, missing = installed(FIND, options.peers)
    peers: list[Peer] = [*ours, *others]
    runs = mixed.runs(cases, installations, mixed.peers(options.peers))
    plan = Plan(
        options.rate,
        options.before_s,
        options.fault_s,
        options.after_s,
        options.proxy_core,
        options.load_core,
        options.http2,
    )
    about = report.Circumstances(
        date=today(),
        plan=plan,
        rounds=options.runs,
        versions={peer.name: peer.version() for peer in peers},
        remarks=(*(f"not drilled: {each}" for each in missing), *skipped),
        ours=tuple(build.name for build in ours),
    )
    print(about, *(f"{name} {version}" for name, version in about.versions.items()), sep="\n")
    print(*about.remarks, sep="\n", flush=True)
    outcome = Outcome(about, [])
    with workplace(options.keep) as directory:
        if drills:
            print(" | ".join(report.HEAD), flush=True)
        for found in cells(plan, options.runs, drills, peers, directory):
            outcome.add(found)
            outcome.write(options)
        if runs:
            minutes = mixed.takes_s(runs, options.runs) / 60
            print(f"mixed: {len(cases)} cases, {len(runs)} runs, about {minutes:.0f} minutes")
            print(" | ".join(mixed_report.HEAD), flush=True)
        for one in mixed.cells(runs, options.runs, directory, plan.proxy_core, plan.load_core):
            outcome.add(one)
            outcome.write(options)
    return outcome


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    signal.signal(signal.SIGTERM, leave)
    raise_file_limit()
    try:
        outcome = drill(options)
    except (Missing, ValueError, OSError) as error:
        raise SystemExit(f"drills: {error}") from error
    ours = [cell for cell in by_cell(outcome.cells) if cell.peer in outcome.about.ours]
    has_failed = any(report.judged(cell) if options.strict else cell.violations for cell in ours) or (
        options.strict
        and any(mixed_report.judged(cell) for cell in outcome.mixed if cell.peer in outcome.about.ours)
    )
    return 1 if has_failed or outcome.has_gaps else 0


if __name__ == "__main__":
    raise SystemExit(main())
