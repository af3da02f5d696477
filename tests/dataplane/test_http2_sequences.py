"""Any sequence of frames to the data plane and to nghttp2: both go on, or both end the stream, or all.

A PING follows each step, so that its acknowledgement tells what came of the step. Requests go to an endpoint
that does not answer, and nobody answers those to nghttp2: streams stay open until the client ends them. From
the first step on at which both differ, their streams are in different states; the rest is not compared.

`may_differ` has the differences that are right. Codes may differ, too, where a frame has more than one fault.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import ngh2
import pytest
import pytest_asyncio
from hyperframe.frame import Frame as HyperFrame
from hypothesis import event, given, settings
from hypothesis import strategies as st

from loadtest.ports import free_port
from proxy.model.snapshot import Listener, Snapshot
from tests.dataplane.test_h2_attacks import Bystander
from tests.support.http2client import (
    ACK,
    DEADLINE_S,
    END_HEADERS,
    HAS_PRIORITY,
    MOST_WINDOW,
    PADDED,
    PREFACE,
    Code,
    Fields,
    Frame,
    Http2Client,
    Kind,
    block,
    continuation,
    data,
    dependency,
    frame,
    goaway,
    headers,
    ping,
    priority,
    reset,
    window_update,
)
from tests.support.http2client import settings as settings_frame
from tests.support.origin import Origin
from tests.support.snapshots import route, service, source
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES: Final = int(os.environ.get("FLEETGATE_FUZZ_EXAMPLES", "480")) // 8
"""Cases of the test; a campaign sets more."""

SILENT: Final = "/silent"  # its endpoint answers nothing but probes
ASKED: Final[Fields] = ((":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", SILENT))
FINE: Final = b"/finest"  # has an answer; as long as the other, so that lengths stay true
TRAILERS: Final[Fields] = (("x-sum", "1"),)


# The grammar


class Step(NamedTuple):
    """Frames that are sent together, before a PING."""

    kind: int  # of the first frame
    stream: int
    raw: bytes
    ends: bool = False  # the stream, from the client's side
    is_wrong: str = ""  # what is wrong with it by itself

    def __repr__(self) -> str:
        marks = ("." if self.ends else "") + (f" {self.is_wrong}!" if self.is_wrong else "")
        return f"{self.kind}@{self.stream}{marks} {self.raw.hex()}"


streams = st.sampled_from([1, 1, 1, 3, 3, 5, 7, 9, 2, 0])


@st.composite
def blocks(draw: st.DrawFn) -> Step:
    """Return a request or trailers, in one frame or in several."""
    stream, ends = draw(streams), draw(st.booleans())
    raw = block(draw(st.sampled_from([ASKED, ASKED, ASKED, TRAILERS])))
    pieces = draw(st.sampled_from([1, 1, 1, 2, 3]))
    extra, flags, wrong = b"", 0, ""
    if draw(st.integers(0, 3)) == 0:
        parent = draw(streams)
        extra, flags = dependency(parent), HAS_PRIORITY
        wrong = "parent" if parent == stream else ""
    size = len(raw) // pieces + 1
    first, *rest = [raw[at : at + size] for at in range(0, len(raw), size)]
    if draw(st.integers(0, 3)) == 0:
        first, flags = bytes((3,)) + extra + first + bytes(3), flags | PADDED
    else:
        first = extra + first
    frames = [headers(stream, first, ends=ends, whole=not rest, flags=flags)]
    frames += [continuation(stream, piece, whole=piece is rest[-1]) for piece in rest]
    if rest and draw(st.integers(0, 4)) == 0:
        frames[-1], wrong = draw(st.sampled_from([b"", ping(), continuation(stream + 2, rest[-1])])), "block"
    return Step(Kind.HEADERS, stream, b"".join(frames), ends, wrong)


@st.composite
def bodies(draw: st.DrawFn) -> Step:
    stream, ends = draw(streams), draw(st.booleans())
    payload = draw(st.sampled_from([b"", b"abc", bytes(5000)]))
    if draw(st.integers(0, 3)):
        return Step(Kind.DATA, stream, data(stream, payload, ends=ends), ends)
    padding = draw(st.sampled_from([0, 3, 255]))
    raw = frame(Kind.DATA, PADDED | ends, stream, bytes((padding,)) + payload)
    return Step(Kind.DATA, stream, raw, ends, "padding" if padding > len(payload) else "")


@st.composite
def windows(draw: st.DrawFn) -> Step:
    stream, increment = draw(streams), draw(st.sampled_from([0, 1, 1, 100, 100, 100, MOST_WINDOW]))
    return Step(
        Kind.WINDOW_UPDATE, stream, window_update(stream, increment), is_wrong="" if increment else "zero"
    )


@st.composite
def priorities(draw: st.DrawFn) -> Step:
    stream, parent = draw(streams), draw(streams)
    if draw(st.integers(0, 4)) == 0:
        return Step(Kind.PRIORITY, stream, frame(Kind.PRIORITY, 0, stream, bytes(4)), is_wrong="size")
    wrong = "parent" if parent == stream else ""
    return Step(Kind.PRIORITY, stream, priority(stream, parent), is_wrong=wrong)


def alone(kind: int, raw: bytes, *, stream: int = 0, wrong: str = "") -> Step:
    return Step(kind, stream, raw, is_wrong=wrong)


OTHERS: Final = (
    alone(Kind.PING, ping(b"anything", ack=True)),
    alone(Kind.PING, frame(Kind.PING, 0, 0, bytes(7)), wrong="size"),
    alone(Kind.PING, frame(Kind.PING, 0, 1, bytes(8)), stream=1, wrong="stream"),
    alone(Kind.SETTINGS, settings_frame()),
    alone(Kind.SETTINGS, settings_frame((4, 100), (5, 16384), (77, 5))),
    alone(Kind.SETTINGS, settings_frame((4, MOST_WINDOW))),
    alone(Kind.SETTINGS, settings_frame((4, MOST_WINDOW + 1)), wrong="value"),
    alone(Kind.SETTINGS, settings_frame((2, 2)), wrong="value"),
    alone(Kind.SETTINGS, frame(Kind.SETTINGS, 0, 0, bytes(5)), wrong="size"),
    alone(Kind.SETTINGS, frame(Kind.SETTINGS, ACK, 0), wrong="acknowledges"),
    alone(Kind.SETTINGS, frame(Kind.SETTINGS, 0, 1), stream=1, wrong="stream"),
    alone(Kind.GOAWAY, goaway()),
    alone(Kind.GOAWAY, goaway(Code.ENHANCE_YOUR_CALM, debug=b"why")),
    alone(Kind.GOAWAY, frame(Kind.GOAWAY, 0, 0, bytes(7)), wrong="size"),
    alone(Kind.GOAWAY, goaway(stream=1), stream=1, wrong="stream"),
    alone(Kind.PUSH_PROMISE, frame(Kind.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(ASKED)), stream=1),
    alone(77, frame(77, 255, 0, b"unknown")),
    alone(78, frame(78, 0, 9), stream=9),
    alone(Kind.DATA, frame(Kind.DATA, 0, 1, length=16385) + bytes(100), stream=1, wrong="size"),
    alone(Kind.RST_STREAM, frame(Kind.RST_STREAM, 0, 1, bytes(5)), stream=1, wrong="size"),
    alone(Kind.WINDOW_UPDATE, frame(Kind.WINDOW_UPDATE, 0, 0, bytes(3)), wrong="size"),
)
steps = st.one_of(
    blocks(),
    blocks(),
    bodies(),
    windows(),
    priorities(),
    streams.map(lambda stream: Step(Kind.RST_STREAM, stream, reset(stream))),
    streams.map(lambda stream: Step(Kind.CONTINUATION, stream, continuation(stream, TRAILERS))),
    st.sampled_from(OTHERS),
)
begins = st.just(Step(Kind.HEADERS, 1, headers(1, ASKED, ends=False))) | st.just(
    Step(Kind.HEADERS, 1, headers(1, ASKED), ends=True)
)
sequences = st.builds(lambda first, rest: [first, *rest], begins | steps, st.lists(steps, max_size=9))


# Outcomes of the steps


class Fate(NamedTuple):
    """The outcome of a step, with the code of the error."""

    how: Literal["fine", "stream", "connection"]
    code: int = 0


def token(number: int) -> bytes:
    return b"step" + number.to_bytes(4)


def fates(frames: Iterable[Frame]) -> list[Fate]:
    """Return what came of the steps up to the end of the connection."""
    found: list[Fate] = []
    current = Fate("fine")
    for each in frames:
        if each.kind == Kind.PING and each.flags & ACK:
            assert each.payload == token(len(found))
            found.append(current)
            current = Fate("fine")
        elif each.kind == Kind.RST_STREAM:
            current = Fate("stream", each.code)
        elif each.kind == Kind.GOAWAY and each.code:
            return [*found, Fate("connection", each.code)]
    return found


class Nghttp2:
    """A server of nghttp2 that gets the steps one by one."""

    def __init__(self) -> None:
        self._server = ngh2.Connection(ngh2.Role.SERVER)
        self._server.initiate_connection()
        self._server.receive_data(PREFACE + settings_frame() + frame(Kind.SETTINGS, ACK, 0))
        self._server.events()
        self._server.data_to_send()

    def take(self, raw: bytes) -> list[Frame]:
        """Return its answer, the PING behind the rest."""
        self._server.receive_data(raw)
        sent, at = [], 0
        answer = self._server.data_to_send()
        while at < len(answer):
            end = at + 9 + int.from_bytes(answer[at : at + 3])
            stream = int.from_bytes(answer[at + 5 : at + 9])
            sent.append(Frame(answer[at + 3], answer[at + 4], stream, answer[at + 9 : end]))
            at = end
        return sorted(sent, key=lambda one: one.kind == Kind.PING)


def by_nghttp2(sequence: list[Step]) -> list[Fate]:
    server, sent = Nghttp2(), []
    for number, step in enumerate(sequence):
        try:
            sent += server.take(step.raw + ping(token(number)))
        except ngh2.ConnectionStateError:  # it has ended, see `compare`
            break
    return fates(sent)


async def by_gateway(port: int, sequence: list[Step]) -> list[Fate]:
    """Raises TimeoutError when it neither goes on nor ends the connection."""
    client = await Http2Client.connect(port)
    try:
        await client.send(*(step.raw + ping(token(number)) for number, step in enumerate(sequence)))
        last = token(len(sequence) - 1)
        await client.until(
            lambda: client.ending(None) is not None or any(p.payload == last for p in client.of(Kind.PING))
        )
        found = fates(client.frames)
        if found[-1:] and found[-1].how == "connection":
            await client.expect_connection_end()
        assert client.answers == {}
        return found
    finally:
        await client.close()


class Streams:
    """States of streams (RFC 9113 §5.1) after steps that both took alike."""

    def __init__(self) -> None:
        self._states: dict[int, Literal["open", "half-closed", "closed"]] = {}

    def of(self, stream: int) -> str:
        if stream in self._states:
            return self._states[stream]
        return "skipped" if stream & 1 and any(stream < other for other in self._states) else "idle"

    def take(self, step: Step, fate: Fate) -> None:
        if step.kind == Kind.RST_STREAM or fate.how == "stream":
            self._states[step.stream] = "closed"
        elif step.kind == Kind.HEADERS:
            self._states[step.stream] = "half-closed" if step.ends else "open"
        elif step.kind == Kind.DATA and step.ends:
            self._states[step.stream] = "half-closed"


def may_differ(step: Step, state: str, ours: Fate, theirs: Fate) -> str:
    """Return why it is right that a step has different fates; empty when it is not."""
    if (ours.how, theirs.how) == ("stream", "connection") and ours.code == theirs.code:
        return "RFC 9113 has an error of the stream, for which nghttp2 ends the connection"
    if theirs.how == "fine" and step.kind == Kind.PRIORITY:
        return "nghttp2 ignores PRIORITY"
    if theirs.how == "fine" and step.kind in (Kind.DATA, Kind.HEADERS) and state in ("closed", "skipped"):
        return "nghttp2 ignores what comes to closed streams (RFC 9113 §5.1)"
    if ours.how == "fine" and step.is_wrong == "acknowledges":
        return "nghttp2 refuses to be told that its SETTINGS are known once more than it has sent some"
    return ""


def compare(sequence: list[Step], ours: list[Fate], theirs: list[Fate]) -> None:
    streams = Streams()
    for number, (step, mine, other) in enumerate(zip(sequence, ours, theirs, strict=False)):
        if mine.how != other.how:
            why = may_differ(step, streams.of(step.stream), mine, other)
            assert why, (step, streams.of(step.stream), mine, other)
            event(why)
            return
        assert mine.code == other.code or step.is_wrong, (step, mine, other)
        if mine.how == "connection":
            assert number == len(ours) - 1
            event("ended")
            return
        streams.take(step, mine)
    if len(theirs) < len(ours):
        assert any(step.kind == Kind.GOAWAY for step in sequence[: len(theirs) + 1])
        event("nghttp2 takes the GOAWAY of a client without requests as the end, and we wait for the client")
    else:
        assert len(ours) == len(sequence)
        event("to the end")


# The data plane


class Setting:
    """A worker with a silent endpoint, and an honest client beside."""

    def __init__(self, port: int, origin: Origin, worker: WorkerProcess) -> None:
        self.port = port
        self.origin = origin  # of all but SILENT
        self.worker = worker
        self.bystander = Bystander(port)


async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while received := await reader.read(65536):
            if received.startswith(b"OPTIONS * "):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[str, int]]:
    """Serve a silent endpoint; at the end, wait until the worker, which is gone, has left all connections."""
    server = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    left = asyncio.ensure_future(server.wait_closed())
    await asyncio.sleep(0)  # before Python 3.12, only a call from before the close waits for connections
    server.close()
    async with asyncio.timeout(DEADLINE_S):
        await left


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def setting() -> AsyncIterator[Setting]:
    async with Origin() as origin, silence() as silent, WorkerProcess() as worker:
        port = free_port()
        services = (service({"c1": [origin.address]}), service({"c1": [silent]}, "demo/silent:80"))
        routes = route(port), route(port, SILENT, to="demo/silent:80")
        listener = Listener(port, source(), address="127.0.0.1")
        await worker.apply(Snapshot(1, (listener,), routes, services))
        made = Setting(port, origin, worker)
        yield made
        await made.bystander.one_more_answer()
        await made.bystander.leave()


@settings(max_examples=EXAMPLES, deadline=None)
@given(sequence=sequences)
async def test_sequences_of_frames(setting: Setting, sequence: list[Step]) -> None:
    ours = await by_gateway(setting.port, sequence)
    compare(sequence, ours, by_nghttp2(sequence))


@st.composite
def altered(draw: st.DrawFn) -> list[bytes]:
    """Return steps whose bytes have been changed here and there, in pieces."""
    raw = b"".join(step.raw for step in draw(sequences)).replace(SILENT.encode(), FINE)
    for _ in range(draw(st.integers(0, 3))):
        at, cut = draw(st.integers(0, len(raw))), draw(st.integers(0, 3))
        raw = raw[:at] + draw(st.binary(max_size=3)) + raw[at + cut :]
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=3)))
    return [raw[start:end] for start, end in pairwise([0, *cuts, len(raw)])]


@settings(max_examples=EXAMPLES, deadline=None)
@given(pieces=altered())
async def test_bytes_of_any_kind(setting: Setting, pieces: list[bytes]) -> None:
    """Requests may be answered meanwhile. Whatever comes back is frames, and an end."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", setting.port)
        try:
            writer.write(PREFACE + settings_frame())
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            writer.write_eof()
            received = await reader.read()
        except ConnectionError:  # the gateway has ended it before
            received = b""
        finally:
            writer.transport.abort()
    while received:
        frame, size = HyperFrame.parse_frame_header(memoryview(received[:9]), strict=True)
        assert len(received) >= 9 + size
        frame.parse_body(memoryview(received[9 : 9 + size]))
        received = received[9 + size :]
    assert not any(connection.broken for connection in setting.origin.connections)
    setting.origin.forget()


async def test_the_others_were_served_all_the_while(setting: Setting) -> None:
    await setting.bystander.one_more_answer()
    assert setting.worker.process is not None
    assert setting.worker.process.returncode is None
