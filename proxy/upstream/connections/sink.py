"""The sink of a response: exchanges, mirrors and probes implement it."""

from abc import ABC, abstractmethod

from proxy.http.response import ResponseHead
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.kinds import Kind


class ResponseSink(ABC):
    """Takes a response from a stream. The defaults are those of a sink that no client waits behind."""

    __slots__ = ("is_head",)

    is_head: bool  # the request was HEAD: its response has no body

    # The response

    @abstractmethod
    def on_response(
        self, head: ResponseHead, data: bytes, at: int, size: int, *, is_decoded: bool = False
    ) -> None:
        """The whole response has arrived; its body is data[at:], `size` bytes without its framing.

        A body whose head says CHUNKED is still in chunks, unless it `is_decoded`.
        """

    @abstractmethod
    def on_response_start(self, head: ResponseHead, data: bytes, at: int) -> None:
        """The head, and the beginning of the body, data[at:]."""

    def on_response_data(self, payload: bytes) -> None:
        """More of the body."""

    def on_response_piece(self, piece: memoryview) -> bool:
        """More of the body, in memory that is used again; return whether it is free already."""
        return True

    def on_response_end(self, last: bytes, trailers: bytes) -> None:
        """The end of the body: its last bytes, if there are any left, and the field lines behind it."""

    def on_informational(self, head: ResponseHead) -> None:
        """An interim response."""

    @abstractmethod
    def on_switched(self, head: ResponseHead, rest: bytes) -> None:
        """101: the connection is a tunnel from here on."""

    def on_tunnel_data(self, data: bytes) -> None:
        """Something has come through the tunnel."""

    @abstractmethod
    def on_upstream_lost(self, failure: Failure) -> None:
        """The stream has ended before the response did."""

    # Reading of the response

    def takes_chunks(self) -> bool:
        """Whether `on_response` may get a body in chunks, as the endpoint has framed it."""
        return True

    def room(self) -> int:
        """Return how many bytes the kernel would take at once for the client, 0 if that is unknown."""
        return 0

    def slice_bytes(self) -> int:
        """Return how many bytes of a body the sink takes at once, 0 for any number."""
        return 0

    def is_pipelined(self) -> bool:
        """Whether the client has sent more requests already: responses to others come first."""
        return False

    def on_upstream_writable(self, writable: bool) -> None:
        """The endpoint reads the request body, or does not for now."""

    # While no response comes

    def awaits(self) -> Kind | None:
        """Return the kind of the request, None when its waiting says nothing."""
        return None

    def on_stalled(self) -> bool:
        """Leave an endpoint that answers nothing and try another; False to go on waiting for it.

        An `AbandonedResponse` has the stream then.
        """
        return False

    def on_silence(self, seconds: float) -> None:
        """The endpoint's machine has acknowledged nothing for `seconds`. Called again and again."""
