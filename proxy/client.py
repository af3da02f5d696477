"""The client connection, as an exchange sees it: downstream.client implements it."""

from abc import ABC, abstractmethod


class Client(ABC):
    """Where a request came from, and its response goes."""

    __slots__ = (
        "address", "client_port", "forwarded", "gzip", "keep_alive", "listener_name", "listener_port", "log",
        "scheme", "speaks_for", "version",
    )  # fmt: skip

    version: int
    keep_alive: bool
    listener_name: str
    listener_port: int
    gzip: bool  # its listener compresses
    address: bytes  # of the client, as trusted proxies report it
    client_port: int  # 0 if only a proxy knows it
    scheme: bytes  # like address
    speaks_for: bool  # the connection is a trusted proxy's, which says who its clients are
    log: bytes  # its members of the log line
    forwarded: bytes  # X-Forwarded-For, -Proto and what else the listener adds

    @abstractmethod
    def response_deadline(self) -> float:
        """Return when the response to a request that is sent now must have begun."""

    @abstractmethod
    def write(self, data: bytes) -> None: ...

    @abstractmethod
    def write_piece(self, piece: memoryview) -> bool:
        """Write from memory that is used again; return whether it is free already."""

    @abstractmethod
    def room(self) -> int:
        """Return how many bytes the kernel would take at once, 0 if that is unknown."""

    @abstractmethod
    def has_sent_more(self) -> bool:
        """Whether something waits behind the request."""

    @abstractmethod
    def read_body(self, wanted: bool) -> None:
        """Go on, or stop for now, delivering the body."""

    @abstractmethod
    def abort(self) -> None:
        """Cut the connection so that the client cannot take what it has for a whole response."""

    @abstractmethod
    def on_tunnel(self) -> None:
        """Hand over what came behind the request, and from here on everything that comes."""

    @abstractmethod
    def on_tunnel_done(self) -> None:
        """The endpoint has ended the tunnel."""

    @abstractmethod
    def on_exchange_done(self, keep: bool) -> None: ...
