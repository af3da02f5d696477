"""Other readings of a path by servers: the spellings by which a request passes one rule as another's.

By RFC 3986 the owner of a URL gives `%2F` and `;` a meaning, and servers use that freedom. Go's ServeMux,
WSGI and most file servers decode `%2F` (and `%5C`, on Windows) to a separator; Servlet containers cut
`;parameters` off each segment before they look at it, so `..;` climbs (the Tomcat manager behind nginx);
programs that resolve a request target as a URL reference take the text after a leading `//` for a host. No
normal form serves all of them. So the path is forwarded as it came, where every reading takes the same rule.
"""

import re
from typing import Final

from proxy.http.errors import RequestError
from proxy.http.path import as_matched, resolve

_ENCODED: Final = re.compile(rb"%(?:2[Ff]|5[Cc]|3[Bb])")
_SLASH: Final = re.compile(rb"%2[Ff]")
_SEPARATOR: Final = re.compile(rb"%(?:2[Ff]|5[Cc])")  # of servers to which a backslash is one, too
_SEMICOLON: Final = re.compile(rb"%3[Bb]")
_PARAMETERS: Final = re.compile(rb";[^/]*+")


class Readings:
    """Other readings of one path. The form that rules match is in neither set."""

    __slots__ = ("as_path", "as_reference")

    def __init__(self, as_path: frozenset[bytes], as_reference: frozenset[bytes]) -> None:
        self.as_path = as_path
        """Readings of servers that decode separators or ignore parameters."""
        self.as_reference = as_reference
        """Readings of servers that take a leading `//` for the beginning of a host."""


def readings(path: bytes) -> Readings | None:
    """Return the other readings of a resolved path, None for nearly all paths. Raises RequestError (400)."""
    is_reference = path.startswith(b"//")
    if not is_reference and b";" not in path and _ENCODED.search(path) is None:
        return None
    matched = frozenset((as_matched(path),))
    as_path = _spellings(path) - matched
    as_reference: frozenset[bytes] = frozenset()
    if is_reference:
        as_reference = _spellings(b"/" + path[2:].partition(b"/")[2]) - matched - as_path
    return Readings(as_path, as_reference) if as_path or as_reference else None


def _spellings(path: bytes) -> frozenset[bytes]:
    """Return the readings of servers that take any of these steps with a path, in any order."""
    spellings = [path]
    for spelling in spellings:  # few: each step makes a path shorter, and is of no more use a second time
        for step in (
            _PARAMETERS.sub(b"", spelling),
            _SEMICOLON.sub(b";", _SLASH.sub(b"/", spelling)),
            _SEMICOLON.sub(b";", _SEPARATOR.sub(b"/", spelling)),
        ):
            if step not in spellings:
                spellings.append(step)
    return frozenset([_read(spelling) for spelling in spellings])


def _read(path: bytes) -> bytes:
    if b".." in path.split(b"/"):
        raise RequestError(400, "the path has a dot segment behind an encoded slash or before a semicolon")
    return as_matched(resolve(path))
