"""A head is read the same whatever came before it on its connection: memory only saves work."""

import os
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.http.edges import Edges, find_edges
from proxy.http.errors import RequestError
from proxy.http.heads import HeadReader, Heads
from proxy.http.request import check_together
from proxy.http.request_headers import parse_headers
from proxy.http.request_line import parse_request_line

SEQUENCES = int(os.environ.get("FLEETGATE_FUZZ_EXAMPLES", "2000")) // 10
"""Cases of each test, a tenth of those of single messages: each has several heads, read in several ways."""

BEFORE = (b"Host: shop.example", b"User-Agent: curl/8", b"Accept: */*")
AFTER = (b"Accept-Encoding: gzip", b"X-Tenant: acme")
ODD = (
    b"Host: other.example", b"Content-Length: 3", b"Content-Length: x", b"Transfer-Encoding: chunked",
    b"Connection: close", b"Connection: x-tenant", b"Connection: cookie", b"X-Forwarded-For: 1.2.3.4",
    b"Max-Forwards: 0", b"User-Agent: other", b"X-Request-Id: 42", b"X-Request-Id: \xff", b"Cookie : a=b",
    b"Expect: 100-continue", b"Upgrade: websocket", b" folded", b"no colon", b"X-Bare: a\rb", b"x_y: 1", b"",
)  # fmt: skip
STARTS = (
    b"GET /a?q=1 HTTP/1.1", b"GET /a?q=2 HTTP/1.1", b"GET /a/../b HTTP/1.1", b"POST /a?x HTTP/1.1",
    b"GET /a?q=1 HTTP/1.0", b"GET http://shop.example/a?b HTTP/1.1", b"GET /a?q=\x7f HTTP/1.1",
    b"TRACE / HTTP/1.1", b"GET //a//b?c=\\ HTTP/1.1", b"GET https://shop.example/a HTTP/1.0",
    b"OPTIONS http://other.example:81 HTTP/1.1",
)  # fmt: skip

new_cookies = st.integers(0, 10**9).map(lambda number: b"Cookie: id=%d" % number)
lines = st.sampled_from((*BEFORE, *AFTER, *ODD))
middles = st.lists(st.one_of(new_cookies, lines), max_size=3)
usual = middles.map(lambda middle: [*BEFORE, *middle, *AFTER])
heads = st.tuples(st.sampled_from(STARTS), st.one_of(usual, usual, st.lists(lines, max_size=8)))


unseen = count(10**10)
"""Lines are remembered for all readers: what shall be new needs a number that was not used before."""


def usual_head(*middle: bytes) -> bytes:
    return b"\r\n".join((b"GET /a HTTP/1.1", *BEFORE, *middle, *AFTER, b"", b""))


def make_known() -> HeadReader:
    """Return a reader that knows what usual heads have in common."""
    reader = HeadReader(Heads())
    for _ in range(4):
        reading(usual_head(b"Cookie: first=%d" % next(unseen)), reader)
    return reader


def reading(data: bytes, reader: HeadReader) -> object:
    """Return everything that the request means, or the status that refuses it."""
    try:
        size = reader.read(data, 0)
    except RequestError as error:
        return error.status
    return (size, *meaning(reader)) if size else None


def meaning(reader: HeadReader) -> tuple[object, ...]:
    line, headers = reader.line, reader.headers
    control = headers.control
    return (
        line.forward, line.version, line.authority, line.resource.path, line.resource.log, headers.forward,
        headers.request_id, control.host, control.length, control.close, control.expect, control.upgrade,
        control.max_forwards, control.log, headers.values(b"cookie"), headers.values(b"x-tenant"),
    )  # fmt: skip


@settings(max_examples=SEQUENCES)
@given(st.lists(heads, min_size=1, max_size=12))
def test_heads_that_came_before_change_no_reading(sequence: list[tuple[bytes, list[bytes]]]) -> None:
    shared = make_known()
    following = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for start, fields in sequence:
        data = b"\r\n".join((start, *fields, b"", b""))
        for other in (data, data[:-1], data[:-2], data[:-4], data + following, data + data):
            assert reading(other, shared) == reading(other, HeadReader(Heads()))


@settings(max_examples=SEQUENCES)
@given(st.lists(heads, min_size=1, max_size=6))
def test_a_remembered_head_is_the_parsed_one(sequence: list[tuple[bytes, list[bytes]]]) -> None:
    reader = HeadReader(Heads())
    for start, fields in sequence * 3:
        fields = [field for field in fields if field]
        try:
            line, headers = parse_request_line(start), parse_headers(b"".join(f + b"\r\n" for f in fields))
            check_together(line, headers.control)
            if line.authority is not None:
                headers = headers.for_authority(line.authority)
        except RequestError:
            continue
        data = b"\r\n".join((start, *fields, b"", b""))
        assert reader.read(data, 0) == len(data)
        assert reader.headers.forward == headers.forward
        assert reader.line.forward == line.forward


def test_only_the_middle_is_looked_at_when_only_that_is_new() -> None:
    make_known()
    at = len(b"GET /a HTTP/1.1\r\n")
    block = usual_head(b"Cookie: new=1")[at:-2]
    edges = find_edges(block, parse_headers(block))
    assert edges is not None
    headers = edges.read(usual_head(b"Cookie: new=2", b"X-Request-Id: 7"), at)
    assert headers is not None
    assert headers.values(b"cookie") == (b"new=2",)
    assert headers.request_id == b"7"
    for odd in (b"Content-Length: 7", b"Connection: close", b"User-Agent: b", b""):
        assert edges.read(usual_head(b"Cookie: new=3", odd), at) is None
    assert edges.read(usual_head(b"Cookie: new=4")[:-2], at) is None
    assert edges.read(usual_head(b"Cookie: new=5") + usual_head(b"Cookie: new=6"), at) is None
    glued = b"\r\n".join(
        (b"GET /a HTTP/1.1", *BEFORE, b"Cookie: new=7", b"X-" + AFTER[0], AFTER[1], b"", b"")
    )
    assert edges.read(glued, at) is None


