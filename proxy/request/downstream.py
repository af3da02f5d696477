"""The client's side of a request, which takes the response: HTTP/1 connections implement it, HTTP/2 can."""

from abc import ABC, abstractmethod

from proxy.http.response import ResponseHead
from proxy.request.tunnel import Tunnel


class ClientInfo:
    """The client of a connection, as the connection or a trusted proxy reports it, and its listener.

    Immutable: the streams of a connection share it.
    """

    __slots__ = (
        "address", "compresses", "forwarded", "is_proxy", "listener", "listener_port", "log", "port",
        "response_timeout_s", "scheme",
    )  # fmt: skip

    def __init__(
        self, address: bytes, port: int, scheme: bytes, forwarded: bytes, log: bytes, *, is_proxy: bool,
        listener: str, listener_port: int, response_timeout_s: float, compresses: bool,
    ) -> None:  # fmt: skip
        self.address = address
        self.port = port  # of the client, 0 where only a proxy knows it
        self.scheme = scheme
        self.forwarded = forwarded  # field lines: X-Forwarded-For, -Proto and others that the listener adds
        self.log = log  # members of the log line
        self.is_proxy = is_proxy  # the connection is a trusted proxy's, which names its clients
        self.listener = listener
        self.listener_port = listener_port
        self.response_timeout_s = response_timeout_s  # inf: none
        self.compresses = compresses  # the listener compresses responses


class Downstream(ABC):
    """The client's side of one request.

    A response is either one `respond`, or `begin`, any number of `data` and `piece`, and `end`. Then `done`
    follows, once the request has been accounted. The implementation frames bodies, and adds the fields
    that belong to its connection.
    """

    __slots__ = ("client", "takes_chunks")

    client: ClientInfo
    takes_chunks: bool  # `respond` may get a body in the chunks that the endpoint has sent

    @abstractmethod
    def respond(self, head: ResponseHead, data: bytes, at: int, *, is_decoded: bool = False) -> None:
        """Write a whole response, its body in data[at:].

        A body whose head says CHUNKED is still in chunks, unless it `is_decoded`.
        """

    @abstractmethod
    def begin(self, head: ResponseHead, data: bytes, at: int) -> None:
        """Write a head and data[at:], the beginning of a body, without any framing; it may be empty."""

    @abstractmethod
    def data(self, payload: bytes) -> None:
        """Write more bytes of the body, or of a tunnel."""

    @abstractmethod
    def piece(self, piece: memoryview) -> bool:
        """Write more of the body, from memory that is used again; return whether it is free already."""

    @abstractmethod
    def end(self, last: bytes, trailers: bytes) -> None:
        """Write the last bytes of the body, if there are any left, and end it with field lines, if any."""

    @abstractmethod
    def inform(self, head: ResponseHead) -> bool:
        """Write an interim response (RFC 9110 §15.2); return whether the client understands such."""

    @abstractmethod
    def switch(self, head: ResponseHead, rest: bytes, tunnel: Tunnel) -> None:
        """Begin a tunnel with `rest`. All of the client's bytes behind the request belong to the tunnel."""

    @abstractmethod
    def done(self) -> None:
        """The request is over: go on with the next one, or close."""

    @abstractmethod
    def tunnel_done(self) -> None:
        """The endpoint has ended the tunnel."""

    @abstractmethod
    def abort(self) -> None:
        """Cut the response so that the client cannot take it for a whole one."""

    @abstractmethod
    def accept_body(self) -> None:
        """An endpoint takes the request: read its body. A client that waits for 100 (Continue) gets it."""

    @abstractmethod
    def read_body(self, wanted: bool) -> None:
        """Go on, or stop for now, delivering the body."""

    @abstractmethod
    def room(self) -> int:
        """Return how many bytes of a response can be written at once, 0 if that is unknown."""

    @abstractmethod
    def has_sent_more(self) -> bool:
        """Whether the client has sent more requests already, which wait behind this one."""
