"""The connections to one endpoint, in the protocol that the endpoint speaks."""

from abc import ABC, abstractmethod
from collections.abc import Collection

from proxy.upstream.connections.stream import UpstreamStream


class ConnectionPool(ABC):
    """Gives streams to requests, and keeps the connections between them."""

    __slots__ = ("is_open",)

    is_open: bool  # the endpoint gets new requests: free connections are kept

    @abstractmethod
    def checkout(self) -> UpstreamStream | None:
        """Return a stream for a request over an open connection, None when no connection is free."""

    @abstractmethod
    def streams(self) -> Collection[UpstreamStream]:
        """Return the streams of all open connections, those without a request included."""

    @abstractmethod
    def idle(self) -> int:
        """Return how many connections have no request."""

    @abstractmethod
    def close_idle(self) -> None:
        """Close the connections that have no request."""
