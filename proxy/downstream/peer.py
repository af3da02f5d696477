"""The peer of a connection: a client, or a trusted proxy that names its clients."""

from proxy.dataplane import DataPlane
from proxy.downstream.state import ListenerState
from proxy.http.forwarded import FIRST_ATTEMPT, NOBODY, read_hops, read_scheme
from proxy.http.request_headers import RequestHeaders
from proxy.request.downstream import ClientInfo
from proxy.tls.identity import without_identity


class Peer:
    """The address at the other end of a connection."""

    __slots__ = ("_listener", "_plane", "_port", "_scheme", "address", "identity", "is_proxy")

    def __init__(self, plane: DataPlane, listener: ListenerState, address: str, port: int) -> None:
        """`address` and `port` are those of the socket's peer, "" and 0 where the socket has none."""
        self._plane = plane
        self._listener = listener
        self.address = _normal(address) if address else NOBODY
        self._port = port
        self._scheme = b"http" if listener.tls is None else b"https"
        self.identity = b""  # the line that names its certificate, once the handshake has shown one
        self.is_proxy = plane.config.trusted.trusts(self.address)

    def as_client(self) -> ClientInfo:
        """Return the peer as the client."""
        return self._info(self.address, self._port, self.address, self._scheme, self.identity)

    def client_of(self, headers: RequestHeaders) -> ClientInfo:
        """Return the client of a request that the peer, a trusted proxy, has sent."""
        hops = read_hops(self.address, headers.values(b"x-forwarded-for"), self._plane.config.trusted)
        scheme = read_scheme(headers.values(b"x-forwarded-proto"), hops.count, self._scheme)
        port = self._port if hops.client == self.address else 0
        vouched = headers.vouched()
        if self.identity:  # a proxy that shows a certificate speaks in its own name
            vouched = without_identity(vouched) + self.identity
        return self._info(hops.client, port, hops.chain, scheme, vouched)

    def _info(self, address: bytes, port: int, chain: bytes, scheme: bytes, vouched: bytes) -> ClientInfo:
        """`chain` is the value of X-Forwarded-For; `vouched` are lines by the proxy, or by a handshake."""
        listener = self._listener
        forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (chain, scheme)
        if listener.forwarded.port:
            forwarded += b"X-Forwarded-Port: %d\r\n" % listener.port
        if listener.forwarded.client_port and port:
            forwarded += b"X-Forwarded-Client-Port: %d\r\n" % port
        return ClientInfo(
            address, port, scheme, forwarded + FIRST_ATTEMPT + self._plane.config.mark + vouched,
            b'"client":"%b","listener":"%b","scheme":"%b"' % (address, listener.name.encode(), scheme),
            is_proxy=self.is_proxy, listener=listener.name, listener_port=listener.port,
            response_timeout_s=listener.response_timeout_s, compresses=listener.gzip,
        )  # fmt: skip


def _normal(address: str) -> bytes:
    """Return the address of a socket as every machine reads it.

    An IPv4 address wrapped in IPv6 is unwrapped. A zone names an interface of this machine, and is left out.
    """
    if ":" in address:
        address = address.partition("%")[0]
        if "." in address:
            address = address.removeprefix("::ffff:")
    return address.encode()
