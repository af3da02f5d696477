"""One run of wrk: requests per second and latency."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from time import monotonic

from loadtest.compare.figures import LoadError, Result
from loadtest.compare.rows import Heads, Row
from loadtest.kit.processes import on_cores
from loadtest.kit.site import HOST

HEADERS = {  # eight, as a browser-like client sends them
    "Host": HOST,
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.9",
    "Accept-Encoding": "gzip, deflate",
    "Cache-Control": "no-cache",
    "Cookie": "session=0123456789abcdef0123456789abcdef",
    "X-Client-Version": "1.2.3",
}

# Without a function `request`, wrk makes the request once
_WARM = """
wrk.method = "{method}"
{fields}
{body}
"""

# Joined by hand: wrk.format() costs more than a proxy does. A run gets a seed: no two send the same heads
_COLD = """
local threads = 0
function setup(thread)
    threads = threads + 1
    thread:set("thread_number", threads)
end

local format = string.format
local count = 0
local seed
local fields = "{fields}\\r\\n" .. string.rep("x", {body_bytes})

function init(arguments)
    seed = format("%08x%04x", tonumber(arguments[1]), thread_number)
end

function request()
    count = count + 1
    local id = seed .. format("%016xc0de", count)
    return "{method} {path}?page=" .. count .. "&item=" .. id .. " HTTP/1.1\\r\\n"
        .. "Cookie: session=" .. id .. "\\r\\n"
        .. "traceparent: 00-" .. id .. "-" .. format("%016x", count) .. "-01\\r\\n" .. fields
end
"""
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def version() -> str:
    """Raises LoadError when wrk is missing."""
    if shutil.which("wrk") is None:
        raise LoadError("wrk was not found on PATH; install it (Debian: apt install wrk)")
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return done.stdout.split("[")[0].removeprefix("wrk").strip()


def prepare(row: Row, directory: Path) -> Path:
    """Write the Lua script of a row."""
    path = directory / f"{row.name}.lua"
    path.write_text(_cold(row) if row.heads is Heads.COLD else _warm(row))
    return path


def _fields(row: Row) -> dict[str, str]:
    return HEADERS | ({"Connection": "close"} if row.closes else {})


def _method(row: Row) -> str:
    return "POST" if row.body_bytes else "GET"


def _warm(row: Row) -> str:
    fields = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in _fields(row).items())
    body = f'wrk.body = string.rep("x", {row.body_bytes})' if row.body_bytes else ""
    return _WARM.format(method=_method(row), fields=fields, body=body)


def _cold(row: Row) -> str:
    fields = {name: value for name, value in _fields(row).items() if name != "Cookie"}
    if row.body_bytes:
        fields["Content-Length"] = str(row.body_bytes)
    joined = "".join(f"{name}: {value}\\r\\n" for name, value in fields.items())
    return _COLD.format(method=_method(row), path=row.path, fields=joined, body_bytes=row.body_bytes)


def run(row: Row, prepared: Path, port: int, seconds: int, cores: tuple[int, ...]) -> Result:
    """Load the proxy on `port`, with one thread on each of the cores."""
    scheme = "https" if row.tls else "http"
    command = [
        *(
            "wrk",
            f"-t{len(cores)}",
            f"-c{row.connections}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            str(prepared),
        ),
        *(
            f"{scheme}://127.0.0.1:{port}{row.path}",
            "--",
            str(int.from_bytes(os.urandom(4))),
        ),
    ]
    with on_cores(*cores):
        started = monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"{command} failed: {done.stdout}{done.stderr}")
    return parse(done.stdout, monotonic() - started)


def parse(output: str, elapsed_s: float) -> Result:
    return Result(
        requests=int(_find(r"(\d+) requests in", output)[1]),
        elapsed_s=elapsed_s,
        requests_per_s=float(_find(r"Requests/sec:\s+([\d.]+)", output)[1]),
        p50_ms=_latency_ms("50%", output),
        p99_ms=_latency_ms("99%", output),
        errors=_errors(output),
    )


def _find(pattern: str, output: str) -> re.Match[str]:
    found = re.search(pattern, output)
    if found is None:
        raise LoadError(f"wrk printed unexpected output:\n{output}")
    return found


def _latency_ms(percentile: str, output: str) -> float:
    """Return a row of the latency distribution; the line break keeps "50%" from matching elsewhere."""
    found = _find(rf"\n\s+{percentile}\s+([\d.]+)(us|ms|s|m)\b", output)
    return float(found[1]) * _UNITS_MS[found[2]]


def _errors(output: str) -> int:
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return (int(refused[1]) if refused else 0) + sum(map(int, sockets.groups()) if sockets else ())
