"""The one normal form of a path: what is matched is what is forwarded (RFC 3986 §6.2.2).

Dot segments are removed, repeated slashes merged, percent-encoded unreserved characters decoded;
everything else, `%2F` above all, stays encoded as it came.
"""

import re
from typing import Final

from proxy.http.errors import RequestError

_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normalise(path: bytes) -> bytes:
    """Return the normal form of an absolute path. Raises RequestError (400)."""
    if b"%" in path:
        path = _PERCENT.sub(_decode_unreserved, path)
    if b"//" not in path and b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")
    for segment in segments[1:]:
        if segment == b"..":
            if not kept:
                raise RequestError(400, "the path climbs above the root")
            kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    if segments[-1] in (b"", b".", b"..") and kept:
        kept.append(b"")  # a directory stays one: /a/b/.. is /a/
    return b"/" + b"/".join(kept)


def _decode_unreserved(match: re.Match[bytes]) -> bytes:
    digits = match.group(1)
    if digits is None:
        raise RequestError(400, "a percent sign in the path is not followed by two hex digits")
    octet = int(digits, 16)
    if octet in _UNRESERVED:
        return bytes((octet,))
    if octet == 0:
        raise RequestError(400, "the path has an encoded NUL")
    return match.group(0)
