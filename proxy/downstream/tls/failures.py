"""Causes for which handshakes fail, as metrics name them."""

from typing import Final

PLAINTEXT: Final = "plaintext"  # the client speaks HTTP without TLS
HELLO: Final = "hello"  # the first bytes are no ClientHello
UNKNOWN_HOST: Final = "unknown_host"  # no certificate for the name, and no default
CERTIFICATE: Final = "certificate"  # the certificate of the host is missing, or cannot be used
PROTOCOL: Final = "protocol"  # no version, cipher or client certificate that both sides accept
ABANDONED: Final = "abandoned"  # the client has left, or was too slow
