"""Requests of HTTP/2 of which no two are alike, as bytes: what `loadtest.compare.coldstreams` sends.

They are made once for a row and sent to every proxy in every round. They stay cold: a request comes again
only after all the others, and no proxy remembers so many heads. nginx, HAProxy and Envoy remember none beside
the table that each connection has by RFC 7541, and fleetgate at most four thousand.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from hpack import Encoder, HeaderTuple, NeverIndexedHeaderTuple

from loadtest.compare.rows import Heads, Row
from loadtest.compare.wrk import HEADERS
from loadtest.kit.site import HOST

TOTAL = 32_000
LISTS = 16
"""Lists are dealt to connections in turn; a row with more connections gets as many lists as connections."""
FRAME = struct.Struct(">IBI")
"""The head of a frame: its length and, in the last byte of the first number, its type; flags; the stream."""
HEADERS_TYPE, END_STREAM, END_HEADERS = 1, 1, 4
NUMBER = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class RequestList:
    """The requests of one connection, in order: a HEADERS frame each, for the streams 1, 3, 5 and so on."""

    frames: bytes
    ends: list[int]  # offset in `frames` behind each request; the first is 0, of none

    def __len__(self) -> int:
        return len(self.ends) - 1


def write(path: Path, row: Row, total: int | None = None) -> None:
    """Write the lists of a row, with `total` requests (by default TOTAL)."""
    lists = max(LISTS, row.connections)
    with path.open("wb") as file:
        for number in range(lists):
            made = list(_frames(row, number, (total or TOTAL) // lists))
            file.write(NUMBER.pack(len(made)))
            file.write(array("I", map(len, made)).tobytes())
            file.write(b"".join(made))


def read(path: Path) -> list[RequestList]:
    """Return the lists that `write` wrote on this machine."""
    lists = []
    with path.open("rb") as file:
        while head := file.read(NUMBER.size):
            sizes = array("I")
            sizes.fromfile(file, NUMBER.unpack(head)[0])
            ends = [0, *accumulate(sizes)]
            lists.append(RequestList(file.read(ends[-1]), ends))
    return lists


def _frames(row: Row, number: int, count: int) -> Iterator[bytes]:
    """Yield the requests of a connection; one encoder makes all, as it would in a client."""
    encoder = Encoder()
    flags = END_HEADERS if row.body_bytes else END_HEADERS | END_STREAM
    for index in range(count):
        block = encoder.encode(_fields(row, f"{number:08x}{index:08x}"))
        yield FRAME.pack(len(block) << 8 | HEADERS_TYPE, flags, 2 * index + 1) + block


def _fields(row: Row, identity: str) -> Iterator[HeaderTuple]:
    """Yield the header fields of a request in the order in which clients send them."""
    yield HeaderTuple(":method", "POST" if row.body_bytes else "GET")
    yield HeaderTuple(":scheme", "https" if row.tls else "http")
    yield HeaderTuple(":authority", HOST)
    # Clients keep paths out of the table; this encoder does so only in the form that forbids it to others too
    yield NeverIndexedHeaderTuple(":path", f"{row.path}?page={int(identity, 16)}&item={identity}c0dec0dec0de")
    for name, value in HEADERS.items():
        if name == "Cookie" and row.heads is Heads.COLD:
            yield HeaderTuple("cookie", f"session={identity}{identity[::-1]}")
        elif name != "Host":
            yield HeaderTuple(name.lower(), value)
    if row.heads is Heads.COLD:
        yield HeaderTuple("traceparent", f"00-{identity}{identity[::-1]}-{identity}-01")
    if row.body_bytes:
        yield HeaderTuple("content-length", str(row.body_bytes))
