"""HPACK: the examples of RFC 7541, its limits, and blocks that are meant to cost us."""

import tracemalloc
from typing import NamedTuple

import pytest

from proxy.http2 import static_table
from proxy.http2.hpack import EMPTY, DecodedBlock, DynamicTable, HpackError, decode_block
from proxy.http2.hpack_encoder import encode_integer, indexed, literal, size_update, status

Fields = list[tuple[bytes, bytes]]

LARGE = 1 << 20


def decoded(block: bytes, table: DynamicTable = EMPTY) -> DecodedBlock:
    return decode_block(table, block, most_fields=1000, most_bytes=LARGE)


def fields(block: DecodedBlock) -> Fields:
    return [(entry.name, entry.value) for entry in block.entries]


def added(name: bytes, value: bytes) -> bytes:
    """A literal with incremental indexing (RFC 7541 §6.2.1)."""
    return b"\x40" + encode_integer(len(name), 7, 0) + name + encode_integer(len(value), 7, 0) + value


class Example(NamedTuple):
    """A block of Appendix C, and the table behind it."""

    block: str
    fields: Fields
    table: Fields
    size: int


GET: Fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]
AUTHORITY = (b":authority", b"www.example.com")
NO_CACHE = (b"cache-control", b"no-cache")
CUSTOM = (b"custom-key", b"custom-value")

