"""What an upstream connection tells the owner of the request that it serves: the exchange implements it."""

from abc import ABC, abstractmethod

from proxy.http.response import ResponseHead
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.kinds import Kind


class ResponseSink(ABC):
    """What a connection tells the exchange it works for."""

    __slots__ = ("is_head",)

    is_head: bool

    @abstractmethod
    def awaits(self) -> Kind | None:
        """Return the kind of the request, None when its waiting says nothing."""

    @abstractmethod
    def on_stalled(self) -> bool:
        """Leave an endpoint that answers nothing and try another; False to go on waiting for it.

        An `AbandonedResponse` has the connection then.
        """

    @abstractmethod
    def takes_chunks(self) -> bool:
        """Whether the client understands a chunked body."""

    @abstractmethod
    def on_response(self, head: ResponseHead, data: bytes, at: int, size: int) -> None:
        """The whole response has arrived; its body is data[at:], `size` bytes without its framing."""

    @abstractmethod
    def on_response_chunked(self, head: ResponseHead, body: bytes) -> None:
        """The whole response has arrived, its body in chunks; `body` is what was in them."""

    @abstractmethod
    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        """The head, and the beginning of the body, data[at:]."""

    @abstractmethod
    def on_response_data(self, payload: bytes) -> None: ...

    @abstractmethod
    def on_response_piece(self, piece: memoryview) -> bool:
        """Like on_response_data, but from memory that is used again; return whether it is free already."""

    @abstractmethod
    def room(self) -> int:
        """Return how many bytes the kernel would take at once for the client, 0 if that is unknown."""

    def slice_bytes(self) -> int:
        """Return how much of a body it takes at once, 0 for any number of bytes."""
        return 0

    def is_pipelined(self) -> bool:
        """Whether the client has sent more requests already: responses to others come first."""
        return False

    @abstractmethod
    def on_response_end(self, last: bytes) -> None:
        """The end of the body, and its last bytes, if there are any left."""

    @abstractmethod
    def on_informational(self, head: ResponseHead) -> None: ...

    @abstractmethod
    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        """101: the connection is a tunnel from here on."""

    @abstractmethod
    def on_tunnel_data(self, data: bytes) -> None: ...

    @abstractmethod
    def on_upstream_lost(self, failure: Failure) -> None: ...

    @abstractmethod
    def on_silence(self, seconds: float) -> None:
        """For so long the endpoint's machine has acknowledged nothing. Called again and again."""

    @abstractmethod
    def on_upstream_writable(self, writable: bool) -> None: ...
