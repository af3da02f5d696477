"""The choice of a host's TLS by the name that a client sends."""

from typing import Final

from proxy.model.tls import NO_AUTHORITY, HostTls, ListenerTls

_ORDER: Final = ("TLSv1.2", "TLSv1.3")


class TlsHosts:
    """The hosts of one listener that have TLS."""

    __slots__ = ("_by_name", "_default", "http2")

    def __init__(self, config: ListenerTls) -> None:
        self._by_name = {host.host: host for host in config.hosts}
        self._default = self._by_name.pop("", None)
        self.http2 = config.http2  # whether the listener offers HTTP/2

    def find(self, name: str | None) -> HostTls | None:
        """Return the host's own TLS, that of a wildcard of one label, or the listener's default, if any."""
        if name is None:
            return self._default
        found = self._by_name.get(name)
        if found is None:
            _, dot, rest = name.partition(".")
            found = self._by_name.get(f"*.{rest}") if dot else None
        return found if found is not None else self._default

    def serves(self, shaken: HostTls, server_name: str | None, host: str) -> bool:
        """Whether requests for `host` may come over a connection whose handshake was for `server_name`.

        `shaken` is the TLS that the handshake has used. A request for another host would else get around the
        minimum version, the ciphers, the demand for a certificate or the owner of that host (RFC 9110 §7.4:
        421).
        """
        wanted = self.find(host)
        if wanted is shaken:
            return True
        if wanted is None:
            return False
        if server_name is None:
            return _covers(shaken, wanted)
        return wanted.owner == shaken.owner and _covers(shaken, wanted)


def _covers(shaken: HostTls, wanted: HostTls) -> bool:
    return (
        _ORDER.index(shaken.min_version) >= _ORDER.index(wanted.min_version)
        and (not wanted.ciphers or shaken.ciphers == wanted.ciphers)
        and _admits(shaken, wanted)
    )


def _admits(shaken: HostTls, wanted: HostTls) -> bool:
    """Whether the demand for certificates that the handshake has met is that of the wanted host.

    Of one host, it was met when the connection began: a renewed bundle does not end open connections.
    """
    if shaken.host != wanted.host or wanted.client_ca == NO_AUTHORITY:
        return shaken.client_ca == wanted.client_ca
    return not wanted.client_ca or bool(shaken.client_ca)
