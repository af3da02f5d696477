"""The load of a drill by clients that speak HTTP/2 in the clear, with prior knowledge.

As gRPC clients and browsers do, it shares a few connections among all requests, and opens another one when no
connection permits one more stream: no request waits in the client for another. The client sends requests
again that the proxy has not processed (GOAWAY, REFUSED_STREAM), as RFC 9113 §8.7 has it; the time still
counts from when the request was due.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from struct import Struct
from time import monotonic
from typing import Final, cast

from hpack import Decoder, Encoder, HPACKError

from loadtest.drills.load import BODY, CUT, GIVE_UP_S, GIVEN_UP, Load, Request, judged
from loadtest.drills.origin import ARRIVAL
from loadtest.drills.site import LOOPBACK
from loadtest.kit.site import HOST, PREFIX

CONNECTIONS: Final = 4
"""Connections that the requests take in turn, as long as each has room."""
STREAMS: Final = 100
"""Requests at a time on a connection: no proxy permits fewer, as RFC 9113 §6.5.2 recommends."""

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32
_MAX_CONCURRENT_STREAMS: Final = 3
_REFUSED_STREAM, _CANCEL = 7, 8
_WINDOW: Final = 65535
_WIDE: Final = 1 << 30
"""Window for all answers of a connection: the load never widens it again."""
_HEAD: Final = Struct(">BHBBI")
_SETTING: Final = Struct(">HI")
_NUMBER: Final = Struct(">I")
_FIELDS: Final = (
    (":scheme", "http"), (":authority", HOST), ("user-agent", "drill/1"), ("accept", "*/*"),
)  # fmt: skip
_LENGTH: Final = ("content-length", str(len(BODY)))
_ARRIVAL: Final = ARRIVAL.lower()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _HEAD.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


@dataclass(slots=True, eq=False)
class Stream:
    """A request and what has come of its answer."""

    request: Request
    status: int = 0  # 0: no final head yet
    arrival: str | None = None
    body: bytearray = field(default_factory=bytearray)


class Http2Load(Load):
    """One run, see `Load`."""

    def __init__(
        self, port: int, rate: int, prefix: str, number: int = 1, slow_every_s: float | None = None
    ) -> None:
        super().__init__(port, rate, prefix, number, slow_every_s)
        self._shared: deque[Http2Connection] = deque()  # the next one first

    def send(self, request: Request) -> None:
        self._next(request).send(request)

    def _next(self, request: Request) -> "Http2Connection":
        if len(self._shared) >= CONNECTIONS:
            for _ in range(len(self._shared)):
                connection = self._shared[0]
                self._shared.rotate(-1)
                if connection.has_room(request):
                    return connection
        return self._open_another()

    def goes_away(self, connection: "Http2Connection") -> None:
        """Send nothing more over a connection."""
        if connection in self._shared:
            self._shared.remove(connection)

    def _open_another(self) -> "Http2Connection":
        connection = Http2Connection(self)
        self._shared.append(connection)
        self.has_opened(connection)
        self._begin(self._connect(connection))
        return connection

    async def _connect(self, connection: "Http2Connection") -> None:
        try:
            await self._loop.create_connection(lambda: connection, LOOPBACK, self._port)
        except OSError:
            connection.connection_lost(None)


class Http2Connection(asyncio.Protocol):
    """A connection with some requests on it, which wait here until it is made."""

    def __init__(self, load: Http2Load) -> None:
        self._load = load
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self._waiting = bytearray(PREFACE)
        self._waiting += frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, _NUMBER.pack(_WIDE))
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._most = STREAMS
        self._window = _WINDOW  # for the bodies of requests
        self._block: list[bytes] = []  # of an answer whose head comes in several frames
        self._block_flags = 0

    def has_room(self, request: Request) -> bool:
        needs = len(BODY) if request.is_post else 0
        return len(self._streams) < self._most and self._window >= needs

    def send(self, request: Request) -> None:
        stream, self._next = self._next, self._next + 2
        self._streams[stream] = Stream(request)
        path = (":path", f"{PREFIX}/{request.identity}")
        if not request.is_post:
            block = self._encoder.encode([(":method", "GET"), path, *_FIELDS])
            self._write(frame(HEADERS, END_HEADERS | END_STREAM, stream, block))
            return
        block = self._encoder.encode([(":method", "POST"), path, *_FIELDS, _LENGTH])
        self._write(frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, BODY))
        self._window -= len(BODY)

    def _write(self, raw: bytes) -> None:
        if self._transport is None:
            self._waiting += raw
        else:
            self._transport.write(raw)

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name
        self._transport.write(bytes(self._waiting))
        self._waiting.clear()

    def connection_lost(self, _: Exception | None) -> None:
        self._load.goes_away(self)
        for stream in self._streams.values():
            self._end(stream.request, CUT)
        self._streams.clear()
        self._load.has_closed(self)

    def give_up(self, now: float) -> None:
        for number, stream in list(self._streams.items()):
            if now - stream.request.due >= GIVE_UP_S:
                del self._streams[number]
                self._end(stream.request, GIVEN_UP)
                self._write(frame(RST_STREAM, 0, number, _NUMBER.pack(_CANCEL)))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Frames of the proxy

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        at = 0
        try:
            while len(received) - at >= _HEAD.size:
                high, low, kind, flags, stream = _HEAD.unpack_from(received, at)
                end = at + _HEAD.size + (high << 16 | low)
                if end > len(received):
                    break
                self._take(kind, flags, stream, received[at + _HEAD.size : end])
                at = end
        except (HPACKError, IndexError, ValueError):  # what no client understands is no answer
            self.close()
        self._received = received[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in (HEADERS, CONTINUATION):
            self._take_block(kind, flags, stream, payload)
        elif kind == DATA:
            self._take_data(flags, stream, payload)
        elif kind == RST_STREAM:
            self._take_reset(stream, _NUMBER.unpack(payload)[0])
        elif kind == SETTINGS and not flags & ACK:
            values = dict(_SETTING.iter_unpack(payload))
            self._most = min(STREAMS, values.get(_MAX_CONCURRENT_STREAMS, STREAMS))
            self._write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and not stream:
            self._window += _NUMBER.unpack(payload)[0]
        elif kind == GOAWAY:
            self._take_goodbye(_NUMBER.unpack_from(payload)[0])

    def _take_block(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == HEADERS:
            payload = _without_padding(flags, payload)[5 if flags & HAS_PRIORITY else 0 :]
            self._block, self._block_flags = [], flags
        self._block.append(payload)
        if not flags & END_HEADERS:
            return
        fields = dict(self._decoder.decode(b"".join(self._block), raw=True))
        stream = self._streams.get(number)
        if stream is None:
            return
        status = int(fields.get(b":status", b"0"))
        if status >= 200:
            arrival = fields.get(_ARRIVAL)
            stream.status, stream.arrival = status, arrival.decode() if arrival else None
        if self._block_flags & END_STREAM:
            self._finish(number, stream)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            stream.body += _without_padding(flags, payload)
            if flags & END_STREAM:
                self._finish(number, stream)

    def _take_reset(self, number: int, code: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is None:
            return
        if code == _REFUSED_STREAM:
            self._load.send(stream.request)
        else:
            self._end(stream.request, CUT)

    def _take_goodbye(self, last: int) -> None:
        """Send again what the proxy has not processed; the rest is answered before it closes."""
        self._load.goes_away(self)
        for number in [number for number in self._streams if number > last]:
            self._load.send(self._streams.pop(number).request)

    def _finish(self, number: int, stream: Stream) -> None:
        del self._streams[number]
        self._end(stream.request, judged(stream.request, stream.status, stream.arrival, bytes(stream.body)))

    def _end(self, request: Request, status: int) -> None:
        request.status = status
        request.ended = monotonic()


def _without_padding(flags: int, payload: bytes) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
