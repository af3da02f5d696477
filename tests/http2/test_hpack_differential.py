"""Against hpack and nghttp2: what their encoders say we read, and what they refuse we refuse.

Where they disagree with us, we are the stricter, in one point: more than two size updates in a block.
RFC 7541 §4.2 has encoders announce two at most, and both oracles take any number. Our limits of integers
change nothing, because no block, table or string that we accept is that long.
"""

import os
import struct
from typing import NamedTuple

import ngh2
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.http2.hpack import EMPTY, DynamicTable, HpackError, decode_block
from proxy.http2.hpack_encoder import encode_integer, indexed, literal, size_update, status
from tests.support.huffman import encode_huffman

EXAMPLES = int(os.environ.get("FLEETGATE_FUZZ_EXAMPLES", "480")) // 8
"""Cases of each test; `make fuzz` sets more."""

Field = tuple[bytes, bytes, bool]
"""Name, value, whether it is never indexed."""

LARGE = 1 << 24
REQUEST: list[Field] = [
    (b":method", b"GET", False),
    (b":scheme", b"https", False),
    (b":path", b"/", False),
    (b":authority", b"a.example", False),
]


def spelled(alphabet: bytes) -> bytes:
    """Return the table for `bytes.translate` that makes any bytes into bytes of `alphabet`."""
    return bytes(alphabet[byte % len(alphabet)] for byte in range(256))


AS_NAME = spelled(b"abcdefghijklmnopqrstuvwxyz0123456789-!#$%&'*+.^_`|~")
AS_VALUE = spelled(bytes((*range(0x21, 0x7F), *range(0x80, 0x100))))
# Names and values that HTTP allows, because nghttp2 shows no others
names = st.sampled_from([b"x-a", b"x-b", b"cookie", b"user-agent", b"accept", b"n" * 200]) | st.binary(
    max_size=12
).map(lambda name: b"x" + name.translate(AS_NAME))
values = st.sampled_from([b"", b"a", b"gzip, deflate", b"v" * 126, b"v" * 127, b"v" * 1300]) | st.binary(
    max_size=40
).map(lambda value: value.translate(AS_VALUE))
fields = st.lists(st.tuples(names, values, st.booleans()), max_size=5)
any_fields = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=60), st.booleans()), max_size=5)


class Sent(NamedTuple):
    """A list of fields, and how the encoder is to write it."""

    fields: list[Field]
    huffman: bool
    capacities: list[int]  # that the table of the encoder has before it


def sent(lists: st.SearchStrategy[list[Field]]) -> st.SearchStrategy[list[Sent]]:
    capacities = st.lists(st.sampled_from([0, 33, 100, 300, 4095, 4096]), max_size=2)
    return st.lists(st.builds(Sent, lists, st.booleans(), st.just([]) | capacities), min_size=1, max_size=5)


def encoded(encoder: Encoder, block: Sent) -> bytes:
    for capacity in block.capacities:
        if capacity != encoder.header_table_size:  # or hpack forgets to announce the change before
            encoder.header_table_size = capacity
    return encoder.encode(block.fields, huffman=block.huffman)


class Decoded(NamedTuple):
    """The fields of a block, and name and value of each entry in the table behind it."""

    fields: list[Field]
    table: list[tuple[bytes, bytes]]
    capacity: int


class Ours:
    """Our decoder, with its table."""

    def __init__(self) -> None:
        self.table: DynamicTable = EMPTY
        self.fault = ""

    def decode(self, block: bytes) -> Decoded | None:
        """Return None for a fault."""
        try:
            got = decode_block(self.table, block, 100_000, LARGE)
        except HpackError as error:
            self.fault = str(error)
            return None
        assert not got.is_too_large
        self.table = got.table
        assert self.table.size == sum(len(e.name) + len(e.value) + 32 for e in self.table.entries)
        assert self.table.size <= self.table.capacity <= 4096
        return Decoded(
            [(entry.name, entry.value, entry.never_indexed) for entry in got.entries],
            [(entry.name, entry.value) for entry in self.table.entries],
            self.table.capacity,
        )


