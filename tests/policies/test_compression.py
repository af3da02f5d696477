"""Which answers are compressed, and what their heads say then."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.response import parse_response_head
from proxy.policies.compression import Compression, Compressor, accepts_gzip, compress
from tests.support.policies import parsed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"gzip", True), (b"gzip, deflate, br", True), (b"br, GZIP;q=0.5", True), (b"x-gzip", True),
        (b"", False), (b"br", False), (b"gzip;q=0", False), (b"gzip; q=0.000", False), (b"*", False),
        (b"identity", False), (b"gzip;q=0.001", True), (b"ungzip", False),
    ],
)  # fmt: skip
def test_accept_encoding(value: bytes, expected: bool) -> None:
    assert accepts_gzip(value) == expected


TEXT = ("Content-Type: text/html; charset=utf-8", "Content-Length: 2000")


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        (200, TEXT, True),
        (404, TEXT, True),
        (206, TEXT, False),
        (304, TEXT, False),
        (204, ("Content-Type: text/html",), False),
        (200, ("Content-Type: application/json", "Content-Length: 1024"), True),
        (200, ("Content-Type: application/json", "Content-Length: 1023"), False),
        (200, ("Content-Type: application/problem+json", "Transfer-Encoding: chunked"), True),
        (200, ("Content-Type: IMAGE/SVG+XML",), True),
        (200, ("Content-Type: image/png", "Content-Length: 2000"), False),
        (200, ("Content-Type: text/event-stream", "Transfer-Encoding: chunked"), False),
        (200, ("Content-Length: 2000",), False),
        (200, (*TEXT, "Content-Encoding: br"), False),
        (200, (*TEXT, "Cache-Control: public, No-Transform"), False),
    ],
)
def test_status_and_fields_decide_whether_an_answer_is_compressed(
    status: int, fields: tuple[str, ...], expected: bool
) -> None:
    block = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", *fields)).encode()
    head = parse_response_head(block)
    variants = Compression().variants(head)
    assert (variants.compressed is not None) == expected
    assert (variants.plain is head) == (not expected)


def test_the_head_of_a_compressed_answer() -> None:
    block = (
        b'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/css\r\nContent-Length: 2000\r\nETag: "a"\r\n'
        b"Accept-Ranges: bytes\r\nVary: Cookie\r\n"
    )
    variants = Compression().variants(parse_response_head(block))
    assert variants.compressed is not None
    assert parsed(variants.compressed.start + b"\r\n")[1] == {
        "server": ["x"], "content-type": ["text/css"], "etag": ['W/"a"'],
        "vary": ["Cookie", "Accept-Encoding"], "content-encoding": ["gzip"],
    }  # fmt: skip
    plain = parsed(variants.plain.start + b"\r\n")[1]
    assert (plain["vary"], plain["etag"], plain["accept-ranges"]) == (
        ["Cookie", "Accept-Encoding"], ['"a"'], ["bytes"],
    )  # fmt: skip
    assert variants.plain.length == 2000


@given(st.lists(st.binary(max_size=2000)), st.binary(max_size=100))
def test_every_piece_can_be_read_at_once(pieces: list[bytes], last: bytes) -> None:
    compressor = Compressor()
    reader = zlib.decompressobj(31)
    for piece in pieces:
        assert reader.decompress(compressor.feed(piece)) == piece
    assert reader.decompress(compressor.finish(last)) == last
    assert reader.eof


def test_a_whole_body() -> None:
    assert zlib.decompress(compress(b"text " * 1000), 31) == b"text " * 1000
