"""TLS of listeners and of services: certificates of hosts, and what endpoints are trusted by.

Private keys are not in here: snapshots are written to disk. They travel in messages of their own.
"""

from typing import Final

import msgspec

NO_AUTHORITY: Final = "none"
"""In place of the id of a bundle: certificates of clients are demanded, and nobody's is accepted."""


class HostTls(msgspec.Struct, frozen=True, gc=False):
    """TLS of one host of a listener."""

    host: str  # exact, or "*.example.com" for exactly one label; "": all others, and clients that name none
    certificate: str  # id of a Certificate
    owner: str = ""  # namespace that the host belongs to; "": the gateway's object names the certificate
    min_version: str = "TLSv1.2"  # or TLSv1.3
    client_ca: str = ""  # id of the bundle that certificates of clients are checked with; "": none needed
    max_version: str = ""  # "": TLSv1.3
    ciphers: tuple[str, ...] = ()  # of TLS 1.2, by OpenSSL's names; (): all that are safe


class ListenerTls(msgspec.Struct, frozen=True, gc=False):
    """TLS of a listener: each host once."""

    min_version: str = "TLSv1.2"
    http2: bool = False  # offered to clients by ALPN, beside HTTP/1.1
    hosts: tuple[HostTls, ...] = ()


class BackendTls(msgspec.Struct, frozen=True, gc=False):
    """TLS towards the endpoints of a service.

    With `verify`, the certificate of an endpoint has to be for `server_name` and by an authority of `trust`.
    """

    verify: bool = False
    server_name: str = ""  # which endpoints are told (SNI); "": none, then nothing can be verified
    trust: str = ""  # id of the certificates of authorities; "": those of the gateway's system
    client: str = ""  # id of the Certificate that endpoints are shown; "": none


class Certificate(msgspec.Struct, frozen=True, gc=False):
    """A certificate with its chain, and its private key; or a bundle of authorities. PEM."""

    id: str  # names the content: another content has another id
    chain: bytes  # of a bundle: its certificates
    key: bytes  # of a bundle: b""

    def __repr__(self) -> str:
        return f"Certificate({self.id!r})"
