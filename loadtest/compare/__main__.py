"""fleetgate beside nginx, HAProxy and Envoy.

    python -m loadtest.compare [--quick] [--rows PATTERN ...] [--rounds N] [--seconds N]

One worker of each on one core, backend and load on another, rounds interleaved. Every proxy routes by host
and path with a header rule, splits 20/80 over two clusters of two endpoints, retries, adds the same headers,
and writes a JSON access log to a file. The exit code is 1 when a request to fleetgate failed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from loadtest.compare import chart, load, report
from loadtest.compare.figures import LoadError
from loadtest.compare.peers import Peer, envoy, haproxy, nginx
from loadtest.compare.results import Outcome
from loadtest.compare.rows import QUICK, Row, select
from loadtest.compare.runner import Plan, run_row
from loadtest.kit.options import add_common, builds, check_cores
from loadtest.kit.processes import StartError, raise_file_limit
from loadtest.kit.programs import Missing, installed

FIND: dict[str, Callable[[], Peer]] = {"nginx": nginx.find, "haproxy": haproxy.find, "envoy": envoy.find}
ROUNDS, SECONDS = 5, 2
QUICK_ROUNDS, QUICK_SECONDS = 2, 1
OTHER_FILES = 2_000  # besides idle connections: those under load, to backends, and the process's own


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.compare",
        description="Compare one fleetgate worker with nginx, HAProxy and Envoy.",
    )
    add_common(parser)
    parser.add_argument(
        "--quick", action="store_true", help="some rows, two rounds of one second: five minutes"
    )
    parser.add_argument(
        "--rows", nargs="+", metavar="PATTERN", help="rows by name, * is any text (default: all)"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds of each peer in each row (default {ROUNDS})")
    parser.add_argument("--seconds", type=int, help=f"length of a round (default {SECONDS})")
    parser.add_argument("--peers", nargs="*", choices=FIND, default=list(FIND), help="default: all")
    parser.add_argument("--chart", type=Path, metavar="FILE.svg", help="draw the results")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are whole numbers from 1")
    return options


def compare(options: argparse.Namespace) -> tuple[Outcome, report.Circumstances]:
    """Measure, and print each result at once. Raises Missing, StartError, LoadError, ValueError, OSError."""
    check_cores(options.proxy_core, options.load_core)
    rows, skipped = runnable(select(options.rows or (list(QUICK) if options.quick else ["*"])))
    ours = builds(options.fleetgate)
    others, missing = installed(FIND, options.peers)
    nginx.find()  # the backend
    peers: list[Peer] = [*ours, *others]
    about = report.Circumstances(
        versions={peer.name: peer.version() for peer in peers} | load.versions(rows),
        rounds=options.rounds,
        seconds=options.seconds,
        remarks=(
            *(f"not compared: {each}" for each in missing),
            *skipped,
            *(text for peer in peers for text in peer.differs),
        ),
        date=report.today(),
    )
    print(report.machine(), *(f"{name} {version}" for name, version in about.versions.items()), sep="\n")
    for text in about.remarks:
        print(text, flush=True)
    outcome = Outcome(tuple(peer.name for peer in peers), tuple(build.name for build in ours))
    with tempfile.TemporaryDirectory(prefix="fleetgate-compare-") as directory:
        plan = Plan(
            peers, options.rounds, options.seconds, options.proxy_core, options.load_core, Path(directory)
        )
        for row in rows:
            for measurement in run_row(plan, row):
                print(report.line(measurement), flush=True)
                outcome.measurements.append(measurement)
            print(report.row_summary(outcome, row.name), flush=True)
    return outcome, about


def runnable(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows that the limit of open files permits, and remarks about the others."""
    limit = raise_file_limit()
    fitting = [row for row in rows if row.idle + OTHER_FILES <= limit]
    skipped = [
        f"not measured: {row.name}: {row.idle:,} connections need more open files than {limit:,};"
        f" raise it (ulimit -Hn) to {row.idle + OTHER_FILES:,}"
        for row in rows
        if row not in fitting
    ]
    return fitting, skipped


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    try:
        outcome, about = compare(options)
    except (Missing, StartError, LoadError, ValueError, OSError) as error:
        raise SystemExit(f"compare: {error}") from error
    if options.json:
        report.write_json(options.json, outcome, about)
    if options.markdown:
        options.markdown.write_text(report.markdown(outcome, about))
    if options.chart:
        options.chart.write_text(chart.svg(outcome, f"{about.date}, {report.machine()}"))
    return 1 if outcome.errors(outcome.ours) else 0


if __name__ == "__main__":
    raise SystemExit(main())
