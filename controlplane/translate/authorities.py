"""Secrets with the authorities that sign certificates of clients, as workers get them.

They are named one by one, and read from `ca.crt` whatever the type of the Secret is: tools write them beside
a pair, or into a Secret of their own.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from controlplane.resources.secret import Secret
from controlplane.translate.diagnostics import Findings
from controlplane.translate.keypairs import KeyPairError, KeyPairs, decoded
from controlplane.translate.tlsfields import NamedSecret
from proxy.model.tls import NO_AUTHORITY, Certificate

KEY: Final = "ca.crt"
_MAX_BYTES: Final = 1 << 16
"""Of one bundle. The messages to workers have room for a hundred authorities."""
_REMEMBERED: Final = 1024
_KEPT: Final = "the last good authorities stay in use"
_NOBODY: Final = "they let no client in"


def read_authorities(secret: Secret) -> bytes:
    """Return the authorities of a Secret, PEM. Raises KeyPairError."""
    text = secret.data.get(KEY)
    if not text:
        raise KeyPairError(f"it has no {KEY}")
    return _read(text)


@lru_cache(_REMEMBERED)
def _read(text: str) -> bytes:
    # Imported late: 60 ms, which a gateway without TLS need not wait for
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    raw = decoded(KEY, text)
    if len(raw) > _MAX_BYTES:
        raise KeyPairError(f"{KEY} is longer than {_MAX_BYTES >> 10} KiB")
    found: dict[bytes, None] = {}
    try:
        for certificate in x509.load_pem_x509_certificates(raw):
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
            if not constraints.ca:
                raise KeyPairError(f"a certificate in {KEY} is no authority")
            found[certificate.public_bytes(Encoding.PEM)] = None
    except x509.ExtensionNotFound as error:
        raise KeyPairError(f"a certificate in {KEY} is no authority") from error
    except KeyPairError:
        raise
    except ValueError as error:
        raise KeyPairError(f"{KEY} is no PEM certificate") from error
    return b"".join(found)


class AuthorityReader:
    """Reads the named Secrets, remembers what is used, and reports faults once for each place."""

    def __init__(self, pairs: KeyPairs) -> None:
        self._secrets = pairs.secrets
        self._kept = pairs.authorities
        self._told: set[tuple[int, str, str]] = set()
        self.wanted: set[str] = set()  # namespace/name
        self.used: dict[str, bytes] = {}
        self.bundles: dict[str, Certificate] = {}

    def bundle(self, secrets: Sequence[NamedSecret], findings: Findings, before: str) -> str:
        """Return the id of the bundle of these Secrets; without any authority, one that admits nobody.

        `before` is the bundle in use: it stays while Secrets are about to be listed.
        """
        found = [pem for pem in (self._authorities(secret, findings) for secret in secrets) if pem]
        if before and any(self._awaits(secret) for secret in secrets):
            return before
        if not found:
            return NO_AUTHORITY
        together = b"".join(dict.fromkeys(found))
        bundle = Certificate(sha256(together).hexdigest(), together, b"")
        self.bundles[bundle.id] = bundle
        return bundle.id

    def _awaits(self, secret: NamedSecret) -> bool:
        """Whether a Secret is not known, but probably will be in a moment."""
        known = secret.key in self._secrets.named or secret.key in self._secrets.named_denied
        return not known and secret.key not in self._kept

    def _authorities(self, secret: NamedSecret, findings: Findings) -> bytes:
        self.wanted.add(secret.key)
        kept = self._kept.get(secret.key, b"")
        found = self._secrets.named.get(secret.key)
        effect = _KEPT if kept else _NOBODY
        if found is not None:
            try:
                kept = read_authorities(found)
            except KeyPairError as error:
                self._tell(findings, "FG0327", secret, problem=str(error), effect=effect)
        elif secret.key in self._secrets.named:
            self._tell(findings, "FG0326", secret, namespace=secret.namespace, effect=effect)
        elif secret.key in self._secrets.named_denied:
            self._tell(findings, "FG0320", secret, namespace=secret.namespace, effect=effect)
        if kept:
            self.used[secret.key] = kept
        return kept

    def _tell(self, findings: Findings, code: str, secret: NamedSecret, **details: object) -> None:
        mark = (id(findings), code, secret.field)
        if mark not in self._told:
            self._told.add(mark)
            findings.add(code, secret.field, secret.key, **details)
