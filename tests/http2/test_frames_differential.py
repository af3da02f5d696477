"""Against hyperframe and nghttp2: frames mean to us what they mean to them, and what they refuse we refuse.

`Oracle` is hyperframe, and the rules that need more than one frame. Where it disagrees with us about a single
frame, the difference has a name here:

- hyperframe knows no sizes: 16 KiB for a frame, 64 KiB and 8 CONTINUATIONs for a header block are our limits,
  and nghttp2 has them as well.
- hyperframe lets padding cover the priority of HEADERS. RFC 9113 §6.2 has padding within the field block
  only; nghttp2 refuses it, as we do.
- hyperframe wants a byte of field block behind padding. RFC 9113 §6.2 asks for none; nghttp2 takes it, too.
- hyperframe reads the reserved bit of WINDOW_UPDATE as part of the number. RFC 9113 §6.9 has it ignored.
- hyperframe and nghttp2 refuse a WINDOW_UPDATE of 0 at once; our reader leaves it to the connection, which
  knows whether the stream is open.
- hyperframe and nghttp2 know extensions, ALTSVC the one and PRIORITY_UPDATE the other. We ignore both, whole
  or broken.
- nghttp2 refuses a GOAWAY whose last stream is not the server's. We push none, so we have no use for it, and
  begin to drain all the same.
- nghttp2 ignores PRIORITY, on stream 0 as well; RFC 9113 §6.3 has that refused.
- nghttp2 ends the connection for a PRIORITY of a wrong size, which is an error of the stream for RFC 9113.
- h2 and nghttp2 know settings more that may be only 0 or 1, of RFC 8441 and RFC 9218. We use neither.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import ngh2
from h2.exceptions import InvalidSettingsValueError
from h2.settings import SettingCodes, Settings
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import event, given, settings
from hypothesis import strategies as st

from proxy.http2 import frames
from proxy.http2.errors import (
    COMPRESSION_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Http2Error,
    StreamError,
)
from proxy.http2.frames import FrameReader, frame_head, number_of, read_settings

EXAMPLES: Final = int(os.environ.get("FLEETGATE_FUZZ_EXAMPLES", "480")) // 8
"""Cases of each test; `make fuzz` sets more."""

BLOCK: Final = b"\x82\x86\x84\x41\x01a"
"""GET http://a/"""
ALTSVC: Final = 10
PRIORITY_UPDATE: Final = 16
UNUSED: Final = (8, 9)
"""Settings of RFC 8441 and RFC 9218, see above."""


