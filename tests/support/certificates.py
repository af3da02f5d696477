"""An authority of a test, and the certificates that it issues."""

import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.model.tls import Certificate
from proxy.tls.contexts import load_pair

_DAY = timedelta(days=1)


class Authority:
    """Issues certificates with keys on P-256, valid from a day ago for 90 days unless told otherwise."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key, (), 90.0, is_authority=True)

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def bundle(self) -> Certificate:
        """Return this authority as workers get those that sign certificates of clients."""
        return Certificate(sha256(self.pem).hexdigest(), self.pem, b"")

    def issue(self, *names: str, days: float = 90.0, common_name: str = "") -> Certificate:
        """Return a certificate for DNS names, addresses and URIs."""
        key = ec.generate_private_key(ec.SECP256R1())
        common = common_name or (names[0] if names else "nobody")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        chain = self._sign(subject, key, names, days).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Certificate(sha256(chain).hexdigest(), chain, secret)

    def trusting(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.pem.decode())

    def knowing(self, own: Certificate) -> ssl.SSLContext:
        """Return the context of a client that has a certificate of its own."""
        context = self.trusting()
        with tempfile.NamedTemporaryFile() as file:
            file.write(own.key + own.chain)
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], days: float,
        *, is_authority: bool = False,
    ) -> x509.Certificate:  # fmt: skip
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(name) for name in names]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def serving(certificate: Certificate, clients: bytes = b"") -> ssl.SSLContext:
    """Return the context of a server, which demands certificates by the authority `clients` if given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, certificate)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.decode())
    return context


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.UniformResourceIdentifier(text) if ":" in text else x509.DNSName(text)
