"""Bodies of requests: cut by their framing, bounded, framed anew; and heads refused before they end."""

import pytest

from proxy.http import limits
from proxy.http.body import RequestBody
from proxy.http.errors import RequestError
from proxy.http.framing import CHUNKED
from proxy.http.request import check_incomplete


def test_a_body_of_known_length_ends_where_it_says() -> None:
    body = RequestBody(5)
    assert not body.is_chunked
    assert body.feed(b"head|ab", 5) == b"ab"
    assert not body.done
    assert body.feed(b"cdeGET") == b"cde"
    assert (body.done, body.has_more, body.rest(b"cdeGET")) == (True, False, b"GET")


def test_a_chunked_body_loses_its_framing_and_the_next_request_is_kept() -> None:
    body = RequestBody(CHUNKED)
    assert body.is_chunked
    assert (body.feed(b"2\r\nab\r\n1"), body.trailers) == (b"ab", b"")
    payload = body.feed(b"\r\nc\r\n0\r\nX-Sum: 1\r\n\r\nGET")
    assert (payload, body.done, body.rest(b""), body.rest_bytes) == (b"c", True, b"GET", 3)
    assert body.trailers == b"X-Sum: 1\r\n"


@pytest.mark.parametrize(("data", "status"), [(b"x\r\n", 400), (b"4\r\nabcd\r\n", 413)])
def test_a_bad_or_large_chunked_body_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(RequestError) as refused:
        RequestBody(CHUNKED, 3).feed(data)
    assert refused.value.status == status


LONG = b"a" * (limits.MAX_LINE_BYTES + 1)
LINE = b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\nHost", 400),
        (b"GET /" + LONG, 414),
        (b"GET / HTTP/1.1 x\r\nA: b\r\n", 400),
        (LINE + b"A: b\nC: d", 400),
        (LINE + b"A: " + LONG, 431),
        (LINE + b"A: b\r\n" * (limits.MAX_HEAD_BYTES // 6), 431),
    ],
)
def test_a_head_that_cannot_become_valid_is_refused_before_it_ends(data: bytes, status: int) -> None:
    with pytest.raises(RequestError) as refused:
        check_incomplete(data, 0)
    assert refused.value.status == status


@pytest.mark.parametrize("data", [b"GE", LINE, LINE + b"A: b", LINE + b"A: b\r\nC"])
def test_a_head_that_may_become_valid_is_waited_for(data: bytes) -> None:
    check_incomplete(data, 0)