class Sent(NamedTuple):
    """A frame, which need not be valid."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    def __repr__(self) -> str:
        some, size = self.payload[:40].hex(), len(self.payload)
        return f"<type {self.kind}, flags {self.flags:#x}, stream {self.stream}, {size} bytes: {some}>"

    @property
    def raw(self) -> bytes:
        return frame_head(len(self.payload), self.kind, self.flags, self.stream) + self.payload


class Seen(NamedTuple):
    """The meaning of a frame, or of a header block."""

    kind: int
    stream: int
    ends: bool = False
    is_ack: bool = False
    is_own_parent: bool = False
    payload: bytes = b""  # of DATA and HEADERS, PING and unknown frames
    numbers: tuple[tuple[int, int], ...] = ()  # settings by their names; what others carry, by 0


class Refused(NamedTuple):
    """An error that the client is told; `code` is not compared everywhere."""

    how: Literal["stream", "connection"]
    code: int = 0


# Our reader


def read(raw: bytes, cuts: list[int]) -> Iterator[Seen | Refused]:
    """Yield what our reader makes of the bytes, which come in pieces, up to the end of the connection."""
    reader = FrameReader()
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    for start, end in pairwise(places):
        reader.feed(raw[start:end])
        while True:
            waiting = reader.waiting_bytes
            try:
                if not reader.next():
                    break
                yield meaning(reader)
            except StreamError as error:
                yield refusal(error, reader)
            except Http2Error as error:
                yield refusal(error, reader)
                return
            assert reader.waiting_bytes < waiting
        assert not reader.has_frame()


def refusal(error: StreamError | Http2Error, reader: FrameReader) -> Refused:
    assert error.detail
    if isinstance(error, Http2Error):
        return Refused("connection", error.code)
    assert error.stream == reader.stream
    return Refused("stream", error.code)


def meaning(reader: FrameReader) -> Seen:
    """Raises Http2Error for values of settings."""
    kind, payload = reader.kind, reader.payload
    seen = Seen(kind, reader.stream)
    if kind == frames.DATA:
        return seen._replace(ends=reader.ends, payload=payload, numbers=((0, reader.flow),))
    if kind == frames.HEADERS:
        return seen._replace(ends=reader.ends, payload=payload, is_own_parent=reader.is_own_parent)
    if kind == frames.SETTINGS:
        return seen._replace(is_ack=reader.is_ack, numbers=tuple(read_settings(payload)))
    if kind == frames.PING:
        return seen._replace(is_ack=reader.is_ack, payload=payload)
    if kind == frames.WINDOW_UPDATE:
        return seen._replace(numbers=((0, number_of(payload)),))
    if kind == frames.RST_STREAM:
        return seen._replace(numbers=((0, int.from_bytes(payload[:4])),))
    if kind == frames.GOAWAY:
        return seen._replace(numbers=((0, int.from_bytes(payload[4:8])),))
    if kind == frames.PRIORITY:
        return seen._replace(is_own_parent=number_of(payload) == reader.stream)
    return seen._replace(payload=payload)


# The oracle


class Oracle:
    """Frames as hyperframe has them, and the rules about more than one frame (RFC 9113 §4.2, §4.3)."""

    def __init__(self) -> None:
        self._first: HeadersFrame | None = None  # of a header block that goes on
        self._block: list[bytes] = []

    def read(self, raw: bytes) -> Iterator[Seen | Refused]:
        """Yield outcomes up to the end of the connection."""
        left = memoryview(raw)
        while len(left) >= frames.HEAD_BYTES:
            size = int.from_bytes(left[:3])
            if size > frames.FRAME_BYTES:
                yield Refused("connection")
                return
            if len(left) < frames.HEAD_BYTES + size:
                yield from self._begun(left[: frames.HEAD_BYTES], left[frames.HEAD_BYTES :])
                return
            outcome = self._outcome(left[: frames.HEAD_BYTES], left[frames.HEAD_BYTES :][:size])
            if outcome is not None:
                yield outcome
            if outcome == Refused("connection"):
                return
            left = left[frames.HEAD_BYTES + size :]

    def _begun(self, head: memoryview, payload: memoryview) -> Iterator[Seen]:
        """Yield the data of an incomplete frame, which does not wait for the rest; padding would have to."""
        stream = number_of(bytes(head[5:]))
        is_data = head[3] == frames.DATA and not head[4] & frames.PADDED
        if is_data and self._first is None and payload and stream:
            yield Seen(frames.DATA, stream, payload=bytes(payload), numbers=((0, len(payload)),))

    def _outcome(self, head: memoryview, payload: memoryview) -> Seen | Refused | None:
        if self._first is not None and (
            head[3] != frames.CONTINUATION or number_of(bytes(head[5:])) != self._first.stream_id
        ):
            return Refused("connection")
        if head[3] in (ALTSVC, frames.PUSH_PROMISE):
            return ignored(head, payload) if head[3] == ALTSVC else Refused("connection")
        try:
            frame, _ = Frame.parse_frame_header(head)
            frame.parse_body(lenient(frame, payload))
        except HyperframeError:
            is_alone = head[3] == frames.PRIORITY and number_of(bytes(head[5:]))
            return Refused("stream" if is_alone else "connection")
        if isinstance(frame, HeadersFrame):
            return self._begin(frame, payload)
        if isinstance(frame, ContinuationFrame):
            return self._continue(frame)
        return known(frame, payload)

    def _begin(self, frame: HeadersFrame, payload: memoryview) -> Seen | Refused | None:
        is_padded = "PADDED" in frame.flags
        begin = is_padded + 5 * ("PRIORITY" in frame.flags)
        end = len(payload) - (payload[0] if is_padded else 0)
        if begin > end:
            return Refused("connection")
        frame.data = bytes(payload[begin:end])
        if "END_HEADERS" in frame.flags:
            return headers(frame, frame.data)
        self._first = frame
        self._block = [frame.data]
        return None

    def _continue(self, frame: ContinuationFrame) -> Seen | Refused | None:
        first = self._first
        self._block.append(frame.data)
        if (
            first is None
            or len(self._block) > 1 + frames.MAX_CONTINUATIONS
            or sum(map(len, self._block)) > frames.MAX_BLOCK_BYTES
        ):
            return Refused("connection")
        if "END_HEADERS" not in frame.flags:
            return None
        self._first = None
        return headers(first, b"".join(self._block))


def lenient(frame: Frame, payload: memoryview) -> memoryview:
    """Return a payload that hyperframe takes, where it asks for more than RFC 9113."""
    if isinstance(frame, HeadersFrame) and "PADDED" in frame.flags and payload:
        return memoryview(b"\0" + bytes(payload[1:]))  # `_begin` checks the length of the padding
    if isinstance(frame, WindowUpdateFrame) and len(payload) == 4:
        return memoryview((number_of(bytes(payload)) or 1).to_bytes(4))
    return payload


def check_values(values: dict[int, int]) -> None:
    """Raises InvalidSettingsValueError."""
    known = {SettingCodes(name): value for name, value in values.items() if name in set(SettingCodes)}
    Settings(initial_values=known)


def ignored(head: memoryview, payload: memoryview) -> Seen:
    return Seen(frames.UNKNOWN, number_of(bytes(head[5:])), payload=bytes(payload))


def headers(frame: HeadersFrame, block: bytes) -> Seen:
    is_own_parent = "PRIORITY" in frame.flags and frame.depends_on == frame.stream_id
    return Seen(
        frames.HEADERS, frame.stream_id, "END_STREAM" in frame.flags, False, is_own_parent, payload=block
    )


def known(frame: Frame, payload: memoryview) -> Seen | Refused:
    """Return what a frame means that belongs to no header block."""
    assert frame.type is not None
    seen = Seen(frame.type, frame.stream_id, is_ack="ACK" in frame.flags)
    match frame:
        case DataFrame():
            flow = ((0, frame.flow_controlled_length),)
            return seen._replace(ends="END_STREAM" in frame.flags, payload=frame.data, numbers=flow)
        case SettingsFrame():
            try:
                check_values({name: value for name, value in frame.settings.items() if name not in UNUSED})
            except InvalidSettingsValueError:
                return Refused("connection")
            return seen._replace(numbers=tuple(frame.settings.items()))
        case PingFrame():
            return seen._replace(payload=frame.opaque_data)
        case WindowUpdateFrame():
            return seen._replace(numbers=((0, number_of(bytes(payload))),))
        case RstStreamFrame():
            return seen._replace(numbers=((0, frame.error_code),))
        case GoAwayFrame():
            return seen._replace(numbers=((0, frame.error_code),))
        case PriorityFrame():
            return seen._replace(is_own_parent=frame.depends_on == frame.stream_id)
    return Seen(frames.UNKNOWN, frame.stream_id, payload=bytes(payload))


# Frames that clients send, and such that they may not send

streams = st.sampled_from([1, 1, 1, 3, 3, 2, 0, 7, 0x7FFFFFFF, 0x80000001, 0x80000000])
numbers = st.sampled_from([0, 1, 2, 255, 16383, 16384, 16385, (1 << 24) - 1, 1 << 24, 0x7FFFFFFF, 1 << 31])
values = st.dictionaries(
    st.sampled_from([1, 2, 3, 4, 5, 6, 8, 9, 77]), numbers | st.integers(0, 1), max_size=4
)
dependencies = st.builds(
    lambda stream, weight: stream.to_bytes(4) + bytes((weight,)), streams, st.integers(0, 255)
)


@st.composite
def padded(draw: st.DrawFn, kind: int, contents: st.SearchStrategy[bytes]) -> Sent:
    """Return DATA or HEADERS, rarely with padding that is longer than the frame."""
    flags = draw(st.sampled_from([0, frames.END_STREAM]))
    content = draw(contents)
    if kind == frames.HEADERS:
        flags |= draw(st.sampled_from([0, frames.END_HEADERS, frames.END_HEADERS]))
        if draw(st.booleans()):
            flags |= frames.HAS_PRIORITY
            content = draw(dependencies) + content
    if draw(st.booleans()):
        flags |= frames.PADDED
        padding = draw(st.sampled_from([0, 1, 5, 255]))
        longer = draw(st.sampled_from([0, 0, 0, 1, len(content), len(content) + 1, len(content) - 5]))
        content = bytes((min(max(padding + longer, 0), 255),)) + content + bytes(padding)
    return Sent(kind, flags, draw(streams), content[: frames.FRAME_BYTES])


contents = st.binary(max_size=12) | st.sampled_from([bytes(16383), bytes(16384)])
stream_flags = st.sampled_from([0, frames.END_HEADERS])
control_flags = st.sampled_from([0, 0, frames.ACK, 255])
on_connection = st.sampled_from([0, 0, 0, 0x80000000, 1])
sent = st.one_of(
    padded(frames.DATA, contents),
    padded(frames.HEADERS, st.just(BLOCK) | contents),
    st.builds(Sent, st.just(frames.CONTINUATION), stream_flags, streams, st.just(BLOCK[:3]) | contents),
    st.builds(Sent, st.just(frames.PRIORITY), st.just(0), streams, dependencies),
    st.builds(Sent, st.just(frames.RST_STREAM), control_flags, streams, numbers.map(lambda n: n.to_bytes(4))),
    st.builds(
        Sent,
        st.just(frames.SETTINGS),
        control_flags,
        on_connection,
        values.map(lambda each: b"".join(k.to_bytes(2) + v.to_bytes(4) for k, v in each.items())),
    ),
    st.builds(Sent, st.just(frames.PUSH_PROMISE), stream_flags, streams, st.just(b"\0\0\0\2" + BLOCK)),
    st.builds(Sent, st.just(frames.PING), control_flags, on_connection, st.binary(min_size=8, max_size=8)),
    st.builds(Sent, st.just(frames.GOAWAY), st.just(0), on_connection, st.binary(min_size=8, max_size=20)),
    st.builds(
        Sent, st.just(frames.WINDOW_UPDATE), control_flags, streams | st.just(0),
        numbers.map(lambda number: number.to_bytes(4)),
    ),
    st.builds(Sent, st.integers(10, 255), st.integers(0, 255), streams, contents),
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn) -> Sent:
    """Return a frame of which one thing is another."""
    frame: Sent = draw(sent)
    match draw(st.integers(0, 4)):
        case 0:
            return frame._replace(kind=draw(st.integers(0, 17)))
        case 1:
            return frame._replace(flags=frame.flags ^ 1 << draw(st.integers(0, 7)))
        case 2:
            return frame._replace(stream=draw(streams | st.just(0)))
        case 3:
            cut = draw(st.integers(0, 6))
            return frame._replace(payload=frame.payload[: max(len(frame.payload) - cut, 0)])
    return frame._replace(payload=frame.payload + draw(st.binary(min_size=1, max_size=6)))


@st.composite
def blocks(draw: st.DrawFn) -> list[Sent]:
    """Return a header block in pieces, about as many and as long as there may be."""
    stream = draw(streams)
    piece = draw(st.sampled_from([b"", b"abc", bytes(8192), bytes(16384)]))
    count = draw(st.sampled_from([0, 1, 2, 3, 4, 6, 7, 8, 9]))
    pieces = [Sent(frames.CONTINUATION, 0, stream, piece)] * count
    first = draw(padded(frames.HEADERS, st.just(piece)))
    if not pieces:
        return [first._replace(flags=first.flags | frames.END_HEADERS)]
    pieces[-1] = pieces[-1]._replace(flags=frames.END_HEADERS)
    return [first._replace(flags=first.flags & ~frames.END_HEADERS, stream=stream), *pieces]


sequences = st.lists(sent.map(lambda one: [one]) | sent.map(lambda one: [one]) | blocks(), max_size=6).map(
    lambda lists: [frame for some in lists for frame in some]
)


def comparable(outcomes: Iterable[Seen | Refused]) -> list[Seen | Refused]:
    """Return outcomes without codes; data in one piece, wherever it was cut."""
    found: list[Seen | Refused] = []
    for outcome in outcomes:
        last = found[-1] if found else None
        if isinstance(outcome, Refused):
            found.append(Refused(outcome.how))
        elif isinstance(last, Seen) and outcome.kind == last.kind == frames.DATA and continues(last, outcome):
            found[-1] = outcome._replace(
                payload=last.payload + outcome.payload,
                numbers=((0, last.numbers[0][1] + outcome.numbers[0][1]),),
            )
        else:
            found.append(outcome)
    return found


def continues(data: Seen, more: Seen) -> bool:
    return data.stream == more.stream and not data.ends


@settings(max_examples=EXAMPLES)
@given(
    sequences, st.lists(st.integers(0, 300), max_size=8), st.lists(changed(), max_size=2), st.integers(0, 9)
)
def test_frames_mean_what_hyperframe_says(
    written: list[Sent], cuts: list[int], others: list[Sent], end: int
) -> None:
    """Cut anywhere, and without an end."""
    raw = b"".join(frame.raw for frame in written + others)
    raw = raw[: len(raw) - (end if end > 4 else 0)]
    seen = comparable(read(raw, cuts))
    assert seen == comparable(Oracle().read(raw))
    assert seen == comparable(read(raw, []))
    event("refused" if seen and isinstance(seen[-1], Refused) else "read to the end")


def test_stream_0_has_no_data_with_the_reserved_bit_either() -> None:
    raw = Sent(frames.DATA, 0, 1 << 31, b"abc").raw
    assert comparable(read(raw, [10])) == comparable(Oracle().read(raw)) == [Refused("connection")]


@settings(max_examples=EXAMPLES)
@given(st.lists(st.binary(max_size=40), max_size=4), st.lists(changed(), max_size=2))
def test_bytes_of_any_kind(junk: list[bytes], some: list[Sent]) -> None:
    raw = b"".join(frame.raw for frame in some) + b"".join(bytes((0, 0, len(each))) + each for each in junk)
    assert comparable(read(raw, [])) == comparable(Oracle().read(raw))


# nghttp2, which refuses frames by their order as well


class Nghttp2:
    """A server of nghttp2 that knows the preface and the settings of its client."""

    def __init__(self) -> None:
        self._server = ngh2.Connection(ngh2.Role.SERVER)
        self._server.initiate_connection()
        self._server.receive_data(frames.PREFACE + Sent(frames.SETTINGS, 0, 0, b"").raw)
        self._server.events()
        self._server.data_to_send()

    def refuses(self, raw: bytes) -> int:
        """Return the code with which the connection ends because of these bytes; 0: it goes on."""
        self._server.receive_data(raw)
        for outcome in Oracle().read(self._server.data_to_send()):
            if isinstance(outcome, Seen) and outcome.kind == frames.GOAWAY:
                ((_, code),) = outcome.numbers
                return code
        return 0


class Place(NamedTuple):
    """Frames that the client has sent before; `stream` is the one that is open."""

    before: bytes
    stream: int
    is_within: bool = False  # a header block


PLACES: Final = {
    "fresh": Place(b"", 0),
    "open": Place(Sent(frames.HEADERS, frames.END_HEADERS, 1, BLOCK).raw, 1),
    "within": Place(Sent(frames.HEADERS, 0, 1, BLOCK).raw, 1, is_within=True),
}


def is_about_streams(place: Place, frame: Sent) -> bool:
    """Whether nghttp2 may refuse a frame for the state of its stream, or of a window.

    Of that our reader knows nothing; tests/dataplane/test_http2_sequences.py asks the whole data plane.
    """
    stream = frame.stream & 0x7FFFFFFF
    if frame.kind == frames.WINDOW_UPDATE:
        return stream not in (0, place.stream) or not 0 < number_of(frame.payload) < 1 << 30
    return stream not in (0, place.stream)


@settings(max_examples=EXAMPLES * 2)
@given(st.sampled_from(sorted(PLACES)), sent | changed())
def test_nghttp2_refuses_what_we_refuse(name: str, frame: Sent) -> None:
    place = PLACES[name]
    theirs = Nghttp2()
    assert theirs.refuses(place.before) == 0
    code = theirs.refuses(frame.raw)
    *_, got = [None, *read(place.before + frame.raw, [])]
    event(f"{'refused' if isinstance(got, Refused) else 'taken'}, by nghttp2 {code}")
    if isinstance(got, Refused):
        check_refused(place, frame, got, code)
    elif frame.kind != PRIORITY_UPDATE and not is_about_streams(place, frame):
        check_taken(frame, got, code)


def check_refused(place: Place, frame: Sent, got: Refused, code: int) -> None:
    if frame.kind == frames.PRIORITY and not frame.stream & 0x7FFFFFFF and not place.is_within:
        assert code in (0, FRAME_SIZE_ERROR)
    elif got.code == PROTOCOL_ERROR or frame.flags & frames.PADDED or place.is_within:
        # Some frames have two faults, and which of them counts is a matter of opinion
        assert code in (PROTOCOL_ERROR, FRAME_SIZE_ERROR)
    else:
        assert code == got.code


def is_more_than_rfc9113(got: Seen, frame: Sent) -> bool:
    """Whether nghttp2 knows rules about a frame that RFC 9113 does not have."""
    if got.kind == frames.SETTINGS:
        return any(name in UNUSED for name, _ in got.numbers)
    return got.kind == frames.GOAWAY and number_of(frame.payload) != 0


def check_taken(frame: Sent, got: Seen | None, code: int) -> None:
    """`got`: None within a header block."""
    if code == COMPRESSION_ERROR:
        assert frame.kind in (frames.HEADERS, frames.CONTINUATION)  # a block that is none
    elif got is not None and got.kind == frames.HEADERS and got.is_own_parent:
        assert code in (0, PROTOCOL_ERROR)  # 0 for trailers
    elif got is not None and is_more_than_rfc9113(got, frame):
        assert code in (0, PROTOCOL_ERROR)
    else:
        assert code == 0


# Our writer


def written_by_us(raw: bytes) -> list[Frame]:
    """Return what hyperframe reads, and check that it writes the same bytes."""
    found: list[Frame] = []
    at = 0
    while at < len(raw):
        end = at + frames.HEAD_BYTES
        frame, size = Frame.parse_frame_header(memoryview(raw[at:end]), strict=True)
        frame.parse_body(memoryview(raw[end : end + size]))
        assert size <= frames.FRAME_BYTES
        assert frame.serialize() == raw[at : end + size]
        found.append(frame)
        at = end + size
    assert at == len(raw)
    return found


any_stream = st.integers(1, 0x7FFFFFFF)
any_code = st.integers(0, 0xFFFFFFFF)
sizes = st.integers(0, 70_000) | st.sampled_from([0, 1, 16383, 16384, 16385, 32767, 32768, 32769, 49152])


@settings(max_examples=EXAMPLES)
@given(any_stream, sizes, st.booleans())
def test_header_blocks_that_we_write(stream: int, size: int, ends: bool) -> None:
    block = bytes(range(256)) * (size // 256) + bytes(size % 256)
    first, *others = written_by_us(frames.headers_frames(stream, block, ends=ends))
    assert isinstance(first, HeadersFrame)
    assert ("END_STREAM" in first.flags) == ends
    assert not {"PADDED", "PRIORITY"} & set(first.flags)
    pieces: list[HeadersFrame | ContinuationFrame] = [first]
    for each in others:
        assert isinstance(each, ContinuationFrame)
        pieces.append(each)
    assert {each.stream_id for each in pieces} == {stream}
    assert ["END_HEADERS" in each.flags for each in pieces] == [False] * len(others) + [True]
    assert b"".join(each.data for each in pieces) == block
    assert all(each.data for each in pieces[1:])


@settings(max_examples=EXAMPLES)
@given(any_stream, any_code, st.integers(1, frames.MOST_WINDOW), st.binary(min_size=8, max_size=8))
def test_small_frames_that_we_write(stream: int, code: int, increment: int, token: bytes) -> None:
    reset, window, connection_window, ping, acknowledged = written_by_us(
        frames.reset_frame(stream, code)
        + frames.window_frame(stream, increment)
        + frames.window_frame(0, increment)
        + frames.ping_ack(token)
        + frames.SETTINGS_ACK
    )
    assert isinstance(reset, RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (stream, code)
    assert isinstance(window, WindowUpdateFrame)
    assert (window.stream_id, window.window_increment) == (stream, increment)
    assert isinstance(connection_window, WindowUpdateFrame)
    assert (connection_window.stream_id, connection_window.window_increment) == (0, increment)
    assert isinstance(ping, PingFrame)
    assert (set(ping.flags), ping.opaque_data) == ({"ACK"}, token)
    assert isinstance(acknowledged, SettingsFrame)
    assert (set(acknowledged.flags), acknowledged.settings) == ({"ACK"}, {})


@settings(max_examples=EXAMPLES)
@given(
    st.dictionaries(st.integers(1, 255), any_code, max_size=6),
    st.integers(0, frames.MOST_WINDOW),
    any_code,
    st.text(max_size=30),
)
def test_settings_and_goodbyes_that_we_write(said: dict[int, int], last: int, code: int, detail: str) -> None:
    values, goodbye = written_by_us(
        frames.settings_frame(tuple(said.items())) + frames.goaway_frame(last, code, detail)
    )
    assert isinstance(values, SettingsFrame)
    assert (values.settings, set(values.flags)) == (said, set())
    assert isinstance(goodbye, GoAwayFrame)
    assert (goodbye.last_stream_id, goodbye.error_code) == (last, code)
    assert len(goodbye.additional_data) == len(detail)
    if detail.isascii():
        assert goodbye.additional_data == detail.encode()


@settings(max_examples=EXAMPLES)
@given(any_stream, st.integers(0, frames.FRAME_BYTES), st.booleans(), st.booleans())
def test_heads_that_we_write_before_data(stream: int, size: int, ends: bool, padded: bool) -> None:
    flags = frames.END_STREAM * ends | frames.PADDED * padded
    frame, read_size = Frame.parse_frame_header(
        memoryview(frames.frame_head(size, frames.DATA, flags, stream)), strict=True
    )
    assert isinstance(frame, DataFrame)
    assert (frame.stream_id, read_size) == (stream, size)
    assert ("END_STREAM" in frame.flags, "PADDED" in frame.flags) == (ends, padded)
