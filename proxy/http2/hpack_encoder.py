"""Encodes header fields without a dynamic table (HPACK, RFC 7541): the peer needs none for our blocks.

Strings go raw: the Huffman code would save some bytes of a response, and cost more time than all else.
"""

from proxy.http2.static_table import INDEX_OF_FIELD, INDEX_OF_NAME


def indexed(index: int) -> bytes:
    """Return the field that a table has at `index` (RFC 7541 §6.1)."""
    return encode_integer(index, 7, 0x80)


def literal(name: bytes, value: bytes, *, never_indexed: bool = False) -> bytes:
    """Return a field that goes into no table of the peer, nor of proxies behind it if `never_indexed`
    (RFC 7541 §6.2.2 and §6.2.3).
    """
    first_byte = 0x10 if never_indexed else 0x00
    index = INDEX_OF_NAME.get(name, 0)
    if index:
        return encode_integer(index, 4, first_byte) + encode_integer(len(value), 7, 0x00) + value
    return b"%c%b%b%b%b" % (
        first_byte, encode_integer(len(name), 7, 0x00), name, encode_integer(len(value), 7, 0x00), value,
    )  # fmt: skip


def status(code: int) -> bytes:
    """Return the field `:status`."""
    value = b"%d" % code
    index = INDEX_OF_FIELD.get((b":status", value), 0)
    return indexed(index) if index else literal(b":status", value)


def size_update(capacity: int) -> bytes:
    """Return the announcement that the encoder's dynamic table has this capacity (RFC 7541 §6.3)."""
    return encode_integer(capacity, 5, 0x20)


def encode_integer(value: int, prefix_bits: int, first_byte: int) -> bytes:
    """Return `value` with its first bits in the last `prefix_bits` of `first_byte` (RFC 7541 §5.1)."""
    full = (1 << prefix_bits) - 1
    if value < full:
        return bytes((first_byte | value,))
    encoded = bytearray((first_byte | full,))
    value -= full
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
