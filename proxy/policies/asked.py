"""The parts of a request, and of its client, that policies look at."""

from typing import Final

from proxy.http.path import merge_slashes
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.model.paths import normal

DEFAULT_PORTS: Final = {b"http": b"80", b"https": b"443"}


class Asked:
    """One request, for routes and listeners that have policies."""

    __slots__ = ("client", "client_port", "groups", "headers", "line", "listener_port", "scheme")

    def __init__(
        self, line: RequestLine, headers: RequestHeaders, scheme: bytes, client: bytes, client_port: int,
        listener_port: int,
    ) -> None:  # fmt: skip
        self.line = line
        self.headers = headers
        self.scheme = scheme  # http or https, as trusted proxies report it
        self.client = client  # address; like scheme
        self.client_port = client_port  # of the connection, 0 where the peer is a trusted proxy
        self.listener_port = listener_port
        # The part that the route's expression matched, and its groups; () where no policy asks for them
        self.groups: tuple[bytes, ...] = ()

    @property
    def method(self) -> bytes:
        return self.line.resource.method

    @property
    def host(self) -> bytes:
        """The host in lower case, without port; b"" if the request names none (HTTP/1.0)."""
        return self.headers.control.host

    @property
    def port(self) -> bytes:
        """The port as the client wrote it, or the default of the scheme."""
        authority = self.headers.control.authority or b""
        _, colon, port = authority.rpartition(b":")
        return port if colon and port.isdigit() else DEFAULT_PORTS[self.scheme]

    @property
    def path(self) -> bytes:
        """The path as routes match it."""
        return self.line.resource.path

    @property
    def plain_path(self) -> bytes:
        """The path for rewrites: slashes are merged, and encoded octets stay encoded.

        `%2B` is matched like `+`, but object stores that read `+` as a space must not get it instead.
        """
        return normal(merge_slashes(self.line.resource.sent_path))

    @property
    def sent_path(self) -> bytes:
        """The path as an endpoint gets it without a rewrite."""
        return self.line.resource.sent_path

    @property
    def query(self) -> bytes:
        """The query without its question mark."""
        query = self.line.query
        return query[1:] if query else b""

    @property
    def is_for_server(self) -> bool:
        """Whether the request is OPTIONS *, which asks for no resource."""
        return self.line.forward.startswith(b"OPTIONS * ")

    def header(self, name: bytes) -> bytes:
        """Return the value of a field (name in lower case), b"" without one; several as one list."""
        values = self.headers.values(name)
        return values[0] if len(values) == 1 else b", ".join(values)
