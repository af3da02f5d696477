"""Heads of HTTP/2 requests: what they mean, what endpoints get of them, and what is remembered of them."""

import os
from unittest.mock import patch

import h11
import pytest
from hpack import Encoder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.http.errors import RequestError
from proxy.http.framing import CHUNKED
from proxy.http2.errors import COMPRESSION_ERROR, Http2Error, StreamError
from proxy.http2.hpack_encoder import literal
from proxy.http2.memory import KnownTables
from proxy.http2.request_head import Http2HeadReader
from proxy.http2.similar import SimilarHead
from tests.support.huffman import encode_huffman

EXAMPLES = int(os.environ.get("FLEETGATE_FUZZ_EXAMPLES", "4000")) // 8
"""One costs as much as eight of the other tests that `make fuzz` runs."""

Fields = list[tuple[bytes, bytes]]

GET: Fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.example"), (b":path", b"/x")]


def block(fields: Fields) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


def read(fields: Fields, *, ends: bool = True) -> Http2HeadReader:
    reader = Http2HeadReader(KnownTables())
    reader.read(block(fields), 1, ends=ends)
    return reader


def forwarded(reader: Http2HeadReader) -> bytes:
    return reader.line.forward + reader.headers.forward + b"\r\n"


def test_a_head_is_forwarded_as_the_same_request_of_http1() -> None:
    reader = read([*GET, (b"accept", b"*/*"), (b"te", b"trailers"), (b"user-agent", b"c")])
    assert forwarded(reader) == (
        b"GET /x HTTP/1.1\r\nHost: a.example\r\naccept: */*\r\nuser-agent: c\r\n"
        b"X-Forwarded-Host: a.example\r\n\r\n"
    )
    assert reader.headers.control.host == b"a.example"
    assert reader.line.version == 2


def test_a_body_of_unknown_length_goes_on_in_chunks() -> None:
    reader = read([(b":method", b"POST"), *GET[1:]], ends=False)
    assert reader.headers.control.length == CHUNKED
    assert b"Transfer-Encoding: chunked\r\n" in forwarded(reader)
    reader = read([(b":method", b"POST"), *GET[1:], (b"content-length", b"5")], ends=False)
    assert reader.headers.control.length == 5
    assert b"Transfer-Encoding" not in forwarded(reader)


