"""A connection as its body stream and its acknowledgement watch see it: both are below it in the layers."""

import asyncio
from abc import abstractmethod

from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.connections.stream import UpstreamStream


class Carrier(UpstreamStream):
    """A connection that carries one response at a time to `exchange`."""

    __slots__ = ("transport",)

    transport: asyncio.Transport

    @abstractmethod
    def on_watch_over(self) -> None:
        """The watch found no request and has ended: the next request begins another watch."""

    @abstractmethod
    def read_heads(self) -> None:
        """Receive from the event loop again: the body stream has ended."""

    @abstractmethod
    def few_if_pressed(self) -> memoryview | None:
        """Return a small buffer to read into, if others wait for this turn of the loop to end."""

    @abstractmethod
    def take_over(self, left: int, data: bytes) -> None:
        """Go on without the stream, which has read `data`; before that, `left` bytes were still to come."""

    @abstractmethod
    def on_stream(self, size: int) -> None:
        """The stream has read `size` more bytes of the body."""

    @abstractmethod
    def on_stream_end(self, exchange: ResponseSink, surplus: bytes) -> None:
        """The stream has read the whole body, and `surplus` after it."""

    @abstractmethod
    def eof_received(self) -> bool | None: ...

    @abstractmethod
    def connection_lost(self, exc: Exception | None) -> None: ...

    @abstractmethod
    def pause_writing(self) -> None: ...

    @abstractmethod
    def resume_writing(self) -> None: ...
