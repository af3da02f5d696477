"""Secrets of type kubernetes.io/tls to certificates with their private keys.

A pair is checked before any worker gets it: a worker finds a fault only when a client comes.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec
from msgspec.structs import replace

from controlplane.resources.secret import Secret
from controlplane.resources.view import TlsSecrets
from proxy.model.tls import Certificate

CERTIFICATE_KEY: Final = "tls.crt"
PRIVATE_KEY: Final = "tls.key"
AUTHORITIES_KEY: Final = "ca.crt"
TYPE: Final = "kubernetes.io/tls"

_REMEMBERED: Final = 4096  # pairs; reading one takes half a millisecond


class KeyPairError(ValueError):
    """The Secret holds no usable pair; the message says why, and quotes nothing of it."""


class KeyPair(msgspec.Struct, frozen=True):
    """A certificate that can be served. `expires` is the moment its validity ends, RFC 3339."""

    certificate: Certificate
    names: tuple[str, ...]  # DNS names and addresses of the leaf, lower case
    expires: str

    def covers(self, host: str) -> bool:
        """Whether clients accept the certificate for this host (RFC 9525 §6.3), which may be a wildcard."""
        _, dot, rest = host.partition(".")
        return host in self.names or (bool(dot) and f"*.{rest}" in self.names)


class KeyPairs(msgspec.Struct, frozen=True):
    """The Secrets as they are now, and the pairs in use so far, by namespace/name of their Secrets.

    A Secret that cannot be read, or is broken, leaves its pair in use.
    """

    secrets: TlsSecrets = msgspec.field(default_factory=TlsSecrets)
    used: Mapping[str, KeyPair] = msgspec.field(default_factory=dict)
    authorities: Mapping[str, bytes] = msgspec.field(default_factory=dict)  # in use, PEM, in the same way


NO_PAIRS: Final = KeyPairs()


def without_keys(pairs: Mapping[str, KeyPair]) -> dict[str, KeyPair]:
    """Return the pairs without their private keys, for a process that serves nobody."""
    return {
        name: replace(pair, certificate=replace(pair.certificate, key=b"")) for name, pair in pairs.items()
    }


def read_key_pair(secret: Secret) -> KeyPair:
    """Return the pair of a Secret. Raises KeyPairError."""
    if secret.type != TYPE:
        raise KeyPairError(f"its type is {secret.type or 'Opaque'}, not {TYPE}")
    for key in (CERTIFICATE_KEY, PRIVATE_KEY):
        if not secret.data.get(key):
            raise KeyPairError(f"it has no {key}")
    return _read(secret.data[CERTIFICATE_KEY], secret.data[PRIVATE_KEY])


def read_authorities(secret: Secret) -> KeyPair:
    """Return the certificates of authorities in a Secret, as a pair without a key. Raises KeyPairError."""
    if not secret.data.get(AUTHORITIES_KEY):
        raise KeyPairError(f"it has no {AUTHORITIES_KEY}")
    return _read_authorities(secret.data[AUTHORITIES_KEY])


@lru_cache(_REMEMBERED)
def _read_authorities(text: str) -> KeyPair:
    """Read base64 of PEM. Raises KeyPairError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        certificates = x509.load_pem_x509_certificates(decoded(AUTHORITIES_KEY, text))
    except ValueError as error:
        raise KeyPairError(f"{AUTHORITIES_KEY} is no PEM certificate") from error
    trusted = b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
    expires = max(each.not_valid_after_utc for each in certificates).astimezone(UTC).isoformat()
    identity = sha256(b"authorities " + trusted).hexdigest()
    return KeyPair(Certificate(identity, trusted, b""), (), expires.replace("+00:00", "Z"))


@lru_cache(_REMEMBERED)
def _read(certificate: str, key: str) -> KeyPair:
    """Read base64 of PEM. Raises KeyPairError."""
    # Imported late: 60 ms, which a gateway without TLS need not wait for
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    chain, secret = decoded(CERTIFICATE_KEY, certificate), decoded(PRIVATE_KEY, key)
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise KeyPairError(f"{CERTIFICATE_KEY} is no PEM certificate") from error
    try:
        private = load_pem_private_key(secret, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyPairError(f"{PRIVATE_KEY} is no PEM private key without a passphrase") from error
    leaf = certificates[0]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise KeyPairError(f"{PRIVATE_KEY} is not the key of the first certificate in {CERTIFICATE_KEY}")
    names: list[str] = []
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += [name.lower() for name in found.get_values_for_type(x509.DNSName)]
        names += [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        pass  # browsers accept such a certificate for no host
    served = b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
    own = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    identity = sha256(served + sha256(own).digest()).hexdigest()
    expires = leaf.not_valid_after_utc.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return KeyPair(Certificate(identity, served, own), tuple(names), expires)


def decoded(key: str, text: str) -> bytes:
    """Return the value of a key of a Secret. Raises KeyPairError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise KeyPairError(f"{key} is not base64") from error