class Theirs:
    """The decoder of hpack."""

    def __init__(self) -> None:
        self.decoder = Decoder(max_header_list_size=LARGE)

    def decode(self, block: bytes) -> Decoded | None:
        try:
            got = list(self.decoder.decode(block, raw=True))
        except HPACKError:
            return None
        return Decoded(
            [(bytes(field[0]), bytes(field[1]), not field.indexable) for field in got],
            [(bytes(name), bytes(value)) for name, value in self.decoder.header_table.dynamic_entries],
            self.decoder.header_table_size,
        )


class Nghttp2:
    """A server of nghttp2, which gets each block as the head of a request."""

    def __init__(self) -> None:
        self.server = ngh2.Connection(
            ngh2.Role.SERVER, ngh2.Configuration(max_inbound_header_list_size=LARGE)
        )
        self.server.initiate_connection()
        self.server.receive_data(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b""))
        self.server.events()
        self.stream = -1

    def receive(self, block: bytes) -> list[tuple[bytes, bytes]] | None:
        """Return the fields of a block that is a valid request."""
        self.stream += 2
        self.server.receive_data(frame(HEADERS, END_STREAM | END_HEADERS, self.stream, block))
        for event in self.server.events():
            if isinstance(event, ngh2.RequestReceived):
                return [(name, value) for name, value in event.headers]
        return None

    def refuses(self, block: bytes) -> bool:
        """Return whether a block is a COMPRESSION_ERROR. Other faults of a request do not count."""
        self.server.data_to_send()
        self.receive(block)
        return any(
            kind == GOAWAY and payload[4:8] == b"\x00\x00\x00\x09"
            for kind, payload in frames(self.server.data_to_send())
        )


