"""Texts with ${variables}, and the octets that may stand where they are used.

Clients write the values of variables: every result is escaped for its place, so that nothing in it can end a
line, a request target or a part of a URL.
"""

import re
from typing import Final

from proxy.model.grammar import VARIABLE, VARIABLES, is_variable
from proxy.policies.asked import Asked
from proxy.policies.errors import PolicyError

_TEXT, _PROTOCOL, _HOST, _PORT, _PATH, _QUERY, _REQUEST_URI, _GROUP = range(8)

_STRAY_PERCENT: Final = rb"%(?![0-9A-Fa-f]{2})|"
NOT_IN_PATH: Final = re.compile(_STRAY_PERCENT + rb"[^!$%&'()*+,\-./0-9:;=@A-Z_a-z~]")
NOT_IN_QUERY: Final = re.compile(_STRAY_PERCENT + rb"[^!$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]")
NOT_IN_URL: Final = re.compile(_STRAY_PERCENT + rb"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]")
"""Octets that are percent-encoded in these places (RFC 3986 §3, and brackets, which programs put in queries).
"""


def escaped(text: bytes, pattern: re.Pattern[bytes]) -> bytes:
    """Percent-encode the octets that `pattern`, one of the above, finds."""
    return pattern.sub(_percent, text)


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match.group()[0]


class Template:
    """A text with ${protocol}, ${host}, ${port}, ${path}, ${query}, ${request_uri} and ${1} to ${9}."""

    __slots__ = ("_parts", "text")

    def __init__(self, text: str) -> None:
        """Compile `text`. Raises PolicyError for other variables."""
        self.text = text
        self._parts: list[tuple[int, int, bytes]] = []  # kind, number of the group, text
        at = 0
        for match in VARIABLE.finditer(text):
            self._add_text(text[at : match.start()])
            self._add_variable(match.group(1))
            at = match.end()
        self._add_text(text[at:])

    def _add_text(self, text: str) -> None:
        if text:
            self._parts.append((_TEXT, 0, text.encode()))

    def _add_variable(self, name: str) -> None:
        if not is_variable(name):
            raise PolicyError(f"{self.text!r} has the variable ${{{name}}}")
        if name in VARIABLES:
            self._parts.append((VARIABLES.index(name) + 1, 0, b""))
        else:
            self._parts.append((_GROUP, int(name), b""))

    @property
    def has_groups(self) -> bool:
        return any(kind == _GROUP for kind, _, _ in self._parts)

    def expand(self, asked: Asked, *, keeps_slashes: bool = False) -> bytes:
        """Return the text for a request; groups that took no part, or do not exist, are empty.

        `keeps_slashes`: ${path} is the path as an endpoint would get it, not as routes match it.
        """
        pieces: list[bytes] = []
        for kind, number, text in self._parts:
            if kind == _TEXT:
                pieces.append(text)
            elif kind == _GROUP:
                pieces.append(asked.groups[number] if number < len(asked.groups) else b"")
            elif kind == _PATH and keeps_slashes:
                pieces.append(asked.sent_path)
            else:
                pieces.append(_value(kind, asked))
        return b"".join(pieces)


def _value(kind: int, asked: Asked) -> bytes:
    if kind == _PROTOCOL:
        return asked.scheme
    if kind == _HOST:
        return asked.host
    if kind == _PORT:
        return asked.port
    if kind == _REQUEST_URI:
        return b"%b?%b" % (asked.sent_path, asked.query) if asked.query else asked.sent_path
    return asked.plain_path if kind == _PATH else asked.query
