"""A worker beside slow clients, after a million requests, and with idle connections.

    python -m loadtest.soak [--only slowloris memory idle] [--fleetgate NAME=PYTHON]

Backend and load on one core, the worker on another, loopback only; a few minutes. The exit code is 1 when
a request failed.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from loadtest.compare import report
from loadtest.compare.figures import LoadError
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.options import add_common, builds, check_cores
from loadtest.kit.processes import StartError, raise_file_limit
from loadtest.kit.programs import Missing
from loadtest.soak.memory import bytes_per_idle, growth
from loadtest.soak.setting import serving
from loadtest.soak.slowloris import Attack, attacked

MIB = 1 << 20
Print = Callable[[str], None]


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.soak", description=__doc__.partition("\n")[0])
    add_common(parser)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--rate", type=int, default=2000, help="normal requests per second (default 2000)")
    parser.add_argument("--quiet-s", type=int, default=15, help="before and after the attack (default 15)")
    parser.add_argument("--attackers", type=int, default=5000, help="connections at a time (default 5000)")
    parser.add_argument("--byte-every", type=float, default=2.5, help="seconds (default 2.5)")
    parser.add_argument("--opening-s", type=float, default=5.0, help="attackers come within (default 5)")
    parser.add_argument("--attack-s", type=int, default=30, help="length of the attack (default 30)")
    parser.add_argument(
        "--requests",
        type=int,
        nargs="+",
        default=[100_000, 500_000, 1_000_000, 2_000_000, 3_000_000],
        help="after so many memory is read (default: 100,000 to 3,000,000)",
    )
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections (default 10000)")
    options = parser.parse_args(arguments)
    numbers = (options.rate, options.quiet_s, options.attackers, options.attack_s, options.idle)
    if min(*numbers, *options.requests) < 1 or min(options.byte_every, options.opening_s) <= 0:
        parser.error("numbers, rates and times are above 0")
    return options


def slowloris(peer: Fleetgate, options: argparse.Namespace, say: Print) -> dict[str, Any]:
    attack = Attack(options.attackers, options.byte_every, options.opening_s, options.attack_s)
    with serving(peer, options.proxy_core, options.load_core) as worker:
        result = attacked(worker, options.rate, options.quiet_s, attack)
    say(f"| {options.attackers:,} attackers | requests | failed | p50 | p99 | slowest | memory |")
    say("|---|---|---|---|---|---|---|")
    for name, phase in result.phases.items():
        say(
            f"| {name} | {phase['requests']:,} | {phase['failed']} | {phase['p50_ms']:.2f} ms"
            f" | {phase['p99_ms']:.2f} ms | {phase['slowest_ms']:.1f} ms"
            f" | {phase['rss_bytes'] / MIB:.1f} MiB |"
        )
    ages = result.attackers["age_s"]
    say(f"\np99 during/before: {result.p99_ratio:.2f}; {result.attackers['most_open']:,} attackers at most")
    say(
        f"{result.attackers['closed']:,} attackers closed after {ages['least']:.1f} to {ages['most']:.1f} s"
        f" (median {ages['median']:.1f} s): {result.attackers['answers']}\n"
    )
    failed = sum(phase["failed"] for phase in result.phases.values())
    return asdict(result) | {"p99_ratio": result.p99_ratio, "failed": failed}


def memory(peer: Fleetgate, options: argparse.Namespace, say: Print) -> dict[str, Any]:
    say("| requests | memory |\n|---|---|")
    points = []
    with serving(peer, options.proxy_core, options.load_core) as worker:
        for point in growth(worker, options.requests):
            say(f"| {point.requests:,} | {point.rss_bytes / MIB:.2f} MiB |")
            points.append(point)
    say("")
    return {"points": [asdict(point) for point in points], "failed": points[-1].errors}


def idle(peer: Fleetgate, options: argparse.Namespace, say: Print) -> dict[str, Any]:
    with serving(peer, options.proxy_core, options.load_core) as worker:
        each = bytes_per_idle(worker, options.idle)
    say(f"{options.idle:,} idle connections: {each / 1024:.1f} KiB each\n")
    return {"connections": options.idle, "bytes_each": each, "failed": 0}


PARTS: dict[str, Callable[[Fleetgate, argparse.Namespace, Print], dict[str, Any]]] = {
    "slowloris": slowloris,
    "memory": memory,
    "idle": idle,
}


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        print(text, flush=True)

    results: dict[str, dict[str, Any]] = {}
    try:
        check_cores(options.proxy_core, options.load_core)
        raise_file_limit()
        for peer in builds(options.fleetgate):
            say(f"{peer.name} {peer.version()}; {report.machine()}; {report.today()}\n")
            results[peer.name] = {part: PARTS[part](peer, options, say) for part in options.only}
    except (Missing, StartError, LoadError, ValueError, OSError) as error:
        raise SystemExit(f"soak: {error}") from error
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    if options.markdown:
        options.markdown.write_text("\n".join(said))
    return 1 if any(part["failed"] for parts in results.values() for part in parts.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
