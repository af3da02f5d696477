"""The rest of a long body: read into buffers that are used again, and written from them, uncopied.

Reading 256 KB as bytes, as protocols do, copies them once more and touches fresh memory each time:
measured, a fifth of the time that a 1 MB answer takes.
"""

import asyncio
from typing import Final, cast

from proxy.upstream.connections.h1.body_carrier import BodyCarrier
from proxy.upstream.connections.sink import ResponseSink

LEAST_BYTES: Final = 131072
"""Below this the switch to buffers costs more than the copy."""

_LEAST_READ_BYTES: Final = 65536
_BUFFER_BYTES: Final = 524288
_MAX_SPARE: Final = 16


class Buffers:
    """Buffers that no stream uses at the moment. One per worker."""

    __slots__ = ("_spare",)

    def __init__(self) -> None:
        self._spare: list[memoryview] = []

    def take(self) -> memoryview:
        return self._spare.pop() if self._spare else memoryview(bytearray(_BUFFER_BYTES))

    def give(self, buffer: memoryview) -> None:
        if len(self._spare) < _MAX_SPARE:
            self._spare.append(buffer)


class LongBodyReader:
    """An asyncio.BufferedProtocol by its methods; stands in for its connection while a body lasts."""

    __slots__ = ("_buffer", "_buffers", "_connection", "_exchange", "_few", "_left")

    def __init__(self, connection: BodyCarrier, exchange: ResponseSink, left: int, buffers: Buffers) -> None:
        """`left` bytes of the body are still to come."""
        self._connection = connection
        self._exchange = exchange
        self._left = left
        self._buffers = buffers
        self._buffer: memoryview | None = None  # being read into
        self._few: memoryview | None = None  # a small buffer instead, when a turn of the loop is over

    def start(self) -> None:
        self._connection.transport.set_protocol(cast(asyncio.BaseProtocol, self))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Offer as much room as the client's socket has: bytes that are read for a slow client wait here.

        Few large reads and writes make long bodies cheap: each wakes the other side up.
        """
        self._few = self._connection.few_if_pressed()
        if self._few is not None:
            return self._few
        self._buffer = self._buffers.take()
        return self._buffer[: max(_LEAST_READ_BYTES, self._exchange.room())]

    def buffer_updated(self, size: int) -> None:
        connection, few = self._connection, self._few
        if few is not None:
            connection.take_over(self._left, bytes(few[:size]))
            return
        buffer, self._buffer = self._buffer, None
        assert buffer is not None
        if connection.exchange is not self._exchange:  # the exchange has ended, and the connection with it
            self._buffers.give(buffer)
            return
        surplus = b""
        if size > self._left:
            surplus = bytes(buffer[self._left : size])
            size = self._left
        self._left -= size
        connection.on_long_body(size)
        if self._exchange.on_response_piece(buffer[:size]):
            self._buffers.give(buffer)
        if not self._left and connection.exchange is self._exchange:
            connection.read_heads()
            connection.on_long_body_end(self._exchange, surplus)

    def data_received(self, data: bytes) -> None:
        """Step aside on event loops that know buffered protocols by their base class: asyncio's own."""
        self._connection.take_over(self._left, data)

    def eof_received(self) -> bool | None:
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
