"""A worker beside clients and endpoints that send as much cheap work as they can.

    python -m loadtest.hostile [--kinds 404 chunks ...] [--fleetgate NAME=PYTHON]

Each kind is tried with one connection and with 500. Load and endpoints on one core, the worker on another,
loopback only. The exit code is 1 when a turn of the worker's loop took too much CPU time, or when a request
of the normal traffic was too late or failed.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass

from loadtest.hostile.kinds import KINDS
from loadtest.hostile.setting import Measured, measured
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.options import add_common, builds, check_cores
from loadtest.kit.processes import (
    Started,
    StartError,
    cpu_s,
    module,
    on_cores,
    own_environment,
    raise_file_limit,
    rss_bytes,
)
from loadtest.kit.programs import Missing
from loadtest.kit.traffic import Traffic

TURN_MS = 20.0
SLOWEST_MS = {1: 50.0, 500: 250.0}
"""p99.9 of the normal traffic, by how many connections attack."""
BYSTANDERS = 8
SETTLE_S = 1.0
END_S = 15
"""Seconds that the attackers' process may take beyond its time."""


@dataclass(frozen=True, slots=True)
class Result:
    """Times in milliseconds; `control` is without attackers."""

    kind: str
    connections: int
    turn_ms: float
    p50_ms: float
    p999_ms: float
    failed: int
    control_turn_ms: float
    control_p999_ms: float
    attacker_mb_per_s: float
    worker_core: float
    memory_mb: float

    @property
    def holds(self) -> bool:
        within = self.turn_ms <= TURN_MS and self.p999_ms <= SLOWEST_MS.get(self.connections, SLOWEST_MS[500])
        return within and not self.failed


HEADER = (
    "| attack | connections | longest turn (control) | p50 | p99.9 (control) | failed | MB/s | core | MB |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def row(result: Result) -> str:
    return (
        f"| {result.kind} | {result.connections} | {result.turn_ms:.1f} ms ({result.control_turn_ms:.1f})"
        f" | {result.p50_ms:.1f} ms | {result.p999_ms:.1f} ms ({result.control_p999_ms:.1f})"
        f" | {result.failed} | {result.attacker_mb_per_s:.1f} | {result.worker_core:.0%}"
        f" | {result.memory_mb:.0f} |{'' if result.holds else ' ✗'}"
    )


def attacked(under: Measured, kind: str, connections: int, options: argparse.Namespace) -> Result:
    """Measure normal traffic alone, then beside the attackers."""
    port, load_core, pid = under.site.port, options.load_core, under.worker.pid
    with on_cores(load_core), Traffic(port, options.rate, BYSTANDERS) as traffic:
        traffic.start()
        traffic.run(SETTLE_S)
        under.take_longest_turn_s()
        control = traffic.run(options.seconds)
        control_turn = under.take_longest_turn_s()
        out = under.site.directory / "attack.json"
        limit = options.mb if connections == 1 else 0
        attackers = Started(
            [
                *module("loadtest.hostile.attack", "--port", str(port), "--kind", kind),
                *("--connections", str(connections), "--rate", str(limit)),
                *("--seconds", str(options.seconds)),
            ],
            under.site.directory, (load_core,), stdout=out, environment=own_environment(),
        )  # fmt: skip
        try:
            before = cpu_s(pid)
            during = traffic.run(options.seconds)
            core = (cpu_s(pid) - before) / options.seconds
            memory = rss_bytes(pid)
            for _ in range(END_S):
                if not attackers.has_ended:
                    during.add(traffic.run(1.0))
            if not attackers.has_ended:
                raise attackers.failed("the attackers do not end")
        finally:
            attackers.stop()
        turn = under.take_longest_turn_s()
    said = json.loads(out.read_text())
    return Result(
        kind,
        connections,
        turn * 1e3,
        during.percentile_ms(50),
        during.percentile_ms(99.9),
        during.failed,
        control_turn * 1e3,
        control.percentile_ms(99.9),
        (said["sent"] or said["received"]) / options.seconds / 1e6,
        core,
        memory / 1e6,
    )


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.hostile", description=__doc__, formatter_class=raw
    )
    add_common(parser)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="default: all")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 500], help="default: 1 500")
    parser.add_argument("--rate", type=int, default=200, help="normal requests per second (default 200)")
    parser.add_argument("--mb", type=float, default=20.0, help="MB/s that one attacker sends (default 20)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each attack (default 5, up to 60)")
    options = parser.parse_args(arguments)
    if options.rate < 1 or options.mb <= 0 or not 0 < options.seconds <= 60:
        parser.error("--rate is 1 or more, --mb above 0, --seconds above 0 to 60")
    if not all(1 <= connections <= 5000 for connections in options.connections):
        parser.error("--connections is 1 to 5000")
    return options


def run(peer: Fleetgate, options: argparse.Namespace) -> list[Result]:
    print(f"{peer.name} {peer.version()}\n\n{HEADER}")
    results = []
    for kind in options.kinds:
        for connections in options.connections:
            with measured(peer, options.proxy_core, options.load_core, gzip="gzip" in kind) as under:
                try:
                    results.append(attacked(under, kind, connections, options))
                except (OSError, ValueError) as error:
                    print(f"| {kind} | {connections} | no answer for normal traffic: {error} ✗ |", flush=True)
                else:
                    print(row(results[-1]), flush=True)
    return results


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    raise_file_limit()
    try:
        check_cores(options.proxy_core, options.load_core)
        results = {peer.name: run(peer, options) for peer in builds(options.fleetgate)}
    except (Missing, StartError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(
            json.dumps({n: [asdict(r) for r in rs] for n, rs in results.items()}, indent=1)
        )
    wanted = len(options.kinds) * len(options.connections)
    return 0 if all(len(rs) == wanted and all(r.holds for r in rs) for rs in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
