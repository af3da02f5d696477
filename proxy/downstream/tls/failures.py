"""Causes for which handshakes fail, as metrics name them."""

import ssl
from typing import Final

PLAINTEXT: Final = "plaintext"  # the client speaks HTTP without TLS
HELLO: Final = "hello"  # the first bytes are no ClientHello
UNKNOWN_HOST: Final = "unknown_host"  # no certificate for the name, and no default
CERTIFICATE: Final = "certificate"  # the certificate of the host is missing, or cannot be used
CERTIFICATE_REQUIRED: Final = "certificate_required"  # the client has shown none, and the host demands one
CERTIFICATE_REFUSED: Final = "certificate_refused"  # no authority of the host has signed the client's
PROTOCOL: Final = "protocol"  # no version or cipher that both sides accept, or the client refuses ours
ABANDONED: Final = "abandoned"  # the client has left, or was too slow


def of(error: ssl.SSLError) -> str:
    """Return the cause of a handshake that OpenSSL has ended."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATE_REFUSED
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return CERTIFICATE_REQUIRED
    return PROTOCOL
