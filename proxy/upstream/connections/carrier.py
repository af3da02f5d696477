"""A connection as its acknowledgement watch and its pool see it: both are below it in the layers."""

import asyncio
from abc import abstractmethod

from proxy.upstream.connections.stream import UpstreamStream


class Carrier(UpstreamStream):
    """A connection that carries one response at a time to `exchange`."""

    __slots__ = ("transport",)

    transport: asyncio.Transport

    @abstractmethod
    def on_watch_over(self) -> None:
        """The watch found no request and has ended: the next request begins another watch."""
