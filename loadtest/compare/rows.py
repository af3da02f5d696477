"""The rows of the comparison: the request, the number of connections, the way of asking."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch

SIZES = {"90B": 90, "10KB": 10 << 10, "100KB": 100 << 10, "1MB": 1 << 20}
CHUNKED_SIZES = (4096, 4096, 2048)
POST_BYTES = 10 << 10


class Origin(StrEnum):
    """The backend that answers behind the proxies."""

    FILES = "files"  # nginx
    SCRIPT = "script"  # loadtest.compare.origin: chunked answers, and none before the body is there


class Heads(StrEnum):
    """Warm: a client repeats its headers. Cold: each request has its own cookie, traceparent and query."""

    WARM = "warm"
    COLD = "cold"


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    path: str
    connections: int
    heads: Heads
    origin: Origin = Origin.FILES
    body_bytes: int = 0  # bytes of a POST; 0: GET
    closes: bool = False  # every request on a connection of its own
    idle: int = 0  # connections beside, silent after one request each
    tls: bool = False  # HTTPS


def _all_rows() -> tuple[Row, ...]:
    rows = [
        Row(f"{size}-{connections}-{heads}", f"/svc1/{size}", connections, heads)
        for size in SIZES
        for connections in (32, 256)
        for heads in Heads
    ]
    for heads in Heads:
        rows += (
            Row(f"post-{heads}", "/svc1/post", 32, heads, Origin.SCRIPT, body_bytes=POST_BYTES),
            Row(f"chunked-{heads}", "/svc1/chunked", 32, heads, Origin.SCRIPT),
            Row(f"close-{heads}", "/svc1/90B", 32, heads, closes=True),
        )
        rows += (
            Row(f"tls-{heads}", "/svc1/90B", 32, heads, tls=True),
            Row(f"tls-10KB-{heads}", "/svc1/10KB", 32, heads, tls=True),
            Row(f"tls-close-{heads}", "/svc1/90B", 32, heads, closes=True, tls=True),
        )
    rows.append(Row("idle-warm", "/svc1/90B", 32, Heads.WARM, idle=10_000))
    return tuple(rows)


ROWS = _all_rows()
QUICK = (
    "90B-32-*",
    "10KB-32-*",
    "100KB-32-warm",
    "1MB-32-warm",
    "post-warm",
    "chunked-warm",
    "close-warm",
    "tls-warm",
    "tls-close-warm",
    "idle-*",
)
MEANING = {
    "90B, 10KB, 100KB, 1MB": "GET of an answer of that size, by 32 or 256 keep-alive connections",
    "warm": "a client repeats its eight headers",
    "cold": "each request has its own cookie, traceparent and query string",
    "post": "POST of 10 KB, answered with 2 bytes when all of it has arrived",
    "chunked": "GET of a chunked answer of 10 KB in three chunks",
    "close": "GET of 90 B, a new connection for each request",
    "tls": "GET of 90 B, of 10 KB, and with a handshake for each request, over TLS 1.3 with a key on P-256",
    "idle": "GET of 90 B by 32 connections beside 10,000 that are silent after one request each",
}


def select(patterns: list[str]) -> list[Row]:
    """Return the rows whose name matches any pattern, in order. Raises ValueError when one matches none."""
    for pattern in patterns:
        if not any(fnmatch(row.name, pattern) for row in ROWS):
            raise ValueError(f"no row matches {pattern!r}; there are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if any(fnmatch(row.name, pattern) for pattern in patterns)]
