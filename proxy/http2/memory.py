"""The meaning of header blocks, remembered beside the dynamic table that they were decoded with.

A table never changes: a block that inserts leads to another table. So the meaning of a block depends on
nothing but its bytes and the table before it.
"""

from typing import Final

from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.http2.hpack import EMPTY, DynamicTable

_ENTRIES: Final = 64  # blocks that are remembered beside one table
_KEY_BYTES: Final = 2048
_PRIVATE_BYTES: Final = 16384  # of keys, beside the table of one connection
_SHARED_BYTES: Final = 8 << 20
_COST_BYTES: Final = 2048  # of a remembered head, apart from its key
_SHARED_DEPTH: Final = 2
"""Blocks that led from the empty table to one that connections share; others end with their connection."""


class Http2RequestHead:
    """The meaning of a block. Immutable."""

    __slots__ = ("after", "headers", "line")

    def __init__(self, line: RequestLine, headers: RequestHeaders, after: "KnownTable | None") -> None:
        self.line = line
        self.headers = headers
        self.after = after  # the table behind the block; None: the block inserts nothing


class BlockMemory:
    """Heads by the bytes of their blocks; remembered from the second sighting on."""

    __slots__ = ("_bytes", "_most", "_seen", "known")

    def __init__(self, most: int) -> None:
        """`most`: bytes of keys."""
        self.known: dict[bytes, Http2RequestHead] = {}
        self._seen = bytearray(_ENTRIES)
        self._bytes = 0
        self._most = most

    def offer(self, key: bytes, head: Http2RequestHead) -> bool:
        """Remember a head, if its key has been offered before; return whether it is remembered."""
        digest = hash(key) & 0x3FFFFFFF
        slot, mark = digest % _ENTRIES, (digest >> 8) % 255 + 1
        if self._seen[slot] != mark:
            self._seen[slot] = mark
            return False
        if len(key) > _KEY_BYTES:
            return False
        if len(self.known) >= _ENTRIES or self._bytes + len(key) > self._most:
            self.known.clear()
            self._bytes = 0
        self.known[key] = head
        self._bytes += len(key)
        return True


class BlockMemories:
    """Heads by the whole block, and by the block without its path."""

    __slots__ = ("rests", "whole")

    def __init__(self, most: int) -> None:
        self.whole = BlockMemory(most)
        self.rests = BlockMemory(most)


class KnownTable:
    """A dynamic table, and the heads of blocks that were decoded with it."""

    __slots__ = ("_depth", "is_shared", "requests", "table", "uploads")

    def __init__(self, table: DynamicTable, depth: int) -> None:
        """`depth`: blocks that led to this table."""
        self.table = table
        self._depth = depth
        self.is_shared = depth <= _SHARED_DEPTH
        # Of requests without a body, and with one. None until a head is offered: the tables of many
        # connections change with every block
        self.requests: BlockMemories | None = None
        self.uploads: BlockMemories | None = None

    def behind(self, table: DynamicTable) -> "KnownTable":
        """Return a table that a block has led to from this one."""
        return KnownTable(table, self._depth + 1)

    def memories(self, *, ends: bool) -> BlockMemories:
        """Return those for heads that are to be remembered; `ends`: of requests without a body."""
        memories = self.requests if ends else self.uploads
        if memories is None:
            memories = BlockMemories(_ENTRIES * _KEY_BYTES if self.is_shared else _PRIVATE_BYTES)
            if ends:
                self.requests = memories
            else:
                self.uploads = memories
        return memories


class KnownTables:
    """The tables that the connections of a worker share: those that few blocks lead to from the empty one."""

    __slots__ = ("_bytes", "root")

    def __init__(self) -> None:
        self.root = KnownTable(EMPTY, 0)
        self._bytes = 0

    def count(self, size: int) -> None:
        """Count a key that a shared table has taken. When there are too many, all begin anew."""
        self._bytes += size + _COST_BYTES
        if self._bytes > _SHARED_BYTES:
            self.root = KnownTable(EMPTY, 0)
            self._bytes = 0
