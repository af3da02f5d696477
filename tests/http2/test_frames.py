"""Frames: cut at any place, checked one by one, and made so that the reader takes them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http2 import frames
from proxy.http2.errors import FRAME_SIZE_ERROR, PROTOCOL_ERROR, Http2Error, StreamError
from proxy.http2.frames import FrameReader, frame_head

Seen = tuple[int, int, bool, bytes]


def read_all(reader: FrameReader) -> list[Seen]:
    seen: list[Seen] = []
    while reader.next():
        seen.append((reader.kind, reader.stream, reader.ends, reader.payload))
    return seen


def joined(seen: list[Seen]) -> list[Seen]:
    """Return the frames with the parts of data put together."""
    whole: list[Seen] = []
    for kind, stream, ends, payload in seen:
        if kind == frames.DATA and whole and whole[-1][:2] == (kind, stream) and not whole[-1][2]:
            whole[-1] = (kind, stream, ends, whole[-1][3] + payload)
        else:
            whole.append((kind, stream, ends, payload))
    return whole


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frame_head(len(payload), kind, flags, stream) + payload


SOME = (
    frame(frames.SETTINGS, 0, 0)
    + frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, b"abc")
    + frame(frames.DATA, 0, 3, bytes(300))
    + frame(frames.HEADERS, 0, 5, b"de")
    + frame(frames.CONTINUATION, 0, 5, b"f")
    + frame(frames.CONTINUATION, frames.END_HEADERS, 5, b"gh")
    + frame(77, 255, 9, b"unknown")
    + frame(frames.WINDOW_UPDATE, 0, 0, b"\0\0\0\1")
)


@given(st.lists(st.integers(0, len(SOME)), max_size=8))
def test_frames_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    whole = FrameReader()
    whole.feed(SOME)
    expected = read_all(whole)
    assert [kind for kind, *_ in expected] == [
        frames.SETTINGS, frames.HEADERS, frames.DATA, frames.HEADERS, frames.UNKNOWN, frames.WINDOW_UPDATE,
    ]  # fmt: skip
    assert expected[3][3] == b"defgh"
    cut = FrameReader()
    seen: list[Seen] = []
    places = [0, *sorted(cuts), len(SOME)]
    for start, end in pairwise(places):
        cut.feed(SOME[start:end])
        seen += read_all(cut)
    assert joined(seen) == expected
    assert not cut.is_within


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (frame(frames.DATA, frames.PADDED, 1, b"\x02abc\0\0"), b"abc"),
        (frame(frames.DATA, frames.PADDED, 1, b"\x00abc"), b"abc"),
        (frame(frames.DATA, frames.PADDED, 1, b"\x00"), b""),
        (frame(frames.HEADERS, frames.PADDED | 4, 1, b"\x01abc\0"), b"abc"),
        (frame(frames.HEADERS, frames.HAS_PRIORITY | 4, 1, b"\0\0\0\x09\x01abc"), b"abc"),
        (frame(frames.HEADERS, frames.PADDED | frames.HAS_PRIORITY | 4, 1, b"\1\0\0\0\x09\1abc\0"), b"abc"),
    ],
)
def test_padding_and_priority_are_taken_off(raw: bytes, payload: bytes) -> None:
    reader = FrameReader()
    reader.feed(raw)
    assert reader.next()
    assert reader.payload == payload
    if reader.kind == frames.DATA:
        assert reader.flow == len(raw) - 9


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame_head(16_385, frames.DATA, 0, 1), FRAME_SIZE_ERROR),
        (frame_head(16_385, 77, 0, 1), FRAME_SIZE_ERROR),
        (frame(frames.DATA, 0, 0, b"a"), PROTOCOL_ERROR),
        (frame(frames.DATA, frames.PADDED, 1, b""), FRAME_SIZE_ERROR),
        (frame(frames.DATA, frames.PADDED, 1, b"\x01"), PROTOCOL_ERROR),
        (
            frame(frames.HEADERS, frames.PADDED | frames.HAS_PRIORITY | 4, 1, b"\1\0\0\0\x09\1"),
            PROTOCOL_ERROR,
        ),
        (frame(frames.HEADERS, frames.HAS_PRIORITY | 4, 1, b"\0\0\0"), FRAME_SIZE_ERROR),
        (frame(frames.HEADERS, 4, 0, b"a"), PROTOCOL_ERROR),
        (frame(frames.SETTINGS, 0, 1), PROTOCOL_ERROR),
        (frame(frames.SETTINGS, 0, 0, b"12345"), FRAME_SIZE_ERROR),
        (frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), FRAME_SIZE_ERROR),
        (frame(frames.PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        (frame(frames.PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(frames.RST_STREAM, 0, 1, bytes(5)), FRAME_SIZE_ERROR),
        (frame(frames.RST_STREAM, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (frame(frames.WINDOW_UPDATE, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
        (frame(frames.GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(frames.GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        (frame(frames.PUSH_PROMISE, 4, 1, bytes(5)), PROTOCOL_ERROR),
        (frame(frames.CONTINUATION, 4, 1, b"a"), PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1, b"a") + frame(frames.PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1, b"a") + frame(77, 0, 0), PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1, b"a") + frame(frames.DATA, 0, 1), PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1, b"a") + frame(frames.CONTINUATION, 4, 3, b"a"), PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1, b"a") + frame(frames.HEADERS, 4, 1, b"a"), PROTOCOL_ERROR),
    ],
)
def test_a_frame_that_no_client_may_send_ends_the_connection(raw: bytes, code: int) -> None:
    reader = FrameReader()
    reader.feed(raw)
    with pytest.raises(Http2Error) as caught:
        read_all(reader)
    assert caught.value.code == code
    assert caught.value.detail


def test_data_is_delivered_as_it_comes_but_for_padded_data() -> None:
    reader = FrameReader()
    raw = frame(frames.DATA, frames.END_STREAM, 3, b"abcdef")
    reader.feed(raw[:9])
    assert not reader.next()
    assert reader.is_within
    seen = []
    for part in (raw[9:11], raw[11:12], b"", raw[12:] + frame(frames.PING, 0, 0, bytes(8))):
        reader.feed(part)
        while reader.next():
            seen.append((reader.kind, reader.ends, reader.flow, reader.payload))
        assert not reader.is_within
    assert seen == [
        (frames.DATA, False, 2, b"ab"), (frames.DATA, False, 1, b"c"), (frames.DATA, True, 3, b"def"),
        (frames.PING, True, 3, bytes(8)),
    ]  # fmt: skip
    padded = frame(frames.DATA, frames.PADDED, 3, b"\1abc\0")
    reader.feed(padded[:-1])
    assert not reader.next()
    reader.feed(padded[-1:])
    assert reader.next()
    assert (reader.payload, reader.flow) == (b"abc", 5)


def test_a_priority_of_a_wrong_size_ends_the_stream_alone() -> None:
    reader = FrameReader()
    reader.feed(frame(frames.PRIORITY, 0, 7, bytes(4)) + frame(frames.DATA, 0, 1, b"a"))
    with pytest.raises(StreamError) as caught:
        reader.next()
    assert (caught.value.stream, caught.value.code) == (7, FRAME_SIZE_ERROR)
    assert reader.next()
    assert reader.payload == b"a"


@given(st.integers(1, 2**31 - 1), st.integers(0, 40_000), st.booleans())
def test_headers_of_any_size_are_read_as_they_were_written(stream: int, size: int, ends: bool) -> None:
    block = bytes(range(256)) * (size // 256 + 1)
    reader = FrameReader()
    reader.feed(frames.headers_frames(stream, block[:size], ends=ends))
    assert read_all(reader) == [(frames.HEADERS, stream, ends, block[:size])]


@given(st.lists(st.tuples(st.integers(9, 65_535), st.integers(0, 2**32 - 1)), max_size=6))
def test_settings_are_read_as_they_were_written(values: list[tuple[int, int]]) -> None:
    reader = FrameReader()
    reader.feed(frames.settings_frame(tuple(values)))
    assert reader.next()
    assert frames.read_settings(reader.payload) == values
