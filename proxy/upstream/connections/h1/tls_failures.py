"""What an error of OpenSSL says about an attempt."""

import ssl
from typing import Final

from proxy.upstream.evidence.failure import Failure

_REFUSALS: Final = frozenset(
    (
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    )
)
"""Alerts by which an endpoint refuses our certificate, or says that we have none (RFC 8446 §6.2)."""


def is_refusal(error: ssl.SSLError) -> bool:
    """Whether the endpoint has refused our certificate, as far as it says so."""
    return error.reason in _REFUSALS


def handshake_failure(error: ssl.SSLError) -> Failure:
    """Return the failure of an attempt whose handshake ended with this error."""
    if isinstance(error, ssl.SSLCertVerificationError) or is_refusal(error):
        return Failure.TLS_CERTIFICATE
    return Failure.TLS_HANDSHAKE