def test_cookies_that_came_apart_are_one_field() -> None:
    reader = read([*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")])
    assert reader.headers.values(b"cookie") == (b"a=1; b=2",)
    assert forwarded(reader).count(b"cookie:") == 1


@pytest.mark.parametrize(
    "fields",
    [
        GET[1:],
        [*GET[:1], *GET[2:]],
        GET[:3],
        [*GET, (b":path", b"/y")],
        [*GET, (b":unknown", b"1")],
        [*GET, (b":status", b"200")],
        [*GET[:3], (b"accept", b"*/*"), GET[3]],
        [*GET[:3], (b":path", b"")],
        [*GET[:3], (b":path", b"x")],
        [*GET[:3], (b":path", b"*")],
        [*GET[:3], (b":path", b"http://b.example/")],
        [GET[0], (b":scheme", b"ftp"), *GET[2:]],
        [*GET, (b"host", b"b.example")],
        [*GET, (b"connection", b"close")],
        [*GET, (b"keep-alive", b"1")],
        [*GET, (b"proxy-connection", b"keep-alive")],
        [*GET, (b"transfer-encoding", b"chunked")],
        [*GET, (b"upgrade", b"h2c")],
        [*GET, (b"te", b"gzip")],
        [*GET, (b"Accept", b"*/*")],
        [*GET, (b"", b"x")],
        [*GET, (b"a b", b"x")],
        [*GET, (b"a:b", b"x")],
        [*GET, (b"a", b"x\r\ny: z")],
        [*GET, (b"a", b"x\0")],
        [*GET, (b"a", b" x")],
        [*GET, (b"a", b"x\t")],
        [*GET, (b"content-length", b"1")],
        [*GET, (b":protocol", b"websocket")],
    ],
)
def test_a_malformed_head_ends_its_stream(fields: Fields) -> None:
    with pytest.raises(StreamError):
        read(fields)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([*GET[:3], (b":path", b"/a b")], 400),
        ([*GET[:3], (b":path", b"/a#b")], 400),
        ([*GET[:3], (b":path", b"/a HTTP/1.1\r\nx: y")], 400),
        ([(b":method", b"G ET"), *GET[1:]], 400),
        ([(b":method", b"TRACE"), *GET[1:]], 405),
        ([(b":method", b"CONNECT"), (b":authority", b"a:1")], 405),
        ([*GET[:2], (b":authority", b"a@b"), GET[3]], 400),
        ([*GET[:2], GET[3]], 400),
        ([*GET, (b"content-length", b"+1")], 400),
        ([*GET[:3], (b":path", b"/" + b"a" * 9000)], 414),
        ([*GET, *[(b"x-%d" % number, b"") for number in range(100)]], 431),
        ([(b":method", b"CONNECT"), *GET[1:], (b":protocol", b"connect-udp")], 501),
    ],
)
def test_a_head_that_http1_would_answer_is_answered(fields: Fields, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        read(fields)
    assert caught.value.status == status


def test_a_head_that_is_refused_leaves_the_table_in_step() -> None:
    reader = Http2HeadReader(KnownTables())
    inserts = b"\x40\x03x-a\x01b"  # literal with incremental indexing: entry 62 from now on
    with pytest.raises(StreamError):
        reader.read(inserts, 1, ends=True)
    reader.read(block(GET) + b"\xbe", 3, ends=True)
    assert reader.headers.values(b"x-a") == (b"b",)


def test_trailers_are_decoded_with_the_same_table() -> None:
    reader = Http2HeadReader(KnownTables())
    reader.read(block(GET) + b"\x40\x03x-a\x01b", 1, ends=True)
    assert reader.read_trailers(b"\xbe" + literal(b"x-c", b"d"), 1) == b"x-a: b\r\nx-c: d\r\n"
    with pytest.raises(StreamError):
        reader.read_trailers(literal(b":path", b"/"), 1)


def test_a_block_that_comes_again_is_remembered_for_all_connections() -> None:
    tables = KnownTables()
    first, second = Http2HeadReader(tables), Http2HeadReader(tables)
    raw = block(GET) + b"\x40\x03x-a\x01b"
    seen = []
    for reader in (first, second, Http2HeadReader(tables), Http2HeadReader(tables)):
        reader.read(raw, 1, ends=True)
        seen.append(reader.headers)
        reader.read(block(GET) + b"\xbe", 3, ends=True)
        assert reader.headers.values(b"x-a") == (b"b",)
    assert seen[2] is seen[3]
    assert seen[0] is not seen[1]


def test_a_path_that_changes_alone_is_read_anew_and_the_rest_is_remembered() -> None:
    tables = KnownTables()
    reader = Http2HeadReader(tables)
    start, end = b"\x82\x87", b"\x41\x09a.example\x40\x03x-a\x01b"
    for number in range(40):
        path = b"/p?%d" % number
        coded = encode_huffman(path) if number % 2 else path
        length = len(coded) | (128 if number % 2 else 0)
        again = end if not number else b"\xbf\xbe"
        reader.read(start + b"\x04" + bytes((length,)) + coded + again, 1, ends=True)
        assert reader.line.forward == b"GET %b HTTP/1.1\r\n" % path
        assert reader.headers.values(b"x-a") == (b"b",)
        assert reader.headers.control.host == b"a.example"
    remembered = reader.headers
    reader.read(start + b"\x04\x02/q\xbf\xbe", 1, ends=True)
    assert reader.headers is remembered
    with pytest.raises(StreamError):
        reader.read(start + b"\x04\x02qq\xbf\xbe", 1, ends=True)
    with pytest.raises(RequestError):
        reader.read(start + b"\x04\x04/q q\xbf\xbe", 1, ends=True)
    with pytest.raises(Http2Error) as caught:
        reader.read(start + b"\x04\x81\x00\xbf\xbe", 1, ends=True)
    assert caught.value.code == COMPRESSION_ERROR


def test_a_request_with_a_body_is_never_taken_for_one_without() -> None:
    reader = Http2HeadReader(KnownTables())
    raw = block([(b":method", b"POST"), *GET[1:]])
    for _ in range(3):
        reader.read(raw, 1, ends=True)
        assert reader.headers.control.length == 0
        reader.read(raw, 3, ends=False)
        assert reader.headers.control.length == CHUNKED


USUAL: Fields = [
    *GET, (b"user-agent", b"c"), (b"cookie", b"a=1"), (b"traceparent", b"00-1"), (b"accept", b"*/*"),
]  # fmt: skip
NEW_VALUES = st.sampled_from(
    [b"/y?1", b"/y?2", b"b=2", b"", b"GET", b"POST", b"a.example", b"b.example", b" x", b"x\0y", b"*/*"]
)
OTHER_LISTS: list[Fields] = [
    USUAL[:-1],
    [*USUAL, (b"cookie", b"b=2")],
    [*USUAL[:-1], (b"connection", b"x")],
    [*USUAL, (b"x-a", b"b")],
    [*USUAL[:-1], (b"x-request-id", b"1")],
    [*USUAL[:-1], (b"x-request-id", b"2")],
    [*USUAL[:-1], (b"content-length", b"0")],
    [*USUAL[:-1], (b"content-length", b"5")],
    [*USUAL[:4], *reversed(USUAL[4:])],
    [*USUAL[:3], (b":path", b"/z"), *USUAL[4:]],
    [*USUAL[:-1], (b"host", b"a.example")],
]


def with_changes(changes: list[tuple[int, bytes]]) -> Fields:
    fields = USUAL.copy()
    for place, value in changes:
        fields[place] = (USUAL[place][0], value)
    return fields


CHANGED_LISTS = st.lists(st.tuples(st.integers(0, len(USUAL) - 1), NEW_VALUES), max_size=3).map(with_changes)


def outcome(reader: Http2HeadReader, raw: bytes, *, ends: bool) -> tuple[object, ...]:
    try:
        reader.read(raw, 1, ends=ends)
    except (StreamError, RequestError) as error:
        return type(error), str(error)
    headers = reader.headers
    values = [headers.values(name) for name in (b"cookie", b"traceparent", b"host", b"x-a", b"accept")]
    return forwarded(reader), headers.request_id, headers.control.host, headers.control.length, values


def practised(encoder: Encoder) -> Http2HeadReader:
    """Return the reader of a connection on which every request was a new one."""
    reader = Http2HeadReader(KnownTables())
    for number in range(20):
        fields = with_changes([(5, b"%d" % number), (6, b"00-%d" % number)])
        reader.read(encoder.encode(fields), 1, ends=True)
    return reader


def test_heads_that_are_all_new_are_read_by_their_likeness_to_the_one_before() -> None:
    encoder = Encoder()
    reader = practised(encoder)
    with patch.object(SimilarHead, "headers_of", autospec=True, side_effect=SimilarHead.headers_of) as used:
        reader.read(encoder.encode(with_changes([(3, b"/new"), (5, b"c=d")])), 1, ends=True)
        assert used.call_count == 1
        assert reader.line.forward == b"GET /new HTTP/1.1\r\n"
        assert reader.headers.values(b"cookie") == (b"c=d",)
        reader.read(encoder.encode(with_changes([(4, b"another agent")])), 1, ends=True)
        assert used.call_count == 1


@example([(with_changes([(3, b"b=2")]), True), (with_changes([]), True)])
@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(CHANGED_LISTS, st.sampled_from(OTHER_LISTS)), st.booleans()), max_size=12)
)
def test_a_head_like_the_one_before_means_what_it_means_alone(heads: list[tuple[Fields, bool]]) -> None:
    encoder = Encoder()
    reader = practised(encoder)
    for fields, ends in heads:
        alone = outcome(Http2HeadReader(KnownTables()), block(fields), ends=ends)
        assert outcome(reader, encoder.encode(fields), ends=ends) == alone