REQUESTS: list[tuple[Fields, Fields, int]] = [
    ([*GET, AUTHORITY], [AUTHORITY], 57),
    ([*GET, AUTHORITY, NO_CACHE], [NO_CACHE, AUTHORITY], 110),
    (
        [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/index.html"), AUTHORITY, CUSTOM],
        [CUSTOM, NO_CACHE, AUTHORITY],
        164,
    ),
]
PRIVATE = (b"cache-control", b"private")
DATE_21 = (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT")
DATE_22 = (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT")
LOCATION = (b"location", b"https://www.example.com")
GZIP = (b"content-encoding", b"gzip")
COOKIE = (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")
STATUS_302, STATUS_307 = (b":status", b"302"), (b":status", b"307")

RESPONSES: list[tuple[Fields, Fields, int]] = [
    ([STATUS_302, PRIVATE, DATE_21, LOCATION], [LOCATION, DATE_21, PRIVATE, STATUS_302], 222),
    ([STATUS_307, PRIVATE, DATE_21, LOCATION], [STATUS_307, LOCATION, DATE_21, PRIVATE], 222),
    (
        [(b":status", b"200"), PRIVATE, DATE_22, LOCATION, GZIP, COOKIE],
        [COOKIE, GZIP, DATE_22],
        215,
    ),
]


def examples(blocks: list[str], meaning: list[tuple[Fields, Fields, int]]) -> list[Example]:
    return [Example(block, *said) for block, said in zip(blocks, meaning, strict=True)]


C_3 = examples(
    [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ],
    REQUESTS,
)
C_4 = examples(
    [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ],
    REQUESTS,
)
C_5 = examples(
    [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738"
        "666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b"
        "206d61782d6167653d333630303b2076657273696f6e3d31",
    ],
    RESPONSES,
)
C_6 = examples(
    [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27"
        "087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ],
    RESPONSES,
)


@pytest.mark.parametrize(
    ("value", "prefix_bits", "first_byte", "encoded"),
    [
        (10, 5, 0x20, "2a"),  # C.1.1
        (1337, 5, 0x20, "3f9a0a"),  # C.1.2
        (42, 8, 0x00, "2a"),  # C.1.3
        (30, 5, 0x20, "3e"),
        (31, 5, 0x20, "3f00"),
        (4096, 5, 0x20, "3fe11f"),
        (127, 7, 0x80, "ff00"),
    ],
)
def test_integers(value: int, prefix_bits: int, first_byte: int, encoded: str) -> None:
    assert encode_integer(value, prefix_bits, first_byte) == bytes.fromhex(encoded)
    if prefix_bits == 5:
        assert decoded(bytes.fromhex(encoded)).table.capacity == value


@pytest.mark.parametrize(
    ("block", "field", "never_indexed", "size"),
    [
        (
            "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
            (b"custom-key", b"custom-header"),
            False,
            55,
        ),
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path"), False, 0),
        ("100870617373776f726406736563726574", (b"password", b"secret"), True, 0),
        ("82", (b":method", b"GET"), False, 0),
    ],
    ids=["C.2.1", "C.2.2", "C.2.3", "C.2.4"],
)
def test_single_fields(block: str, field: tuple[bytes, bytes], never_indexed: bool, size: int) -> None:
    got = decoded(bytes.fromhex(block))
    assert fields(got) == [field]
    assert got.entries[0].never_indexed == never_indexed
    assert got.entries[0].field is None
    assert got.table.size == size


@pytest.mark.parametrize(
    ("capacity", "connection"),
    [(4096, C_3), (4096, C_4), (256, C_5), (256, C_6)],
    ids=["C.3", "C.4", "C.5", "C.6"],
)
def test_connections(capacity: int, connection: list[Example]) -> None:
    table = EMPTY.of_capacity(capacity)
    for example in connection:
        got = decoded(bytes.fromhex(example.block), table)
        table = got.table
        assert fields(got) == example.fields
        assert [(entry.name, entry.value) for entry in table.entries] == example.table
        assert (table.size, table.capacity) == (example.size, capacity)
        assert not got.is_too_large


def test_a_block_may_begin_behind_other_bytes() -> None:
    assert fields(decode_block(EMPTY, b"\xff\xff\x82\x84", 10, LARGE, at=2)) == [
        (b":method", b"GET"),
        (b":path", b"/"),
    ]
    assert fields(decode_block(EMPTY, b"\x82", 10, LARGE, at=1)) == []


def test_entries_of_tables_are_never_copied() -> None:
    first = decoded(b"\x82" + added(b"x-a", b"b"))
    second = decoded(b"\x82\xbe\xbe", first.table)
    assert second.entries[0] is first.entries[0]
    assert second.entries[1] is second.entries[2] is first.entries[1]
    assert second.table is first.table


def test_a_name_may_come_from_the_entry_that_its_field_evicts() -> None:
    first = decoded(size_update(40) + added(b"x-abc", b"1"))
    second = decoded(b"\x7e\x022\x00", first.table)  # RFC 7541 §4.4
    assert fields(second) == [(b"x-abc", b"2\x00")]
    assert [entry.value for entry in second.table.entries] == [b"2\x00"]
    assert second.table.size == 39


def test_an_entry_larger_than_the_table_empties_it() -> None:
    first = decoded(added(b"x-a", b"b") + added(b"x-b", b"c" * 4062))
    assert len(first.entries) == 2
    assert (first.table.entries, first.table.size) == ((), 0)
    fits = decoded(added(b"x-a", b"b") + added(b"x-b", b"c" * 4061))
    assert [entry.name for entry in fits.table.entries] == [b"x-b"]
    assert fits.table.size == 4096


def test_tables_are_immutable() -> None:
    first = decoded(added(b"x-a", b"b")).table
    assert decoded(added(b"x-b", b"c") + b"\xbe", first).table.size == 72
    assert decoded(size_update(0), first).table.size == 0
    assert [entry.name for entry in first.entries] == [b"x-a"]
    assert (first.size, first.capacity) == (36, 4096)
    assert EMPTY.entries == ()


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("80", "index 0"),
        ("be", "index 62"),
        ("bf", "index 63"),
        ("ff00", "index 127"),
        ("ff8001", "index 255"),
        ("7f0000", "index 63"),
        ("0f3000", "index 63"),
        ("1f3000", "index 63"),
        ("ff", "cut off"),
        ("ff80", "cut off"),
        ("40", "cut off"),
        ("4001", "cut off"),
        ("400161", "cut off"),
        ("4001610261", "cut off"),
        ("400161ff", "cut off"),
        ("04", "cut off"),
        ("82048261", "cut off"),
        ("3f", "cut off"),
        ("0f", "cut off"),
        ("ffffffffff7f", "larger or longer"),
        ("ff80ffffff00", "index 268435455"),
        ("ff81ffffff00", "larger or longer"),
        ("ffffffffff00", "larger or longer"),
        ("ff808080808000", "larger or longer"),
        ("04ff808080808000", "larger or longer"),
        ("047f8080808001", "larger or longer"),
        ("047f80ffff7f", "cut off"),
        ("3fe21f", "4097"),
        ("3fe0ffff7f", "268435455"),
        ("3fe1ffff7f", "larger or longer"),
        ("8220", "not at the beginning"),
        ("202020", "more than 2 size updates"),
        ("20823f", "not at the beginning"),
        ("0482ffff", "longer than 7 bits"),
        ("008100", "not all ones"),
        ("0084ffffffff", "EOS"),
    ],
)
def test_faults(block: str, fault: str) -> None:
    with pytest.raises(HpackError, match=fault):
        decoded(bytes.fromhex(block))


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ("ff80808000", None),
        ("0f00" + "0161", (b"accept-charset", b"a")),
        ("0f80808000" + "0161", (b"accept-charset", b"a")),  # four zeros too many, within the limit
        ("0f8080808000" + "0161", (b"accept-charset", b"a")),
        ("000000", (b"", b"")),
        ("008080", (b"", b"")),
        ("04" + "7f00" + "61" * 127, (b":path", b"a" * 127)),
        ("04" + "7f8001" + "61" * 255, (b":path", b"a" * 255)),
    ],
)
def test_long_integers(block: str, field: tuple[bytes, bytes] | None) -> None:
    if field is None:
        with pytest.raises(HpackError, match="index 127"):
            decoded(bytes.fromhex(block))
    else:
        assert fields(decoded(bytes.fromhex(block))) == [field]


def test_size_updates() -> None:
    first = decoded(added(b"x-a", b"b") + added(b"x-b", b"c")).table
    smaller = decoded(size_update(40), first).table
    assert ([entry.name for entry in smaller.entries], smaller.size, smaller.capacity) == ([b"x-b"], 36, 40)
    emptied = decoded(size_update(0) + size_update(4096), first).table
    assert (emptied.entries, emptied.size, emptied.capacity) == ((), 0, 4096)
    assert decoded(size_update(72) + b"\xbf", first).entries[0].name == b"x-a"
    assert decoded(size_update(0) + added(b"x-c", b"d"), first).table.entries == ()


class TestTooLarge:
    """Lists that are too large leave the table that the encoder has."""

    def test_fields(self) -> None:
        block = b"\x82\x84\x86" + added(b"x-a", b"b")
        assert not decode_block(EMPTY, block, 4, LARGE).is_too_large
        got = decode_block(EMPTY, block, 3, LARGE)
        assert got.is_too_large
        assert fields(got) == [(b":method", b"GET"), (b":path", b"/"), (b":scheme", b"http")]
        assert [entry.name for entry in got.table.entries] == [b"x-a"]

    def test_bytes(self) -> None:
        block = b"\x82" + added(b"x-a", b"b")
        assert not decode_block(EMPTY, block, 4, 42 + 36).is_too_large
        got = decode_block(EMPTY, block + b"\x84", 4, 42 + 35)
        assert got.is_too_large
        assert fields(got) == [(b":method", b"GET")]
        assert got.table.size == 36

    def test_faults_behind_the_limit(self) -> None:
        with pytest.raises(HpackError, match="index 62"):
            decode_block(EMPTY, b"\x82\x82\xbe", 1, LARGE)

    def test_a_bomb_of_references_costs_nothing(self) -> None:
        """The block of 60,000 bytes stands for 240 MB (CVE-2016-6581)."""
        table = decoded(added(b"x-bomb", b"b" * 4000)).table
        tracemalloc.start()
        try:
            got = decode_block(table, b"\xbe" * 60_000, most_fields=100, most_bytes=1 << 16)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert got.is_too_large
        assert len(got.entries) == 16
        assert all(entry is table.entries[0] for entry in got.entries)
        assert peak < 100_000

    def test_a_bomb_of_names_costs_what_its_list_may(self) -> None:
        """The names that literals refer to are not copied either."""
        table = decoded(added(b"n" * 4000, b"")).table
        got = decode_block(table, b"\x0f\x2f\x00" * 20_000, most_fields=100_000, most_bytes=LARGE)
        assert got.is_too_large
        assert all(entry.name is table.entries[0].name for entry in got.entries)


class TestEncoder:
    def test_statuses(self) -> None:
        assert status(200) == b"\x88"
        assert status(500) == b"\x8e"
        assert status(201) == b"\x08\x03201"
        for code in range(100, 600):
            assert fields(decoded(status(code))) == [(b":status", b"%d" % code)]

    def test_literals(self) -> None:
        assert literal(b"content-type", b"a/b") == b"\x0f\x10\x03a/b"
        assert literal(b"x-a", b"b") == b"\x00\x03x-a\x01b"
        assert literal(b"authorization", b"x", never_indexed=True) == b"\x1f\x08\x01x"
        assert literal(b"x-a", b"", never_indexed=True) == b"\x10\x03x-a\x00"
        assert decoded(literal(b"x-a", b"b")).table is EMPTY

    def test_the_static_table_in_both_directions(self) -> None:
        assert len(static_table.FIELDS) == static_table.COUNT
        for index, field in enumerate(static_table.FIELDS, start=1):
            assert fields(decoded(indexed(index))) == [field]
            assert static_table.INDEX_OF_FIELD[field] == index
            assert static_table.FIELDS[static_table.INDEX_OF_NAME[field[0]] - 1][0] == field[0]
        assert static_table.INDEX_OF_NAME[b":status"] == 8
        assert indexed(62) == b"\xbe"
