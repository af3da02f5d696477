"""The identity of a client that has shown a certificate, as endpoints read it: X-Forwarded-Client-Cert.

The form is Envoy's: `Hash=<SHA-256 of the certificate>;Subject="<RFC 4514>";URI=<name>;DNS=<name>`. The
holder of a certificate may have chosen its names, so no name can end its quotes, its element or the line:
characters of Subject that mean anything to a reader are written by their codes, and a name that has no place
in a URL or in DNS is left out.
"""

import re
import ssl
import time
from hashlib import sha256
from typing import Final

NAME: Final = b"x-forwarded-client-cert"

_MAX_BYTES: Final = 4096
"""Longest value. Names that do not fit are left out: servers refuse long lines, for all requests."""
_SHORT: Final = {
    "commonName": "CN", "localityName": "L", "stateOrProvinceName": "ST", "organizationName": "O",
    "organizationalUnitName": "OU", "countryName": "C", "streetAddress": "STREET", "domainComponent": "DC",
    "userId": "UID", "emailAddress": "emailAddress", "serialNumber": "serialNumber",
}  # fmt: skip
"""Types of attributes (RFC 4514 §3), by OpenSSL's long names."""
_TYPE: Final = re.compile(r"[A-Za-z0-9.-]+")
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 -_.:/@*()'!&?~$|[]")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
_DNS: Final = re.compile(r"[A-Za-z0-9*_-]+(?:\.[A-Za-z0-9_-]+)*")
_TO_QUOTE: Final = re.compile(r"[,;=]")


class ExpiredError(Exception):
    """The certificate of a resumed session has ended: OpenSSL looks at that in full handshakes only."""


def identity_of(tls: ssl.SSLObject) -> bytes:
    """Return the field line of the certificate that OpenSSL has verified. Raises ExpiredError.

    Without a certificate it is b"".
    """
    raw = tls.getpeercert(binary_form=True)
    if not raw:
        return b""
    parts = [f"Hash={sha256(raw).hexdigest()}"]
    try:
        found = tls.getpeercert() or {}
    except ValueError:
        found = {}  # a name that is no text
    ends = found.get("notAfter")
    if isinstance(ends, str) and ssl.cert_time_to_seconds(ends) < time.time():
        raise ExpiredError
    names = [f'Subject="{_subject(found.get("subject", ()))}"']
    for kind, name in _alternatives(found.get("subjectAltName", ())):
        if kind == "URI" and _URI.fullmatch(name):
            names.append(f'URI="{name}"' if _TO_QUOTE.search(name) else f"URI={name}")
        elif kind == "DNS" and _DNS.fullmatch(name):
            names.append(f"DNS={name}")
    size = len(parts[0])
    for name in names:
        if size + 1 + len(name) <= _MAX_BYTES:
            size += 1 + len(name)
            parts.append(name)
    return f"X-Forwarded-Client-Cert: {';'.join(parts)}\r\n".encode("ascii")


def without_identity(lines: bytes) -> bytes:
    """Return field lines without those that name a certificate in the form of `identity_of`."""
    kept = [line for line in lines.split(b"\r\n") if line.partition(b":")[0].lower() != NAME]
    return b"\r\n".join(kept)


def _alternatives(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, tuple):
        return []
    return [(str(each[0]), each[1]) for each in value if len(each) == 2 and isinstance(each[1], str)]


def _subject(value: object) -> str:
    """Return a distinguished name: its parts are written last first (RFC 4514 §2.1)."""
    if not isinstance(value, tuple):
        return ""
    parts = [
        "+".join(f"{_type(str(kind))}={_escaped(str(text))}" for kind, text in relative)
        for relative in reversed(value)
    ]
    return ",".join(parts)


def _type(name: str) -> str:
    short = _SHORT.get(name, name)
    return short if _TYPE.fullmatch(short) else "unknown"


def _escaped(text: str) -> str:
    """Write all but plain characters by their codes in UTF-8 (RFC 4514 §2.4): there is no quote left."""
    last = len(text) - 1
    return "".join(
        character
        if character in _PLAIN and (character != " " or 0 < at < last)
        else "".join(f"\\{octet:02X}" for octet in character.encode("utf-8", "replace"))
        for at, character in enumerate(text)
    )