TRACED = (b"Cookie: id=%d", b"X-Zone: a b\tc", b"Traceparent: 00-%d-\xe9")
"""Lines of one client in every head, between the others."""


def traced_head(number: int, *, instead: dict[int, bytes] | None = None) -> bytes:
    middle = [line.replace(b"%d", b"%d" % number) for line in TRACED]
    for index, line in (instead or {}).items():
        middle[index] = line
    return usual_head(*middle)


def make_traced() -> HeadReader:
    """Return a reader that knows the outline of traced heads."""
    reader = HeadReader(Heads())
    for _ in range(4):
        reading(traced_head(next(unseen)), reader)
    return reader


def test_fields_of_an_outline_are_read_when_they_are_asked_for() -> None:
    reader = make_traced()
    data = traced_head(5)
    assert reader.read(data, 0) == len(data)
    headers = reader.headers
    assert headers.fields == []
    assert headers.values(b"x-tenant") == (b"acme",)
    assert headers.replaced(b"").values(b"traceparent") == (b"00-5-\xe9",)
    assert headers.values(b"cookie") == (b"id=5",)
    assert len(headers.fields) == len(TRACED)
    assert headers.forward == parse_headers(data[len(b"GET /a HTTP/1.1\r\n") : -2]).forward


@pytest.mark.parametrize(
    "line",
    [
        b"Cookie: a\rb", b"Cookie: a\nb", b"Cookie: a\x00b", b"Cookie: a\x7fb", b"Cookie: a\r\n",
        b"Cookie:  a", b"Cookie: a ", b"Cookie: a\t", b"Cookie: ", b"Cookie:", b"Cookie", b"", b"Cookie:a",
        b"cookie: a", b"Cookie : a", b"X-Cookie: a", b"Cookie: a\r\nTE: x", b"Cookie: a\r\nX-Request-Id: 9",
        b"Cookie: " + b"a" * 9000, b"Cookie: a\r\n b", b"Cookie: a\r\nContent-Length: 1", b"Host: twice",
        b"Cookie: a\r\nConnection: x-zone",
    ],
)  # fmt: skip
@pytest.mark.parametrize("index", range(len(TRACED)))
def test_a_head_that_does_not_fit_an_outline_is_read_like_any_other(line: bytes, index: int) -> None:
    name = TRACED[index].partition(b":")[0]
    data = traced_head(
        next(unseen), instead={index: line.replace(b"Cookie", name).replace(b"cookie", name.lower())}
    )
    assert reading(data, make_traced()) == reading(data, HeadReader(Heads()))


def test_a_head_that_repeats_itself_is_remembered_whole() -> None:
    reader = make_traced()
    for _ in range(4):
        reading(traced_head(7), reader)
    assert reader.headers.is_remembered


def make_repeating() -> HeadReader:
    """Return a reader whose client repeats the usual header block."""
    reader = HeadReader(Heads())
    for _ in range(4):
        reading(usual_head(), reader)
    return reader


@settings(max_examples=SEQUENCES)
@given(st.lists(heads, min_size=1, max_size=6))
def test_a_block_that_repeats_changes_nothing_but_the_work(sequence: list[tuple[bytes, list[bytes]]]) -> None:
    shared = make_repeating()
    usual = usual_head()
    for start, fields in sequence:
        data = b"\r\n".join((start, *fields, b"", b""))
        again = usual.replace(b"GET /a HTTP/1.1", start)
        for other in (again, data, again + data, usual[:-1], usual, again[:-2], usual[:-2] + data, usual):
            assert reading(other, shared) == reading(other, HeadReader(Heads()))


def test_a_block_that_repeats_is_not_looked_up() -> None:
    heads = Heads()
    reader = HeadReader(heads)
    for _ in range(4):
        reading(usual_head(), reader)
    before = reader.headers
    heads.blocks.young.clear()
    reading(usual_head().replace(b"GET /a", b"GET /b") + b"POST", reader)
    assert reader.headers is before
    assert reader.line.resource.path == b"/b"


def test_a_new_line_that_steers_is_in_no_middle() -> None:
    make_known()
    block = usual_head(b"Cookie: new=8", b"User-Agent: never before")[len(b"GET /a HTTP/1.1\r\n") : -2]
    assert find_edges(block, parse_headers(block)) is None


def test_edges_are_given_up_when_a_client_repeats_itself_and_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[int] = []
    read = Edges.read
    monkeypatch.setattr(Edges, "read", lambda *given: tries.append(1) or read(*given))  # type: ignore[func-returns-value]
    reader = make_known()
    for number in range(20):  # until it searches no more
        side = b"X-Side: %d\r\nHost" % (number % 2)
        reading(usual_head(b"Cookie: a=%d" % next(unseen)).replace(b"Host", side), reader)
    for _ in range(2):
        reading(usual_head(), reader)
    tries.clear()
    reading(usual_head(), reader)
    assert tries
    for _ in range(20):
        reading(usual_head(), reader)
    tries.clear()
    reading(usual_head(), reader)
    assert not tries
    for _ in range(2):
        reading(usual_head(b"Cookie: b=%d" % next(unseen)), reader)
    assert tries
