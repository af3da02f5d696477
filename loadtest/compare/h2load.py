"""One run of h2load, of nghttp2: requests of HTTP/2 that repeat their headers."""

import re
import shutil
import subprocess
from pathlib import Path
from time import monotonic

from loadtest.compare.figures import LoadError, Result, percentile
from loadtest.compare.rows import Row
from loadtest.compare.wrk import HEADERS
from loadtest.kit.processes import on_cores

STREAM_WINDOW_BITS = 16
"""The window of a stream, 64 KB less a byte, is the one that the protocol begins with: h2load's default of a
gigabyte would leave out the cost of flow control."""
CONNECTION_WINDOW_BITS = 21
"""The window of a connection holds those of 32 streams."""
MORE_S = 30
"""Time beside its run that h2load may take."""


def version() -> str:
    """Raises LoadError when h2load is missing."""
    if shutil.which("h2load") is None:
        raise LoadError("h2load was not found on PATH; install it (Debian: apt install nghttp2-client)")
    done = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.rpartition("/")[2].strip()


def prepare(row: Row, directory: Path) -> Path:
    """Write the body of a row's requests; that of a GET is empty and is not sent."""
    path = directory / f"{row.name}.body"
    path.write_bytes(b"x" * row.body_bytes)
    return path


def run(row: Row, prepared: Path, port: int, seconds: int, cores: tuple[int, ...]) -> Result:
    """Load the proxy on `port`, with one thread for each of the cores. Raises LoadError."""
    log = prepared.with_suffix(".log")
    command = _command(row, prepared, log, port, seconds, len(cores))
    with on_cores(*cores):
        started = monotonic()
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=seconds + MORE_S
            )
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"{command} did not end within {error.timeout:g} s") from error
        elapsed_s = monotonic() - started
    if done.returncode:
        raise LoadError(f"{command} failed: {done.stdout}{done.stderr}")
    times = log.read_text() if log.exists() else ""
    log.unlink(missing_ok=True)
    return parse(done.stdout, times, elapsed_s)


def _command(row: Row, body: Path, log: Path, port: int, seconds: int, threads: int) -> list[str]:
    scheme = "https" if row.tls else "http"
    headers = {"Host": ":authority"}  # what HTTP/2 has instead
    fields = [f"{headers.get(name, name.lower())}: {value}" for name, value in HEADERS.items()]
    return [
        *("h2load", f"-t{threads}", f"-c{row.connections}", f"-m{row.streams}", f"-D{seconds}"),
        *("-w", str(STREAM_WINDOW_BITS), "-W", str(CONNECTION_WINDOW_BITS), "--npn-list=h2"),
        *(f"--log-file={log}", *(f"--header={field}" for field in fields)),
        *(("-d", str(body)) if row.body_bytes else ()),
        f"{scheme}://127.0.0.1:{port}{row.path}",
    ]


def parse(output: str, times: str, elapsed_s: float) -> Result:
    """Return the figures of what h2load printed, and of `times`, the file with a line for each request."""
    counts = _find(r"requests: .* (\d+) done, .* (\d+) failed, ", output)
    ordered = sorted(int(line.split("\t")[2]) / 1e3 for line in times.splitlines())
    return Result(
        requests=int(counts[1]),
        elapsed_s=elapsed_s,
        requests_per_s=float(_find(r"finished in [\d.]+\w+, ([\d.]+) req/s", output)[1]),
        p50_ms=percentile(ordered, 50),
        p99_ms=percentile(ordered, 99),
        errors=int(counts[2]),  # answers with 4xx and 5xx are among them
    )


def _find(pattern: str, output: str) -> re.Match[str]:
    found = re.search(pattern, output)
    if found is None:
        raise LoadError(f"h2load printed unexpected output:\n{output}")
    return found
