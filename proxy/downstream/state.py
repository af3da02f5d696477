"""The listener of client connections, as they see it."""

from math import inf
from typing import Protocol

from proxy.dataplane import DataPlane
from proxy.downstream.guards.admission import CAUSES, WAITED, Admission
from proxy.downstream.guards.descriptors import DescriptorGuard
from proxy.downstream.guards.listeners import GuardedClient
from proxy.downstream.guards.overload import OverloadGuard
from proxy.model import snapshot
from proxy.policies.access import AccessList
from proxy.tls.hosts import TlsHosts


class Client(GuardedClient, Protocol):
    """An open client connection, as its listener sees it."""

    def introduce(self) -> None:
        """Take over the listener's new configuration."""

    def close_after_response(self) -> None:
        """Let the connection end with the request that is under way."""

    def close_if_idle(self) -> None:
        """Close the connection unless a request is under way."""


class ListenerState:
    """The configuration of one listener, and its open connections, whether it still accepts or not."""

    __slots__ = (
        "_admission", "_guard", "_introduced", "_plane", "accepted", "access", "connections", "forwarded",
        "gzip", "handshakes", "http2_connections", "http2_errors",
        "http2_streams", "idle_timeout_s", "is_closed", "name", "overload", "port",
        "response_timeout_s", "tls",
    )  # fmt: skip

    def __init__(
        self, plane: DataPlane, admission: Admission, guard: DescriptorGuard, overload: OverloadGuard,
        config: snapshot.Listener,
    ) -> None:  # fmt: skip
        self._plane = plane
        self._admission = admission
        self._guard = guard
        self.overload = overload
        # By connection: the address group that it was admitted with, None where it was refused
        self.connections: dict[Client, bytes | None] = {}
        self._introduced: tuple[object, ...] = ()  # the values that connections have a copy of
        self.accepted = 0
        self.handshakes: dict[str, int] = {}  # by version of TLS, or cause of failure
        self.http2_connections = 0  # of the accepted
        self.http2_streams = 0
        self.http2_errors: dict[tuple[str, int], int] = {}  # by what ended, and the code that its client got
        self.is_closed = False
        self.tls: TlsHosts | None = None  # None: clients speak in the clear
        self.configure(config)

    def configure(self, config: snapshot.Listener) -> None:
        """Take over values that may change while connections are open; every request reads them."""
        self.tls = TlsHosts(config.tls) if config.tls is not None else None
        self.name = config.name
        self.port = config.port
        self.idle_timeout_s = config.idle_timeout_s
        self.response_timeout_s = config.response_timeout_s or inf
        self.access = AccessList(config.access) if config.access is not None else None
        self.forwarded = config.forwarded
        self.gzip = config.gzip
        introduced = (config.forwarded, config.gzip, config.response_timeout_s, self._plane.config.mark)
        if introduced != self._introduced:
            self._introduced = introduced
            for connection in self.connections:
                connection.introduce()

    def enter(self, connection: Client, address: bytes, *, is_proxy: bool) -> str:
        """Count a new connection; return why it may not stay, "" when it may.

        Connections of trusted proxies count towards no address.
        """
        admission = self._admission
        self.accepted += 1
        admission.enter()
        group = b"" if is_proxy else admission.group(address)
        cause = admission.refusal(group)
        if cause:
            self.connections[connection] = None
            admission.count(self.name, cause)
        else:
            self.connections[connection] = group
            admission.admit(group)
        self._guard.check()
        return CAUSES[cause] if cause else ""

    def leave(self, connection: Client) -> None:
        group = self.connections.pop(connection)
        self._admission.leave(group or b"", was_admitted=group is not None)

    def replace(self, connection: Client, successor: Client) -> None:
        """Let a connection of HTTP/2 stand for the one that its socket began with."""
        self.connections[successor] = self.connections.pop(connection)
        self.http2_connections += 1

    def count_shed(self, cause: str) -> None:
        self._admission.count(self.name, cause)

    def count_handshake(self, outcome: str) -> None:
        """Count a handshake by the version of TLS that it agreed on, or by the cause of its failure."""
        self.handshakes[outcome] = self.handshakes.get(outcome, 0) + 1

    def count_http2_error(self, code: int, *, is_stream: bool) -> None:
        """Count a stream, or a connection, that was ended for a fault of its client."""
        key = ("stream" if is_stream else "connection", code)
        self.http2_errors[key] = self.http2_errors.get(key, 0) + 1

    def count_stale(self) -> None:
        """Count a request that had waited too long."""
        self._plane.counters.local.record(self.name, "", "", 503, "OM", 0.0, 0, 0)
        self._admission.refuse(self.name, WAITED)

    @property
    def is_crowded(self) -> bool:
        """Whether too many refused clients linger for the next one to get an answer."""
        return self._admission.is_crowded
