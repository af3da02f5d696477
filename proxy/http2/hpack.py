"""Decodes header blocks (HPACK, RFC 7541): bytes and a table in, entries and the next table out."""

from typing import Final

from proxy.http.fields import Field
from proxy.http2.huffman import HpackError as HpackError  # callers of `decode_block` catch it
from proxy.http2.huffman import decode_huffman
from proxy.http2.static_table import COUNT, FIELDS

OVERHEAD: Final = 32
"""Bytes that an entry counts beside its name and its value (RFC 7541 §4.1)."""
CAPACITY: Final = 4096
"""Our SETTINGS_HEADER_TABLE_SIZE: the default, which no client has to wait for (RFC 9113 §6.5.2)."""

_MOST_UPDATES: Final = 2  # the least capacity since the last block, and the present one (RFC 7541 §4.2)
_MOST_INTEGER: Final = (1 << 28) - 1
_LAST_SHIFT: Final = 28  # of the fifth continuation byte


class HeaderEntry:
    """A header field of a block. Immutable, but for `field`."""

    __slots__ = ("field", "name", "never_indexed", "value")

    def __init__(self, name: bytes, value: bytes, never_indexed: bool = False) -> None:
        self.name = name
        self.value = value
        self.never_indexed = never_indexed  # the literal said so (RFC 7541 §6.2.3)
        # The reader of heads keeps its validation here, so that it checks an entry of a table once
        self.field: Field | None = None


_STATIC: Final[list[HeaderEntry]] = [HeaderEntry(name, value) for name, value in FIELDS]


class DynamicTable:
    """The entries that the blocks of a connection can refer to. Immutable: an insert makes another table."""

    __slots__ = ("capacity", "entries", "size")

    def __init__(self, entries: tuple[HeaderEntry, ...], size: int, capacity: int) -> None:
        self.entries = entries  # newest first
        self.size = size
        self.capacity = capacity

    def with_entry(self, entry: HeaderEntry) -> "DynamicTable":
        """Return the table with `entry`, or an empty one if that alone is too large (RFC 7541 §4.4)."""
        added = len(entry.name) + len(entry.value) + OVERHEAD
        if added > self.capacity:
            return DynamicTable((), 0, self.capacity)
        kept, size = self._newest(self.capacity - added)
        # (entry, *kept) would make a list of them first: twice the time, in a block of thousands of inserts
        return DynamicTable((entry,) + kept, size + added, self.capacity)  # noqa: RUF005

    def of_capacity(self, capacity: int) -> "DynamicTable":
        """Return the table with another capacity, without the oldest entries if they have no room in it."""
        kept, size = self._newest(capacity)
        return DynamicTable(kept, size, capacity)

    def _newest(self, most_bytes: int) -> tuple[tuple[HeaderEntry, ...], int]:
        """Return the entries that stay when the oldest go until `most_bytes` are left, and their size."""
        size, count = self.size, len(self.entries)
        while size > most_bytes:
            count -= 1
            oldest = self.entries[count]
            size -= len(oldest.name) + len(oldest.value) + OVERHEAD
        return self.entries[:count], size


EMPTY: Final = DynamicTable((), 0, CAPACITY)
"""The table of a new connection."""


class DecodedBlock:
    """The fields of a block, and the table behind it."""

    __slots__ = ("entries", "is_too_large", "table")

    def __init__(self, entries: list[HeaderEntry], table: DynamicTable, is_too_large: bool) -> None:
        self.entries = entries
        self.table = table
        self.is_too_large = is_too_large  # `entries` are only the first ones


