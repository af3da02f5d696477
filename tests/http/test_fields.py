"""Single rules of the parsers, as tables."""

import pytest

from proxy.http.errors import RequestError, ResponseError
from proxy.http.memo import Memo
from proxy.http.path import as_matched, resolve
from proxy.http.request_headers import parse_headers
from proxy.http.request_line import parse_request_line
from proxy.http.response import parse_response_head


@pytest.mark.parametrize(
    ("path", "forwarded", "matched"),
    [
        (b"/a/./b", b"/a/b", b"/a/b"),
        (b"/a/../b", b"/b", b"/b"),
        (b"/a/b/..", b"/a/", b"/a/"),
        (b"/a/b/.", b"/a/b/", b"/a/b/"),
        (b"/%7Ea%2fb%41", b"/~a%2fbA", b"/~a%2FbA"),
        (b"/%2e%2e%2fa", b"/..%2fa", b"/..%2Fa"),
        # what can stand as it is stands so for the rules; the endpoint gets what the client wrote
        (b"/caf%c3%a9", b"/caf%c3%a9", b"/caf%C3%A9"),
        (b"/%C1rbol/%E0%A4%85", b"/%C1rbol/%E0%A4%85", b"/%C1rbol/%E0%A4%85"),  # Latin-1, Devanagari
        (b"/%40me/c%2b%2B%22", b"/%40me/c%2b%2B%22", b'/@me/c++"'),
        (b"/a%3bv/%5c%3f%23%25%20", b"/a%3bv/%5c%3f%23%25%20", b"/a;v/%5C%3F%23%25%20"),
        (b"/a/%2E%2E/b", b"/b", b"/b"),
        (b"/..a/b..", b"/..a/b..", b"/..a/b.."),
        (b"/.", b"/", b"/"),
        (b"/a/..", b"/", b"/"),
        # slashes stay for the endpoint, and are merged for the rules
        (b"//a///b//", b"//a///b//", b"/a/b/"),
        (b"/img/https://a.example//x", b"/img/https://a.example//x", b"/img/https:/a.example/x"),
        (b"/a//../b", b"/a/b", b"/a/b"),
        (b"/a//..//b", b"/a//b", b"/a/b"),
        (b"/a/..//b", b"//b", b"/b"),
        (b"/a//.//b", b"/a///b", b"/a/b"),
        (b"/a//..", b"/a/", b"/a/"),
        (b"//..", b"/", b"/"),
        (b"//.", b"//", b"/"),
        (b"//%2e%2e/a", b"/a", b"/a"),
    ],
)
def test_normal_forms(path: bytes, forwarded: bytes, matched: bytes) -> None:
    assert resolve(path) == forwarded
    assert resolve(forwarded) == forwarded
    assert as_matched(forwarded) == matched
    assert resolve(matched) == matched


@pytest.mark.parametrize(
    "path",
    [
        b"/..",
        b"/a/../../b",
        b"/%2e%2e/",
        b"/%",
        b"/%4",
        b"/%00",
        b"/%gg",
        b"/a/%c0%ae%C0%AE/b",
        b"/%c0%af",
        b"/%C1%9c",
        b"/%e0%80%af",
    ],
)
def test_paths_without_a_normal_form(path: bytes) -> None:
    with pytest.raises(RequestError) as error:
        resolve(path)
    assert error.value.status == 400


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"CONNECT a:443 HTTP/1.1", 405),
        (b"TRACE / HTTP/1.1", 405),
        (b"GET a HTTP/1.1", 400),
        (b"GET ftp://a/ HTTP/1.1", 400),
        (b"GET http:///x HTTP/1.1", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1", 414),
    ],
)
def test_request_lines_that_are_refused(line: bytes, status: int) -> None:
    with pytest.raises(RequestError) as error:
        parse_request_line(line)
    assert error.value.status == status


def test_minor_versions_beyond_one_are_read_as_one() -> None:
    assert parse_request_line(b"GET / HTTP/1.7").version == 1


