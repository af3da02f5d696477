"""A certificate for the site: P-256, as most sites have, made anew for each run."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Paths of PEM files; `both` has the certificate and then the key."""

    certificate: Path
    key: Path
    both: Path


def made(directory: Path, host: str) -> KeyPair:
    """Write a self-signed certificate for a host, and its key, readable by the owner only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair = KeyPair(directory / "site.crt", directory / "site.key", directory / "site.pem")
    for path, content in (
        (pair.certificate, certificate),
        (pair.key, secret),
        (pair.both, certificate + secret),
    ):
        path.touch(0o600)
        path.write_bytes(content)
    return pair
