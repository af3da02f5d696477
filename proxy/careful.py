"""Reads from connections that read little more once a turn of the event loop is over.

The event loop reads up to 256 KB at a time from each connection, and copies them before a protocol can say
that they are too many: 500 connections take 40 ms. A protocol that offers a buffer chooses its size.
"""

import asyncio
from typing import Final, Protocol

from proxy.backlog import Backlog

CALM_BYTES: Final = 16384
"""A larger read makes a connection careful: the peer may send as much again, and hundreds of others too."""
CALM_READS: Final = 16
"""Smaller reads in a row after which the connection is careful no more."""


class Receiver(Protocol):
    """A connection that is read from; an asyncio.Protocol by its methods."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def settle(self, size: int) -> None:
        """Read without a buffer again, if `size`, the bytes of the last read, shows a calm peer."""

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
        self._connection.settle(size)

    def data_received(self, data: bytes) -> None:
        """Called by event loops that know buffered protocols by their base class: asyncio's own."""
        self._connection.data_received(data)
        self._connection.settle(len(data))

    def eof_received(self) -> bool | None:
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