HEADERS, SETTINGS, GOAWAY, CONTINUATION = 1, 4, 7, 9
END_STREAM, END_HEADERS = 0x01, 0x04


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Return kind and payload of each frame."""
    found, at = [], 0
    while at < len(data):
        end = at + 9 + int.from_bytes(data[at : at + 3])
        found.append((data[at + 3], data[at + 9 : end]))
        at = end
    return found


def plain(read: list[Field]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value, _ in read]


@settings(max_examples=EXAMPLES)
@given(sent(any_fields) | sent(fields))
def test_what_hpack_writes(blocks: list[Sent]) -> None:
    encoder, ours, theirs = Encoder(), Ours(), Theirs()
    for said in blocks:
        block = encoded(encoder, said)
        got = ours.decode(block)
        assert got is not None
        assert got == theirs.decode(block)
        assert plain(got.fields) == plain(said.fields)
        assert got.table == list(encoder.header_table.dynamic_entries)


@settings(max_examples=EXAMPLES)
@given(st.lists(fields, min_size=1, max_size=4), st.sampled_from([4096, 300, 0]))
def test_what_nghttp2_writes(blocks: list[list[Field]], capacity: int) -> None:
    configuration = ngh2.Configuration(max_deflate_dynamic_table_size=capacity)
    client = ngh2.Connection(ngh2.Role.CLIENT, configuration)
    client.initiate_connection()
    client.data_to_send()
    ours, theirs = Ours(), Theirs()
    for said in blocks:
        client.send_request(
            [
                ngh2.NeverIndexedHeader(name, value) if never_indexed else (name, value)
                for name, value, never_indexed in REQUEST + said
            ],
            end_stream=True,
        )
        pieces = frames(client.data_to_send())
        block = b"".join([payload for kind, payload in pieces if kind in (HEADERS, CONTINUATION)])
        got = ours.decode(block)
        assert got is not None
        assert got == theirs.decode(block)
        assert plain(got.fields) == plain(REQUEST + said)
        # nghttp2 itself decides so for others, such as short cookies
        assert all(read[2] for written, read in zip(REQUEST + said, got.fields, strict=True) if written[2])


@settings(max_examples=EXAMPLES)
@given(any_fields, st.integers(100, 599), st.lists(st.integers(1, 61)), st.sampled_from([0, 31, 4096]))
def test_hpack_reads_what_we_write(said: list[Field], code: int, indexes: list[int], capacity: int) -> None:
    block = size_update(capacity) + status(code) + b"".join(map(indexed, indexes))
    for name, value, never_indexed in said:
        block += literal(name, value, never_indexed=never_indexed)
    got = Theirs().decode(block)
    assert got is not None
    assert got == Ours().decode(block)
    assert got.fields[0] == (b":status", b"%d" % code, False)
    assert got.fields[1 + len(indexes) :] == said
    assert (got.table, got.capacity) == ([], capacity)


@settings(max_examples=EXAMPLES)
@given(st.lists(fields, min_size=1, max_size=3))
def test_nghttp2_reads_what_we_write(blocks: list[list[Field]]) -> None:
    server = Nghttp2()
    for said in blocks:
        block = b"".join(
            [
                literal(name, value, never_indexed=never_indexed)
                for name, value, never_indexed in REQUEST + said
            ]
        )
        assert server.receive(block) == plain(REQUEST + said)


@st.composite
def strings(draw: st.DrawFn) -> bytes:
    """Return a string as it stands in a block, rarely with a length that is wrong or written the long way."""
    string = draw(values)
    code = draw(st.sampled_from([string, string, encode_huffman(string), string + b"\xff"]))
    first = draw(st.sampled_from([0x00, 0x00, 0x80]))
    if code == encode_huffman(string):
        first |= draw(st.sampled_from([0x80, 0x80, 0x80, 0x00]))
    return draw(integers(7, first, st.just(len(code)) | st.integers(0, 40))) + code


@st.composite
def integers(draw: st.DrawFn, prefix_bits: int, first_byte: int, numbers: st.SearchStrategy[int]) -> bytes:
    block = encode_integer(draw(numbers), prefix_bits, first_byte)
    if len(block) == 1:
        return block
    zeros = draw(st.sampled_from([-1, -1, -1, -1, 0, 1, 2, 3, 4]))
    if zeros < 0:
        return block
    return block[:-1] + bytes((block[-1] | 0x80,)) + b"\x80" * zeros + b"\x00"


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """Return a representation of a field, or a size update."""
    kind = draw(st.sampled_from([0x80, 0x80, 0x40, 0x40, 0x40, 0x10, 0x00, 0x20]))
    if kind == 0x20:
        return draw(integers(5, kind, st.sampled_from([0, 31, 60, 200, 4096, 4096, 4097, 1 << 20, 1 << 28])))
    prefix_bits = {0x80: 7, 0x40: 6}.get(kind, 4)
    index = st.integers(1, 70) | st.sampled_from([0, 61, 62, 100, 1 << 27, (1 << 28) + 100, 1 << 34])
    block = draw(integers(prefix_bits, kind, index if kind == 0x80 else st.just(0) | index))
    if kind == 0x80:
        return block
    return block + (draw(strings()) if block[0] == kind else b"") + draw(strings())


@st.composite
def mutated(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    block = draw(whole)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(block)))
        cut = draw(st.integers(0, 2))
        block = block[:at] + draw(st.binary(max_size=2)) + block[at + cut :]
    return block[: len(block) - draw(st.sampled_from([0, 0, 0, 1, 2, 5]))]


@settings(max_examples=EXAMPLES * 2)
@given(fields, mutated(st.lists(written(), max_size=6).map(b"".join)) | mutated(st.binary(max_size=40)))
def test_blocks_of_any_kind(said: list[Field], block: bytes) -> None:
    read_alike(Encoder().encode(REQUEST + said), block)


@st.composite
def mutated_second_blocks(draw: st.DrawFn) -> tuple[bytes, bytes]:
    encoder = Encoder()
    first = encoder.encode(REQUEST + draw(fields))
    said = draw(st.builds(Sent, fields, st.booleans(), st.just([])))
    return first, draw(mutated(st.just(encoded(encoder, said))))


@settings(max_examples=EXAMPLES)
@given(mutated_second_blocks())
def test_blocks_of_hpack_that_were_changed(blocks: tuple[bytes, bytes]) -> None:
    read_alike(*blocks)


def read_alike(first: bytes, second: bytes) -> None:
    """Check that after `first`, which is valid, the three decoders agree about `second`."""
    ours, theirs, nghttp2 = Ours(), Theirs(), Nghttp2()
    assert ours.decode(first) == theirs.decode(first)
    assert nghttp2.receive(first) is not None
    got = ours.decode(second)
    if "size updates" in ours.fault:
        return
    assert got == theirs.decode(second)
    assert nghttp2.refuses(second) == (got is None)
