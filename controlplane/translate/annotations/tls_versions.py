"""tls-min-protocol-version, tls-max-protocol-version and ssl-cipher: the TLS that a host accepts."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, Annotation
from controlplane.translate.dialects import Dialect

VERSIONS: Final = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
LOWEST: Final = "TLSv1.2"
"""Lower ones are never spoken: RFC 8996 forbids them."""
CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
)  # fmt: skip
"""Suites of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 §4.2). HTTP/2 prohibits all
others (RFC 9113, Appendix A), and no client needs one: browsers since 2014 speak these."""

MIN_VERSION: Final = Annotation(
    "tls-min-protocol-version",
    ANY_MSE,
    Dialect.MSE,
    "is the lowest version of TLS that the hosts of the Ingress accept; TLS 1.0 and 1.1 are never spoken",
    type="word",
    allowed=", ".join(VERSIONS),
    default=LOWEST,
    example="TLSv1.3",
)
MAX_VERSION: Final = Annotation(
    "tls-max-protocol-version",
    ANY_MSE,
    Dialect.MSE,
    "is the highest version of TLS that the hosts of the Ingress accept",
    type="word",
    allowed=", ".join(VERSIONS[VERSIONS.index(LOWEST) :]),
    default=VERSIONS[-1],
    example="TLSv1.2",
)
CIPHER: Final = Annotation(
    "ssl-cipher",
    ANY_MSE,
    Dialect.MSE,
    "names the cipher suites of TLS 1.2 that the hosts of the Ingress accept; those of TLS 1.3 are fixed, and"
    " suites without forward secrecy or authenticated encryption are left out",
    type="list",
    allowed="with : or , between them: " + ", ".join(CIPHERS),
    default="all of them",
    example="ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
)
ROWS: Final = (MIN_VERSION, MAX_VERSION, CIPHER)

_SEPARATOR: Final = re.compile(r"[:,\s]+")


def apply(reader: Reader, draft: Draft) -> None:
    version = reader.choice(MIN_VERSION, VERSIONS)
    if version is not None and version > LOWEST:
        draft.min_tls = version
    _apply_highest(reader, draft)
    _apply_ciphers(reader, draft)


def _apply_highest(reader: Reader, draft: Draft) -> None:
    given = reader.given(MAX_VERSION)
    version = reader.choice(MAX_VERSION, VERSIONS)
    if given is None or version is None:
        return
    if version < LOWEST:
        reader.reject(given, "would let no client in: lower versions are never spoken", MAX_VERSION.allowed)
    elif version < draft.min_tls:
        problem = f"is below tls-min-protocol-version, {draft.min_tls}: no client could get in"
        reader.reject(given, problem, draft.min_tls)
    elif version != VERSIONS[-1]:
        draft.max_tls = version


def _apply_ciphers(reader: Reader, draft: Draft) -> None:
    given = reader.given(CIPHER)
    if given is None or not given.text:
        return
    named = [name for name in _SEPARATOR.split(given.text.upper()) if name]
    usable = tuple(name for name in CIPHERS if name in named)
    others = [name for name in named if name not in CIPHERS]
    if not usable:
        reader.reject(given, "names no cipher suite that is safe and spoken", CIPHER.allowed)
        return
    if others:
        note = f"{', '.join(others[:5])} {'is' if len(others) == 1 else 'are'} left out, for lack of forward"
        note += " secrecy or authenticated encryption, or because no such suite is known"
        reader.findings.add("FG0202", given.field, given.text, note=note)
    draft.ciphers = usable
