"""fleetgate against nginx: one worker each on one core, the same backend, interleaved rounds.

    python -m loadtest.compare_nginx [--rounds 5] [--seconds 5] [--json result.json]

The proxy under test has one core to itself; backend and wrk share another. Both split 20/80 over two
clusters of two endpoints, know a header rule, add the same headers, retry, and write a JSON access log.
Printed for each round: requests/s, CPU time of the proxy per request, latency. Shares of a busy machine
vary, so the ratio is the median of the ratios of neighbouring rounds. The exit code is 1 when the
ratio is below --minimum or a request failed.
"""

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import proxy
from loadtest.bench import measure, nginx, worker
from loadtest.bench.measure import Load, Round
from loadtest.bench.setup import Ports, free_ports

WARM_UP_S = 1.0
BUSY = 0.85
"""A proxy that had less of its core than this was not what limited the round."""


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare one fleetgate worker with nginx.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each proxy (default 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round (default 5)")
    parser.add_argument("--connections", type=int, default=32, help="keep-alive connections (default 32)")
    parser.add_argument("--proxy-core", type=int, default=0, help="core of the proxy under test (default 0)")
    parser.add_argument("--load-core", type=int, default=1, help="core of backend and wrk (default 1)")
    parser.add_argument("--unique-headers", action="store_true", help="no two requests have the same headers")
    parser.add_argument("--minimum", type=float, default=0.0, help="least acceptable ratio (default 0)")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args(arguments)


def compare(options: argparse.Namespace) -> list[Round]:
    """Run all rounds; everything started is stopped again."""
    ports = free_ports()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetgate-bench-")))
        backend = nginx.start(
            nginx.backend_configuration(directory, ports), options.load_core, ports.backends[0]
        )
        stack.callback(stop, backend)
        peer = nginx.start(nginx.proxy_configuration(directory, ports), options.proxy_core, ports.nginx)
        stack.callback(stop, peer)
        ours = worker.start(directory, options.proxy_core, ports)
        stack.callback(ours.stop)
        script = measure.unique_headers_script(directory) if options.unique_headers else ""
        load = Load(options.load_core, options.seconds, options.connections, script)
        pids = {"fleetgate": ours.process.pid, "nginx": peer.pid}
        return run_rounds(pids, ports, load, options.rounds)


def run_rounds(pids: dict[str, int], ports: Ports, load: Load, count: int) -> list[Round]:
    """Alternate between the peers, each pair in the opposite order of the one before."""
    of = {"fleetgate": ports.fleetgate, "nginx": ports.nginx}
    warm = Load(load.core, WARM_UP_S, load.connections, load.script)
    for name, pid in pids.items():
        measure.run_round(name, pid, of[name], warm)
    rounds = []
    for number in range(count):
        for name in sorted(pids, reverse=number % 2 == 1):
            result = measure.run_round(name, pids[name], of[name], load)
            print(line(result), flush=True)
            rounds.append(result)
    return rounds


def line(result: Round) -> str:
    return (
        f"{result.peer:<10} {result.requests_per_s:>9,.0f} req/s {result.cpu_us_per_request:>7.1f} µs CPU/req"
        f"   core {result.core_share:>4.0%}"
        f"   p50 {result.p50_ms:>6.2f} ms   p99 {result.p99_ms:>6.2f} ms   {result.errors} errors"
    )


def summarise(rounds: list[Round]) -> dict[str, float]:
    """Return the median ratios fleetgate/nginx: above 1 is better in the first, below 1 in the second."""
    ours = [each for each in rounds if each.peer == "fleetgate"]
    theirs = [each for each in rounds if each.peer == "nginx"]
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "requests_per_s": statistics.median(a.requests_per_s / b.requests_per_s for a, b in pairs),
        "cpu_per_request": statistics.median(a.cpu_us_per_request / b.cpu_us_per_request for a, b in pairs),
    }


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} was not found; install it (Debian: apt install wrk util-linux)")
    versions = {"fleetgate": proxy.__version__, "python": platform.python_version(), "nginx": nginx.version()}
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    rounds = compare(options)
    ratio = summarise(rounds)
    print(
        f"fleetgate/nginx: {ratio['requests_per_s']:.2f} of the requests/s,"
        f" {ratio['cpu_per_request']:.2f} times the CPU per request (medians of {options.rounds} pairs)"
    )
    starved = [each for each in rounds if each.core_share < BUSY]
    if starved:
        print(
            f"caution: in {len(starved)} of {len(rounds)} rounds the proxy ran less than {BUSY:.0%} of the"
            " time: the machine is busy, or wrk and the backend were the limit; trust the CPU figures more"
        )
    if options.json:
        result = {"versions": versions, "ratio": ratio, "rounds": [asdict(each) for each in rounds]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    failed = sum(each.errors for each in rounds)
    return 1 if failed or ratio["requests_per_s"] < options.minimum else 0


if __name__ == "__main__":
    raise SystemExit(main())
