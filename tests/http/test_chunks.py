"""Chunks taken the short way are the chunks that the careful way finds."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.http.chunked import END, ChunkDecoder, ChunkError, encode_chunk, plain_size

payloads = st.lists(st.binary(min_size=1, max_size=300), max_size=6)
odd = st.sampled_from(
    (b"", b"\r\n", b"0\r\n", END, b"X: 1\r\n\r\n", b"5;a=b\r\nhello\r\n", b"5 \r\nhello\r\n",
     b"05\r\nhello\r\n",
     b"5\nhello\r\n", b"5\r\nhelloX\r\n", b"5\r\nhell", b"+5\r\nhello\r\n", b"FFFFFFFFFFFFFFFFF\r\nx")
)  # fmt: skip


def decoded(data: bytes) -> tuple[bytes, bool, bytes] | None:
    decoder = ChunkDecoder()
    try:
        return decoder.feed(data), decoder.done, decoder.rest
    except ChunkError:
        return None


def careful(data: bytes) -> tuple[bytes, bool, bytes] | None:
    """Byte by byte no chunk is ever complete in what is fed."""
    decoder = ChunkDecoder()
    payload = b""
    try:
        for index in range(len(data)):
            payload += decoder.feed(data[index : index + 1])
            if decoder.done:
                return payload, True, data[index + 1 :]
    except ChunkError:
        return None
    return payload, False, b""


@given(payloads, st.lists(odd, max_size=3), st.sampled_from((END, b"")))
def test_the_short_way_finds_what_the_careful_way_finds(
    pieces: list[bytes], others: list[bytes], end: bytes
) -> None:
    data = b"".join(map(encode_chunk, pieces)) + b"".join(others) + end
    assert decoded(data) == careful(data)
    assert decoded(data) == careful(data)  # sizes are known by now
    size = plain_size(b"head" + data, 4)
    if size >= 0:
        payload, done, rest = careful(data) or (b"", False, b"?")
        assert (len(payload), done, rest) == (size, True, b"")


def test_a_whole_plain_body_goes_on_as_it_is() -> None:
    body = encode_chunk(b"hello") + encode_chunk(b"x" * 4096) + END
    ChunkDecoder().feed(body)
    assert plain_size(b"head" + body, 4) == 4101
    for not_plain in (
        body + b"x",
        body[:-1],
        body[:-5] + b"0\r\nX: 1\r\n\r\n",
        body.replace(b"5\r\n", b"5;a\r\n"),
    ):
        assert plain_size(not_plain, 0) == -1