NAMES = st.sampled_from(
    [
        b":method", b":path", b":scheme", b":authority", b":protocol", b"host", b"content-length", b"cookie",
        b"transfer-encoding", b"connection", b"te", b"expect", b"x-forwarded-for", b"a", b"x-y", b"A", b"x_y",
        b"x y", b"", b"x\r\nhost", b"upgrade",
    ]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            b"GET", b"POST", b"HEAD", b"CONNECT", b"OPTIONS", b"/", b"*", b"/a?b", b"http", b"https", b"a",
            b"a:80", b"a.example", b"0", b"5", b"chunked", b"trailers", b"close", b"websocket",
            b"/x HTTP/1.1\r\nHost: b", b"x\r\n\r\nGET /", b"a\nb", b"a\0b", b" a", b"a b", b"/%2e%2e/",
            b"//b/", b"GET /y", b"",
        ]
    ),
    st.binary(max_size=12),
)  # fmt: skip
LISTS = st.builds(
    lambda start, more: [*start, *more],
    st.sampled_from([GET, GET[:3], [(b":method", b"POST"), *GET[1:]], []]),
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(LISTS, LISTS.flatmap(st.permutations)), st.booleans())
@example([*GET, (b"a", b"b")], True)
def test_an_endpoint_reads_what_was_meant_or_gets_nothing(fields: Fields, ends: bool) -> None:
    """h11 reads what we would send: one request, with exactly the fields that the client's list has."""
    try:
        reader = read(fields, ends=ends)
    except (StreamError, RequestError):
        return
    server = h11.Connection(h11.SERVER)
    server.receive_data(forwarded(reader))
    request = server.next_event()
    assert isinstance(request, h11.Request)
    given_fields = {name: value for name, value in fields if name.startswith(b":")}
    method = given_fields[b":method"]
    assert request.method == (b"GET" if method == b"CONNECT" else method)
    authority = given_fields.get(b":authority", dict(fields).get(b"host"))
    assert [value for name, value in request.headers if name == b"host"] == [authority]
    body = server.next_event()
    if ends:
        assert isinstance(body, h11.EndOfMessage)
        assert not server.trailing_data[0]
    else:
        assert body is h11.NEED_DATA or (
            isinstance(body, h11.EndOfMessage) and (b"content-length", b"0") in fields
        )
    meant = {name for name, _ in fields if not name.startswith(b":")}
    ours = {b"host", b"x-forwarded-host", b"transfer-encoding"}
    assert {name for name, _ in request.headers} <= meant | ours
