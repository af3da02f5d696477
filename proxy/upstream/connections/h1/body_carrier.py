"""A connection as the reader of a long body sees it, which is below it in the layers."""

from abc import abstractmethod

from proxy.upstream.connections.carrier import Carrier
from proxy.upstream.connections.sink import ResponseSink


class BodyCarrier(Carrier):
    """A connection whose long bodies another protocol object reads."""

    __slots__ = ()

    @abstractmethod
    def read_heads(self) -> None:
        """Receive from the event loop again: the long body has ended."""

    @abstractmethod
    def few_if_pressed(self) -> memoryview | None:
        """Return a small buffer to read into, if others wait for this turn of the loop to end."""

    @abstractmethod
    def take_over(self, left: int, data: bytes) -> None:
        """Go on without the reader, which has read `data`; before that, `left` bytes were still to come."""

    @abstractmethod
    def on_long_body(self, size: int) -> None:
        """The reader has read `size` more bytes of the body."""

    @abstractmethod
    def on_long_body_end(self, exchange: ResponseSink, surplus: bytes) -> None:
        """The reader has read the whole body, and `surplus` after it."""

    @abstractmethod
    def eof_received(self) -> bool | None: ...

    @abstractmethod
    def connection_lost(self, exc: Exception | None) -> None: ...

    @abstractmethod
    def pause_writing(self) -> None: ...

    @abstractmethod
    def resume_writing(self) -> None: ...
