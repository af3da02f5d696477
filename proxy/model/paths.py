"""Spellings of paths. The same code brings the paths of rules and requests into one form.

*Normal* is RFC 3986 §6.2.2: hex digits of percent-encodings in upper case, unreserved characters decoded.
*Matched*, the form in which rules and requests are compared, goes further: every printable character that a
path may carry as it is stands as it is. `/@me` and `/%40me` are two URLs by the RFC, and one path to every
server that decodes, so a rule for one of them must take the other. Octets that decoding would give another
meaning stay encoded: `%2F` and `%5C` (separators to some), `%3F`, `%23`, `%25`, the space, controls and
octets beyond ASCII.
"""

import re
from typing import Final

_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNUSUAL_DIGITS: Final = re.compile(rb"%(?:[a-f]|[0-9A-F][a-f])")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_PRINTABLE: Final = range(0x21, 0x7F)

UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_AS_THEY_ARE: Final = frozenset(octet for octet in _PRINTABLE if octet not in b"/\\%?#")


def normal(path: bytes) -> bytes:
    """Return a path whose unreserved characters are decoded already in the normal form."""
    return _ENCODED.sub(_upper, path) if _UNUSUAL_DIGITS.search(path) is not None else path


def matched(path: bytes) -> bytes:
    """Return the matched form of a path; slashes and dot segments stay as they are."""
    return _ENCODED.sub(_decode, path) if b"%" in path else path


def ascii_path(text: str) -> str:
    """Return a path, or a part of one, with characters beyond ASCII percent-encoded, as browsers do."""
    return text if text.isascii() else _NOT_ASCII.sub(_encode, text)


def _upper(match: re.Match[bytes]) -> bytes:
    return match.group(0).upper()


def _decode(match: re.Match[bytes]) -> bytes:
    octet = int(match.group(1), 16)
    return bytes((octet,)) if octet in _AS_THEY_ARE else match.group(0).upper()


def _encode(match: re.Match[str]) -> str:
    return "".join([f"%{octet:02X}" for octet in match.group(0).encode(errors="replace")])