def decode_block(
    table: DynamicTable, block: bytes, most_fields: int, most_bytes: int, at: int = 0
) -> DecodedBlock:
    """Return what block[at:] says after blocks that have left `table`. Raises HpackError.

    A list of more than `most_fields`, or of more than `most_bytes` with 32 for each field, is too large.
    Its block is decoded to the end, because the next ones refer to the table that it leaves.
    """
    end = len(block)
    if at < end and block[at] & 0xE0 == 0x20:
        table, at = _updates(table, block, at)
    recent = table.entries
    entries: list[HeaderEntry] = []
    size = 0
    is_too_large = False
    while at < end:
        first = block[at]
        if 0x80 < first < 0xFF and first - 0x80 <= COUNT + len(recent):
            index = first - 0x81
            at += 1
            entry = _STATIC[index] if index < COUNT else recent[index - COUNT]
        elif first >= 0x80:
            entry, at = _indexed(recent, block, at)
        elif first >= 0x40:
            entry, at = _literal(recent, block, at, 0x3F)
            table = table.with_entry(entry)
            recent = table.entries
        elif first >= 0x20:
            raise HpackError("a size update is not at the beginning of its block")
        else:
            entry, at = _literal(recent, block, at, 0x0F)
        if not is_too_large:
            size += len(entry.name) + len(entry.value) + OVERHEAD
            if size > most_bytes or len(entries) >= most_fields:
                is_too_large = True
            else:
                entries.append(entry)
    return DecodedBlock(entries, table, is_too_large)


def _updates(table: DynamicTable, block: bytes, at: int) -> tuple[DynamicTable, int]:
    """Return the table after the size updates at block[at], and their end (RFC 7541 §6.3)."""
    count = 0
    while at < len(block) and block[at] & 0xE0 == 0x20:
        count += 1
        if count > _MOST_UPDATES:
            raise HpackError(f"a block has more than {_MOST_UPDATES} size updates")
        capacity = block[at] & 0x1F
        at += 1
        if capacity == 0x1F:
            capacity, at = _integer(block, at, 0x1F)
        if capacity > CAPACITY:
            raise HpackError(f"a size update to {capacity} bytes: the table may have {CAPACITY}")
        table = table.of_capacity(capacity)
    return table, at


def _indexed(recent: tuple[HeaderEntry, ...], block: bytes, at: int) -> tuple[HeaderEntry, int]:
    """Return the entry whose index is at block[at], and the end of that (RFC 7541 §6.1)."""
    index = block[at] & 0x7F
    at += 1
    if index == 0x7F:
        index, at = _integer(block, at, 0x7F)
    return _entry(recent, index), at


def _entry(recent: tuple[HeaderEntry, ...], index: int) -> HeaderEntry:
    """Return the entry at `index` of both tables together (RFC 7541 §2.3.3)."""
    if 0 < index <= COUNT:
        return _STATIC[index - 1]
    if index == 0 or index - COUNT > len(recent):
        raise HpackError(f"index {index} is not in the table")
    return recent[index - COUNT - 1]


def _literal(
    recent: tuple[HeaderEntry, ...], block: bytes, at: int, index_mask: int
) -> tuple[HeaderEntry, int]:
    """Return the entry of the literal at block[at], and its end (RFC 7541 §6.2)."""
    first = block[at]
    index = first & index_mask
    at += 1
    if index == 0:
        name, at = _string(block, at)
    else:
        if index == index_mask:
            index, at = _integer(block, at, index_mask)
        name = _entry(recent, index).name
    value, at = _string(block, at)
    return HeaderEntry(name, value, first & 0xF0 == 0x10), at


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """Return the string at block[at], and its end (RFC 7541 §5.2)."""
    if at >= len(block):
        raise HpackError("a literal is cut off")
    first = block[at]
    length = first & 0x7F
    at += 1
    if length == 0x7F:
        length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise HpackError("a string is cut off")
    string = block[at:end]
    return decode_huffman(string) if first >= 0x80 else string, end


def _integer(block: bytes, at: int, value: int) -> tuple[int, int]:
    """Return the integer that goes on at block[at], behind a full prefix of `value`, and its end (RFC 7541
    §5.1).
    """
    for shift in range(0, _LAST_SHIFT + 1, 7):
        if at >= len(block):
            raise HpackError("an integer is cut off")
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            if value > _MOST_INTEGER:
                break
            return value, at
    raise HpackError("an integer is larger or longer than any that makes sense")
