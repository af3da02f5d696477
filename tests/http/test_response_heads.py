"""Heads of responses: cut from any pieces, remembered, and refused before they end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http import limits
from proxy.http.body import Body
from proxy.http.chunked import ChunkError
from proxy.http.errors import ResponseError
from proxy.http.framing import CHUNKED, UNTIL_CLOSE
from proxy.http.memo import Memo
from proxy.http.response import ResponseHead, parse_response_head
from proxy.http.response_heads import ResponseHeadReader

HEADS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 00\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
]


def described(head: ResponseHead) -> tuple[object, ...]:
    return head.status, head.length, head.start, head.whole, head.idle_s


def read_in_pieces(reader: ResponseHeadReader, stream: bytes, cuts: list[int]) -> list[ResponseHead]:
    """Return the heads of `stream`, which arrives in pieces of `cuts` bytes each, and then all at once."""
    found, kept = [], b""
    for cut in [*cuts, len(stream)]:
        kept, stream = kept + stream[:cut], stream[cut:]
        at = 0
        while end := reader.read(kept, at):
            found.append(reader.head)
            at = end
        kept = kept[at:]
    assert not kept
    return found


@given(st.lists(st.sampled_from(HEADS), max_size=8), st.lists(st.integers(1, 60), max_size=12))
def test_heads_are_the_same_in_whatever_pieces_they_come(heads: list[bytes], cuts: list[int]) -> None:
    memo: Memo[ResponseHead] = Memo()
    expected = [described(parse_response_head(head[:-2])) for head in heads]
    for _ in range(2):  # the second time they are remembered
        found = read_in_pieces(ResponseHeadReader(memo), b"".join(heads), cuts)
        assert [described(head) for head in found] == expected


def test_the_head_of_the_response_before_is_compared_and_not_parsed() -> None:
    reader = ResponseHeadReader(Memo())
    stream = HEADS[0] * 3
    at, found = 0, []
    for _ in range(3):
        at = reader.read(stream, at)
        found.append(reader.head)
    assert at == len(stream)
    assert found[1] is found[2]  # remembered at the second sighting


LINE = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH",
        b"HTTP/2 200\r\nA",
        b"HTTP/1.1 200 OK\nA: b",
        LINE + b"A : b\r\n c: d\r\n",
        LINE + b"A: b\nC: d\r\n",
        b"HTTP/1.1 200 " + b"a" * limits.MAX_LINE_BYTES,
        LINE + b"A: b\r\n" * (limits.MAX_HEAD_BYTES // 6),
    ],
)
def test_a_head_that_cannot_become_valid_is_refused_before_it_ends(data: bytes) -> None:
    with pytest.raises(ResponseError):
        ResponseHeadReader(Memo()).read(data, 0)


@pytest.mark.parametrize("data", [b"", b"H", b"HTTP/1.1", LINE, LINE + b"A: b", LINE + b"A: b\r\nC"])
def test_a_head_that_may_become_valid_is_waited_for(data: bytes) -> None:
    assert ResponseHeadReader(Memo()).read(data, 0) == 0
    assert ResponseHeadReader(Memo()).read(b"xx" + data, 2) == 0


def test_an_incomplete_head_is_checked_again_when_another_line_has_come() -> None:
    reader = ResponseHeadReader(Memo())
    assert reader.read(LINE + b"A: b", 0) == 0
    assert reader.read(LINE + b"A: bc", 0) == 0
    with pytest.raises(ResponseError):
        reader.read(LINE + b"A: bc\n", 0) or reader.read(LINE + b"A: bc\nD: e\r\n", 0)


def test_a_body_until_the_connection_closes_has_no_end_of_its_own() -> None:
    body = Body(UNTIL_CLOSE)
    assert [body.feed(b"a"), body.feed(b"-b", 1)] == [b"a", b"b"]
    assert (body.done, body.has_more) == (False, False)


def test_a_chunked_body_that_is_malformed_raises() -> None:
    with pytest.raises(ChunkError):
        Body(CHUNKED).feed(b"x\r\n")
