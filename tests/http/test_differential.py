"""Against h11 and httptools: where they disagree with us, we are the stricter.

What we accept, both oracles must read the same way: method, target, fields that matter, body.
"""

import os

import h11
import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.http.chunked import ChunkDecoder, ChunkError, encode_chunk
from proxy.http.errors import RequestError, ResponseError
from proxy.http.framing import CHUNKED
from proxy.http.request import check_together
from proxy.http.request_headers import parse_headers
from proxy.http.request_line import parse_request_line
from proxy.http.response import parse_response_head

EXAMPLES = int(os.environ.get("FLEETGATE_FUZZ_EXAMPLES", "2000"))
"""Cases of each test; `make fuzz` sets more."""

NAMES = [
    b"Host",
    b"Content-Length",
    b"Transfer-Encoding",
    b"Connection",
    b"X-A",
    b"x_b",
    b"Expect",
    b"Cookie",
]
VALUES = [
    b"a",
    b"a.example:80",
    b"5",
    b"0",
    b"5, 5",
    b"+5",
    b"chunked",
    b"Chunked",
    b"close",
    b"x, chunked",
    b"",
]
NOISE = st.sampled_from(
    [b"", b" ", b"\t", b"\r", b"\n", b"\x00", b"\x0b", b"\xff", b":", b";", b"\x7f", b"\r\n "]
)
EOL = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"POST", b"get", b"OPTIONS", b"P\x00T", b"", b"A" * 40]))
    target = draw(
        st.sampled_from([b"/", b"/a?b=c", b"/a b", b"/a#b", b"*", b"http://a/x", b"/%zz", b"/caf\xc3\xa9"])
    )
    version = draw(st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1"]))
    lines = [method + b" " + target + b" " + version]
    if draw(st.booleans()):
        lines.append(b"Host: a.example")
    for _ in range(draw(st.integers(0, 4))):
        name, value = draw(st.sampled_from(NAMES)), draw(st.sampled_from(VALUES))
        lines.append(name + draw(NOISE) * draw(st.integers(0, 1)) + b":" + draw(NOISE) + value)
    return b"".join(line + draw(EOL) for line in lines) + b"\r\n"


class Accepted:
    def __init__(self, head: bytes) -> None:
        end = head.index(b"\r\n\r\n")
        line_end = head.index(b"\r\n")
        self.line = parse_request_line(head[:line_end])
        self.headers = parse_headers(head[line_end + 2 : end + 2])
        check_together(self.line, self.headers.control)


class Seen:
    """What httptools reports."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.complete = True


@settings(max_examples=EXAMPLES)
@given(heads())
def test_accepted_heads_are_read_alike_by_the_oracles(head: bytes) -> None:
    if head.find(b"\r\n\r\n") + 4 != len(head):
        return
    try:
        ours = Accepted(head)
    except (RequestError, ValueError):
        return
    event = h11_request(head)
    assert event.method == ours.line.resource.method
    lengths = [int(v) for k, v in event.headers if k == b"content-length"]
    assert lengths == ([ours.headers.control.length] if lengths else [])
    assert ((b"transfer-encoding", b"chunked") in event.headers) == (ours.headers.control.length == CHUNKED)
    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserInvalidMethodError:
        return  # llhttp knows a fixed list of methods; any token is one (RFC 9110 §9.1)
    assert seen.complete
    assert parser.get_method() == ours.line.resource.method
    assert [v for k, v in seen.headers if k == b"host"] == [ours.headers.control.authority or b""] * bool(
        ours.headers.control.authority
    )


def h11_request(head: bytes) -> h11.Request:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return event


@settings(max_examples=EXAMPLES // 3)
@given(
    payload=st.binary(max_size=2000),
    sizes=st.lists(st.integers(1, 300), min_size=1),
    cuts=st.lists(st.integers(1, 50)),
)
def test_chunks_decode_whatever_the_pieces(payload: bytes, sizes: list[int], cuts: list[int]) -> None:
    wire, at = b"", 0
    for size in sizes:
        if at < len(payload):
            wire += encode_chunk(payload[at : at + size])
            at += size
    sent = payload[:at]
    wire += b"0\r\nX-T: 1\r\n\r\nREST"
    decoder = ChunkDecoder()
    got, at = b"", 0
    for cut in [*cuts, len(wire)]:
        if not decoder.done:
            got += decoder.feed(wire[at : at + cut])
            at += cut
    assert decoder.done
    assert got == sent
    assert (decoder.rest + wire[at:]) == b"REST"


CHUNK_NOISE = st.lists(
    st.sampled_from(
        [b"5", b"0", b"\r\n", b"\n", b"\r", b"hello", b";", b"a=b", b" ", b"\x00", b"ffffffff", b"-", b"x"]
    ),
    max_size=14,
)


@settings(max_examples=EXAMPLES)
@given(CHUNK_NOISE)
def test_chunks_we_accept_h11_reads_alike(parts: list[bytes]) -> None:
    wire = b"".join(parts)
    decoder = ChunkDecoder()
    try:
        got = decoder.feed(wire)
    except ChunkError:
        return
    if not decoder.done:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
    theirs = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            theirs += bytes(event.data)
        assert event is not h11.NEED_DATA
    assert theirs == got


@st.composite
def response_heads(draw: st.DrawFn) -> bytes:
    version = draw(st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2", b"ICY"]))
    status = draw(st.sampled_from([b"200", b"204", b"304", b"404", b"503", b"099", b"20", b"2000", b"2 0"]))
    reason = draw(st.sampled_from([b" OK", b"", b" ", b" Not Found", b" \xe9", b" a\x00b"]))
    lines = [version + b" " + status + reason]
    names = [b"Content-Length", b"Transfer-Encoding", b"Connection", b"X-A", b"Keep-Alive", b"Server"]
    for _ in range(draw(st.integers(0, 4))):
        name, value = draw(st.sampled_from(names)), draw(st.sampled_from(VALUES))
        lines.append(name + b":" + draw(NOISE) + value)
    return b"".join(line + draw(EOL) for line in lines) + b"\r\n"


@settings(max_examples=EXAMPLES)
@given(response_heads())
def test_responses_we_accept_h11_reads_alike(head: bytes) -> None:
    if head.find(b"\r\n\r\n") + 4 != len(head):
        return
    try:
        ours = parse_response_head(head[:-2])
    except ResponseError:
        return
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(head)
    event = connection.next_event()
    assert isinstance(event, h11.Response)
    assert event.status_code == ours.status
    lengths = {int(v) for k, v in event.headers if k == b"content-length"}
    chunked = any(k == b"transfer-encoding" for k, _ in event.headers)
    assert chunked == (ours.length == CHUNKED)
    assert chunked or lengths == ({ours.length} if ours.length >= 0 else set())
    assert b"\r\n\r\n" not in ours.start
