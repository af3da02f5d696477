"""Reads from connections that read little more once a turn of the event loop is over.

The event loop reads up to 256 KB at a time from each connection, and copies them before a protocol can say
that they are too many: 500 connections take 40 ms. A protocol that offers a buffer chooses its size.
"""

import asyncio
from typing import Final, Protocol, cast

from proxy.backlog import Backlog

CALM_BYTES: Final = 16384
"""A larger read makes a connection careful: the peer may send as much again, and hundreds of others too."""
CALM_READS: Final = 16
"""Smaller reads in a row after which the connection is careful no more."""


class Receiver(Protocol):
    """A connection that is read from; an asyncio.Protocol by its methods."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def on_read(self, size: int) -> None:
        """A CarefulReader has delivered `size` bytes."""

    def eof_received(self) -> bool | None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class CarefulReader:
    """An asyncio.BufferedProtocol by its methods: reads little where a turn of the loop is over.

    The reader stands in for a connection that is new, or has sent more than a quantum or CALM_BYTES at once.
    Reading through a buffer costs 1 µs more, so all other connections do without.
    """

    __slots__ = ("_backlog", "_connection")

    def __init__(self, connection: Receiver, backlog: Backlog) -> None:
        self._connection = connection
        self._backlog = backlog

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        backlog = self._backlog
        return backlog.few if backlog.left < 0 and backlog.is_over() else backlog.many

    def buffer_updated(self, size: int) -> None:
        self._connection.data_received(bytes(self._backlog.many[:size]))
        self._connection.on_read(size)

    def data_received(self, data: bytes) -> None:
        """Called by event loops that know buffered protocols by their base class: asyncio's own."""
        self._connection.data_received(data)
        self._connection.on_read(len(data))

    def eof_received(self) -> bool | None:
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()


class Care:
    """The state of one connection: read with care or not. A new connection is: its peer may send anything."""

    __slots__ = ("_backlog", "_calm", "is_on")

    def __init__(self, backlog: Backlog, calm: int) -> None:
        """`calm`: how many small reads in a row end the care of a new connection."""
        self._backlog = backlog
        self._calm = calm
        self.is_on = True

    def begin(self, connection: Receiver) -> None:
        if not self.is_on:
            self.is_on = True
            self.read(connection)

    def notice(self, connection: Receiver, size: int) -> None:
        """Take `size` bytes, read at once, for a sign that much may come."""
        if size > CALM_BYTES:
            self._calm = CALM_READS
            self.begin(connection)

    def settle(self, connection: Receiver, size: int, *, is_clear: bool) -> None:
        """End the care after enough small reads; `size`: bytes of the last; `is_clear`: no byte is left."""
        if size > CALM_BYTES:
            self._calm = CALM_READS
        elif is_clear:
            self._calm -= 1
            if self._calm <= 0 and self.is_on:
                self._calm = 1
                self.is_on = False
                self.read(connection)

    def read(self, connection: Receiver) -> None:
        """Have the event loop deliver to the connection, with a CarefulReader between them or without."""
        reader = CarefulReader(connection, self._backlog) if self.is_on else connection
        connection.transport.set_protocol(cast(asyncio.BaseProtocol, reader))
