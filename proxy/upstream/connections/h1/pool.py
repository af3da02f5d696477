"""The HTTP/1 connections to one endpoint: those that are idle serve the next requests."""

from typing import Final

from proxy.upstream.connections.carrier import Carrier
from proxy.upstream.connections.limits import ConnectionLimits
from proxy.upstream.connections.pool import ConnectionPool

MAX_IDLE: Final = 512  # connections kept per endpoint and worker


class Http1Pool(ConnectionPool):
    """Counts its connections against the limits that the endpoints of a cluster share."""

    __slots__ = ("_connections", "_idle", "_limits")

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._idle: list[Carrier] = []
        self._connections: set[Carrier] = set()  # all open ones
        self.is_open = True

    def checkout(self) -> Carrier | None:
        """Return the idle connection that was used last, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def streams(self) -> set[Carrier]:
        return self._connections

    def idle(self) -> int:
        return len(self._idle)

    def close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # The connections' side

    def opened(self, connection: Carrier) -> None:
        self._limits.opened()
        self._connections.add(connection)

    def closed(self, connection: Carrier) -> None:
        self._limits.closed()
        self._connections.discard(connection)

    def release(self, connection: Carrier) -> None:
        """Give a free connection to a pending request, or keep it, or close it."""
        if not self.is_open:
            connection.close()
        elif self._limits.waiting and self._limits.serve(connection):
            return
        elif len(self._idle) >= MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def forget_idle(self, connection: Carrier) -> None:
        """Give the connection to no request, if it is idle."""
        try:
            self._idle.remove(connection)
        except ValueError:
            pass  # the connection was not idle, or `close_idle` is closing it
