"""The two forms of a path: one for the endpoint, one for the rules.

*Forwarded* is the normal form of RFC 3986 §6.2.2: dot segments removed, percent-encoded unreserved
characters decoded. Slashes stay as they came, because `/img/https://a` and `/img/https:/a` are two resources;
other characters, `%2F` above all, stay encoded as they came. *Matched* is the forwarded path with repeated
slashes merged and spellings of one path made one (proxy.model.paths): most servers do not tell `/admin` from
`//admin`, or `/@a` from `/%40a`, so rules and access lists must not either.
The order of the two steps matters. `/a//../b` is `/a/b` by RFC 3986, and `/b` for a server that merges first;
the endpoint gets the resolved path, in which no later step of any server finds a dot segment.
"""

import re
from typing import Final

from proxy.http.errors import RequestError
from proxy.model.paths import UNRESERVED, matched

_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_OVERLONG: Final = re.compile(rb"%[Cc][01]%[89ABab]|%[Ee]0%[89][0-9A-Fa-f]%[89ABab]")
"""An ASCII character in more octets than UTF-8 allows (RFC 3629 §10). Decoders that do not look read a `/` or
`.` there: once those of IIS (CVE-2000-0884) and Tomcat (CVE-2008-2938)."""

_SLASHES: Final = re.compile(rb"//++")


def resolve(path: bytes) -> bytes:
    """Return an absolute path as it is forwarded. Raises RequestError (400)."""
    if b"%" in path:
        if _OVERLONG.search(path) is not None:
            raise RequestError(400, "the path has a character in an encoding that UTF-8 does not allow")
        path = _PERCENT.sub(_decode_unreserved, path)
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")
    for segment in segments[1:]:
        if segment == b"..":
            if not kept:
                raise RequestError(400, "the path climbs above the root")
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")  # a directory stays one: /a/b/.. is /a/
    return b"/" + b"/".join(kept)


def merge_slashes(path: bytes) -> bytes:
    return _SLASHES.sub(b"/", path) if b"//" in path else path


def as_matched(path: bytes) -> bytes:
    """Return a resolved path as rules match it."""
    return matched(merge_slashes(path))


def _decode_unreserved(match: re.Match[bytes]) -> bytes:
    digits = match.group(1)
    if digits is None:
        raise RequestError(400, "a percent sign in the path is not followed by two hex digits")
    octet = int(digits, 16)
    if octet in UNRESERVED:
        return bytes((octet,))
    if octet == 0:
        raise RequestError(400, "the path has an encoded NUL")
    return match.group(0)
