"""The TLS of one client connection, as its requests see it."""

from proxy.model.tls import HostTls


class TlsSession:
    """The host that the handshake was for."""

    __slots__ = ("host", "server_name")

    def __init__(self, host: HostTls, server_name: str | None) -> None:
        self.host = host
        self.server_name = server_name  # None: the client has named none
