"""The certificates of a worker, and the OpenSSL contexts that handshakes use.

A context is made at the first handshake of its host, and again when the certificate is another one; open
connections keep theirs. Private keys are in no file: OpenSSL reads them from memory that only this process
can name.
"""

import logging
import os
import ssl
from collections.abc import Iterable
from typing import Final

from proxy.model.tls import NO_AUTHORITY, Certificate, HostTls
from proxy.tls.tickets import keys_for, set_keys

log = logging.getLogger(__name__)

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption (RFC 9325 §4.2). TLS 1.3 has no others.

HTTP/2 may use each of them: the suites that RFC 9113 §9.2.2 prohibits, in its Appendix A, lack one or the
other. So a context that offers HTTP/2 needs no list of its own.
"""

HTTP1: Final = "http/1.1"
HTTP2: Final = "h2"
"""Names of protocols in ALPN (RFC 7301, RFC 9113 §3.2)."""

_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


class TlsError(Exception):
    """The certificate of a host is missing, or OpenSSL cannot use it."""


class NamedTls(ssl.SSLObject):
    """The TLS of one connection; `server_name` is the name that the connection's context was chosen by."""

    server_name: str | None = None


class Contexts:
    """The certificates, and the contexts made of them."""

    def __init__(self) -> None:
        self._certificates: dict[str, Certificate] = {}
        # By host and whether HTTP/2 is offered: of two listeners with the same host, one may not offer it
        self._contexts: dict[tuple[HostTls, bool], ssl.SSLContext] = {}
        self._unusable: dict[HostTls, TlsError] = {}  # each is logged once
        self._ticket_secret = b""  # b"": tickets can be used with this worker only

    def use_ticket_secret(self, secret: bytes) -> None:
        """Encrypt session tickets so that all workers with the same secret can take them."""
        self._ticket_secret = secret
        for (host, http2), context in self._contexts.items():
            set_keys(context, keys_for(secret, host, http2=http2))

    def use(self, added: Iterable[Certificate], removed: Iterable[str]) -> None:
        """Take over certificates; forget those that no listener names any more."""
        for certificate in added:
            self._certificates[certificate.id] = certificate
        gone = set(removed)
        for name in gone:
            self._certificates.pop(name, None)
        self._unusable.clear()
        for host, http2 in tuple(self._contexts):
            if host.certificate in gone or host.client_ca in gone:
                del self._contexts[host, http2]

    def wrap(
        self,
        host: HostTls,
        server_name: str | None,
        read: ssl.MemoryBIO,
        written: ssl.MemoryBIO,
        *,
        http2: bool,
    ) -> NamedTls:
        """Return the TLS of a new connection, which reads and writes these buffers. Raises TlsError.

        `http2` is whether the listener offers HTTP/2 to its clients.
        """
        key = host, http2
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = self._usable(host, http2=http2)
        tls = context.wrap_bio(read, written, server_side=True)
        assert isinstance(tls, NamedTls)
        tls.server_name = server_name
        return tls

    def _usable(self, host: HostTls, *, http2: bool) -> ssl.SSLContext:
        """Make the context of a host. Raises TlsError, at once where it did so before."""
        known = self._unusable.get(host)
        if known is not None:
            raise known
        try:
            return self._context(host, http2=http2)
        except TlsError as error:
            log.error("tls handshakes fail: %s", error)
            self._unusable[host] = error
            raise

    def _context(self, host: HostTls, *, http2: bool) -> ssl.SSLContext:
        certificate = self._certificates.get(host.certificate)
        if certificate is None:
            raise TlsError(f"the certificate of host {host.host or 'default'} is not here")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # trusts nobody yet
        context.sslobject_class = NamedTls
        # A context made this way writes no key log, whatever SSLKEYLOGFILE says
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 1  # of two, clients use one, and a handshake takes 18 µs longer
        context.set_alpn_protocols([HTTP2, HTTP1] if http2 else [HTTP1])
        context.sni_callback = _check_name
        try:
            context.minimum_version = _VERSIONS[host.min_version]
            context.maximum_version = _VERSIONS[host.max_version or "TLSv1.3"]
            context.set_ciphers(":".join(host.ciphers) or CIPHERS)
            load_pair(context, certificate)
            if host.client_ca:
                self._demand_certificates(context, host)
            if self._ticket_secret:
                set_keys(context, keys_for(self._ticket_secret, host, http2=http2))
        except (ssl.SSLError, OSError, ValueError, KeyError) as error:
            raise TlsError(f"the TLS of host {host.host or 'default'} cannot be used: {error}") from error
        return context

    def _demand_certificates(self, context: ssl.SSLContext, host: HostTls) -> None:
        """Let in only clients whose certificates the authorities of the host's bundle have signed.

        A session cannot be resumed with the context of another host, for each has keys of its own: so no
        client takes what one host has seen of it to another host. Raises TlsError, ssl.SSLError.
        """
        context.verify_mode = ssl.CERT_REQUIRED
        if host.client_ca == NO_AUTHORITY:
            return
        bundle = self._certificates.get(host.client_ca)
        if bundle is None:
            raise TlsError(f"the authorities for clients of host {host.host or 'default'} are not here")
        context.load_verify_locations(cadata=bundle.chain.decode("ascii"))


def load_pair(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Raises ssl.SSLError, OSError."""
    descriptor = os.memfd_create("fleetgate-certificate")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(certificate.key + b"\n" + certificate.chain)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _check_name(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
    """Refuse a hello in which OpenSSL reads another name than we did: its context would be the wrong one."""
    read = name.lower().removesuffix(".") if name is not None else None
    if isinstance(tls, NamedTls) and tls.server_name == read:
        return None
    return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
