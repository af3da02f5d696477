"""The rows of the comparison: the request, the number of connections, the way of asking."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    QUERY = "query"  # only of HTTP/2: a client repeats its headers, each request has its own query


WARM_AND_COLD = (Heads.WARM, Heads.COLD)


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
    http2: bool = False  # by ALPN with TLS, by prior knowledge without
    streams: int = 1  # requests at a time on each connection; more than one only with HTTP/2


def _all_rows() -> tuple[Row, ...]:
    rows = [
        Row(f"{size}-{connections}-{heads}", f"/svc1/{size}", connections, heads)
        for size in SIZES
        for connections in (32, 256)
        for heads in WARM_AND_COLD
    ]
    for heads in WARM_AND_COLD:
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
    return (*rows, *_http2_rows())


def _http2_rows() -> Iterator[Row]:
    """Yield the rows of HTTP/2: 256 requests at a time on 8 connections, or one on each of 32."""
    for heads in WARM_AND_COLD:
        many = Row(f"h2c-{heads}", "/svc1/90B", 8, heads, http2=True, streams=32)
        posts = replace(many, path="/svc1/post", origin=Origin.SCRIPT, body_bytes=POST_BYTES)
        yield many
        yield Row(f"h2c-single-{heads}", "/svc1/90B", 32, heads, http2=True)
        yield replace(many, name=f"h2c-10KB-{heads}", path="/svc1/10KB")
        yield replace(many, name=f"h2c-100KB-{heads}", path="/svc1/100KB")
        yield replace(posts, name=f"h2c-post-{heads}")
        yield replace(many, name=f"h2-tls-{heads}", tls=True)
        yield replace(many, name=f"h2-tls-10KB-{heads}", path="/svc1/10KB", tls=True)
    yield replace(many, name="h2c-query", heads=Heads.QUERY)


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
    "h2c-warm",
    "h2c-cold",
)
MEANING = {
    "90B, 10KB, 100KB, 1MB": "GET of an answer of that size, by 32 or 256 keep-alive connections",
    "warm": "a client repeats its eight headers",
    "cold": "each request has its own cookie, traceparent and query string",
    "post": "POST of 10 KB, answered with 2 bytes when all of it has arrived",
    "chunked": "GET of a chunked answer of 10 KB in three chunks",
    "close": "GET of 90 B, a new connection for each request",
    "tls": "GET of 90 B, of 10 KB, and with a handshake for each request, over TLS 1.3 with a key on P-256",
    "h2c": "HTTP/2 without TLS, by prior knowledge: GET of 90 B, 10 KB and 100 KB and POST of 10 KB,"
    " 32 at a time on each of 8 connections",
    "h2c-single": "GET of 90 B over HTTP/2, one at a time on each of 32 connections",
    "query": "a client repeats its eight headers, each request has its own query string",
    "h2-tls": "GET of 90 B and of 10 KB over HTTP/2 and TLS 1.3, 32 at a time on each of 8 connections",
    "idle": "GET of 90 B by 32 connections beside 10,000 that are silent after one request each",
}


def select(patterns: list[str]) -> list[Row]:
    """Return the rows whose name matches any pattern, in order. Raises ValueError when one matches none."""
    for pattern in patterns:
        if not any(fnmatch(row.name, pattern) for row in ROWS):
            raise ValueError(f"no row matches {pattern!r}; there are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if any(fnmatch(row.name, pattern) for pattern in patterns)]
