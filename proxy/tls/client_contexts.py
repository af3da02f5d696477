"""The OpenSSL contexts for TLS towards endpoints, made of the certificates that the control plane sends.

A context is made at the first handshake of its service, and again when a certificate is another one.
"""

import logging
import ssl
from collections.abc import Iterable

from proxy.model.tls import BackendTls, Certificate
from proxy.tls.contexts import HTTP1, TlsError, load_pair

log = logging.getLogger(__name__)


class ClientContexts:
    """The certificates that endpoints are trusted by or shown, and the contexts made of them."""

    def __init__(self) -> None:
        self._certificates: dict[str, Certificate] = {}
        self._contexts: dict[BackendTls, ssl.SSLContext] = {}
        self._unusable: dict[BackendTls, TlsError] = {}  # each is logged once

    def use(self, added: Iterable[Certificate], removed: Iterable[str]) -> None:
        """Take over certificates; forget those that no service names any more."""
        for certificate in added:
            self._certificates[certificate.id] = certificate
        gone = set(removed)
        for name in gone:
            self._certificates.pop(name, None)
        self._unusable.clear()
        for tls in [tls for tls in self._contexts if tls.trust in gone or tls.client in gone]:
            del self._contexts[tls]

    def wrap(self, tls: BackendTls, read: ssl.MemoryBIO, written: ssl.MemoryBIO) -> ssl.SSLObject:
        """Return the TLS of a new connection, which reads and writes these buffers. Raises TlsError."""
        context = self._contexts.get(tls)
        if context is None:
            context = self._contexts[tls] = self._usable(tls)
        try:
            return context.wrap_bio(read, written, server_hostname=tls.server_name or None)
        except ValueError as error:
            raise TlsError(f"{tls.server_name} is no name for TLS: {error}") from error

    def _usable(self, tls: BackendTls) -> ssl.SSLContext:
        """Make a context. Raises TlsError, at once where it did so before."""
        known = self._unusable.get(tls)
        if known is not None:
            raise known
        try:
            return self._context(tls)
        except TlsError as error:
            log.error("tls to endpoints fails: %s", error)
            self._unusable[tls] = error
            raise

    def _context(self, tls: BackendTls) -> ssl.SSLContext:
        """Never make a context that verifies less than `tls` says."""
        if tls.verify and not tls.server_name:
            raise TlsError("endpoints are to be verified, and there is no name that they have to have")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A context made this way writes no key log, whatever SSLKEYLOGFILE says
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols([HTTP1])
        try:
            if not tls.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif tls.trust:
                context.load_verify_locations(cadata=self._certificate(tls.trust).chain.decode())
            else:
                context.load_default_certs()
            if tls.client:
                load_pair(context, self._certificate(tls.client))
        except (ssl.SSLError, OSError, ValueError) as error:
            raise TlsError(f"a certificate for endpoints is unusable: {error}") from error
        return context

    def _certificate(self, name: str) -> Certificate:
        certificate = self._certificates.get(name)
        if certificate is None:
            raise TlsError(f"certificate {name} is not here")
        return certificate
