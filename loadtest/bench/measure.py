"""One round of load with wrk: requests per second, latency, and the proxy's CPU time from /proc."""

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.setup import HOST

HEADERS = (  # with Host eight, as a browser-like client sends them
    f"Host: {HOST}",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.9",
    "Accept-Encoding: gzip, deflate",
    "Cache-Control: no-cache",
    "Cookie: session=0123456789abcdef0123456789abcdef",
    "X-Client-Version: 1.2.3",
)
_UNIQUE = """
local counter = 0
request = function()
    counter = counter + 1
    wrk.headers["X-Client-Version"] = counter
    return wrk.format()
end
"""
_TICKS = os.sysconf("SC_CLK_TCK")
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Round:
    peer: str
    requests_per_s: float
    cpu_us_per_request: float
    core_share: float  # of the round that the proxy was running: below 1 it waited for load, or for its core
    p50_ms: float
    p99_ms: float
    errors: int


@dataclass(frozen=True, slots=True)
class Load:
    """How wrk is run. `script` makes a header of every request unique, "" leaves all alike."""

    core: int
    seconds: float
    connections: int
    script: str = ""


def unique_headers_script(directory: Path) -> str:
    path = directory / "unique.lua"
    path.write_text(_UNIQUE)
    return str(path)


def run_round(peer: str, pid: int, port: int, load: Load) -> Round:
    """Load the proxy `pid` on `port` once."""
    arguments = ["-t1", f"-c{load.connections}", f"-d{load.seconds:g}s", "--latency"]
    for header in HEADERS:
        arguments += ["-H", header]
    if load.script:
        arguments += ["-s", load.script]
    before, started = _cpu_s(pid), time.monotonic()
    done = subprocess.run(
        ["taskset", "-c", str(load.core), "wrk", *arguments, f"http://127.0.0.1:{port}/svc1"],
        capture_output=True,
        text=True,
        check=True,
    )
    used, elapsed = _cpu_s(pid) - before, time.monotonic() - started
    return _parse(peer, done.stdout, used, elapsed)


def _parse(peer: str, output: str, cpu_s: float, elapsed_s: float) -> Round:
    requests = int(_find(r"(\d+) requests in", output))
    return Round(
        peer=peer,
        requests_per_s=float(_find(r"Requests/sec:\s+([\d.]+)", output)),
        cpu_us_per_request=cpu_s * 1e6 / max(1, requests),
        core_share=cpu_s / elapsed_s,
        p50_ms=_latency_ms("50%", output),
        p99_ms=_latency_ms("99%", output),
        errors=_errors(output),
    )


def _find(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    if found is None:
        raise SystemExit(f"wrk printed something unexpected:\n{output}")
    return found[1]


def _latency_ms(percentile: str, output: str) -> float:
    """Return a row of the latency distribution; "50%" alone would also be found in "87.50%"."""
    number = _find(rf"\n\s+{percentile}\s+([\d.]+)(?:us|ms|s|m)\b", output)
    unit = _find(rf"\n\s+{percentile}\s+[\d.]+(us|ms|s|m)\b", output)
    return float(number) * _UNITS_MS[unit]


def _errors(output: str) -> int:
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return (int(refused[1]) if refused else 0) + sum(map(int, sockets.groups()) if sockets else ())


def _cpu_s(pid: int) -> float:
    """Return the user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