@pytest.mark.parametrize(
    "field",
    [
        b"Host: a\r\nHost: a",
        b"Host: a:99999",
        b"Host: a b",
        b"Host: [::1",
        b"Host: a@b",
        b"Connection: content-length",
        b"Content-Length: 5\r\nContent-Length: 5",
        b"X_Y: 1",
        b"X: 1\n",
        b" X: 1",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: gzip, chunked, chunked",
        b"Transfer-Encoding: chunked, gzip, chunked",
        b"Transfer-Encoding: gzip;q=1, chunked",
        b"Transfer-Encoding: gzip, chunked,",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 5",
    ],
)
def test_header_blocks_that_are_refused(field: bytes) -> None:
    with pytest.raises(RequestError) as error:
        parse_headers(field + b"\r\n")
    assert error.value.status == 400


def test_hosts_are_compared_without_case_port_and_final_dot() -> None:
    assert parse_headers(b"Host: Shop.Example.:8080\r\n").control.host == b"shop.example"
    assert parse_headers(b"Host: [2001:DB8::1]:80\r\n").control.host == b"[2001:db8::1]"


def test_no_client_names_our_own_fields_in_connection() -> None:
    headers = parse_headers(b"Host: a\r\nConnection: x-forwarded-host, x-a\r\nX-A: 1\r\nX-B: 2\r\n")
    assert headers.forward == b"Host: a\r\nX-B: 2\r\nX-Forwarded-Host: a\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n",
        b"HTTP/2 200\r\n",
        b"HTTP/1.1 600\r\nX\r\n",
        b"HTTP/1.1 20 \r\n",
    ],
)
def test_response_heads_that_are_refused(head: bytes) -> None:
    with pytest.raises(ResponseError):
        parse_response_head(head)


def test_a_response_is_framed_anew() -> None:
    head = parse_response_head(
        b"HTTP/1.1 200 OK\r\nServer: x\r\nX : 1\r\nConnection: close, x-gone\r\n"
        b"X-Gone: 1\r\ncontent-length: 007\r\n"
    )
    assert head.whole == b"HTTP/1.1 200 OK\r\nServer: x\r\nX: 1\r\nContent-Length: 7\r\n\r\n"
    assert not head.reusable


def test_the_memo_is_bounded_and_keeps_what_is_used() -> None:
    memo: Memo[int] = Memo(entries=10, size=1000)
    assert not memo.offer(b"kept", 1)
    assert memo.offer(b"kept", 1)
    for i in range(1000):
        memo.offer(b"%d" % i, i)
        memo.offer(b"%d" % i, i)
        assert (memo.young.get(b"kept") or memo.again(b"kept")) == 1
        assert len(memo) <= 20
    memo.offer(b"x" * 5000, 1)
    assert not memo.offer(b"x" * 5000, 1)
    assert (memo.young.get(b"x" * 5000) or memo.again(b"x" * 5000)) is None


def test_values_offered_once_are_seldom_kept() -> None:
    memo: Memo[int] = Memo()
    for i in range(1000):
        memo.offer(b"%d" % i, i)
    assert len(memo) < 20  # by the hash of bytes, which is another one in every process


@pytest.mark.parametrize(
    ("line", "method", "path", "query"),
    [
        (b"GET /a?b=%20?c HTTP/1.1", b"GET", b"/a", b"?b=%20?c"),
        (b"GET /a?b=2 HTTP/1.1", b"GET", b"/a", b"?b=2"),
        (b"GET /a HTTP/1.1", b"GET", b"/a", b""),
        (b"GET /a? HTTP/1.1", b"GET", b"/a", b"?"),
        (b"PUT http://a.example?b=1 HTTP/1.1", b"PUT", b"/", b"?b=1"),
        (b"GET /a?b HTTP/1.0", b"GET", b"/a", b"?b"),
        (b"OPTIONS * HTTP/1.1", b"OPTIONS", b"/", b""),
    ],
)
def test_method_path_and_query_are_read_from_request_lines(
    line: bytes, method: bytes, path: bytes, query: bytes
) -> None:
    for _ in range(3):  # the third time, what stands before the query is remembered
        parsed = parse_request_line(line)
        assert (parsed.resource.method, parsed.resource.path, parsed.query) == (method, path, query)
