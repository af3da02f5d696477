"""Cookies and query parameters by name: one pass over any text that a client sends.

A name is compiled once, with all ways to write it. So a lookup is a search in a string, and only the values
of that name are decoded: the cost of a query is its length, not the number of its parameters.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_VALUES: Final = 64
"""The most values of one name that are compared, for each can cost a comparison with a pattern."""


class CookieName:
    """Finds the values of a cookie in a Cookie field (RFC 6265 §4.2), in their order."""

    __slots__ = ("_pattern",)

    def __init__(self, name: str) -> None:
        self._pattern = re.compile(rb"(?:\A|;)[ \t]*+" + re.escape(name.encode()) + rb"[ \t]*+=([^;]*+)")

    def values(self, field: bytes) -> list[bytes]:
        """Return the values without the quotes around them: servers take "a" and a for the same."""
        found: list[bytes] = []
        for match in self._pattern.finditer(field):
            value: bytes = match.group(1).strip(b" \t")
            quoted = len(value) > 1 and value.startswith(b'"') and value.endswith(b'"')
            found.append(value[1:-1] if quoted else value)
            if len(found) == MAX_VALUES:
                break
        return found


class ParameterName:
    """Finds the values of a parameter in a query, in their order.

    Names and values are decoded as the WHATWG URL standard has it for application/x-www-form-urlencoded.
    """

    __slots__ = ("_pattern",)

    def __init__(self, name: str) -> None:
        encodings = b"".join([_encodings(octet) for octet in name.encode()])
        self._pattern = re.compile(rb"&" + encodings + rb"(?:=([^&]*+)|(?=&)|\Z)")

    def values(self, query: bytes) -> list[bytes]:
        """`query` with its question mark. A parameter without '=' has the value b""."""
        found: list[bytes] = []
        for match in self._pattern.finditer(b"&" + query[1:]):
            value: bytes = match.group(1) or b""
            found.append(unquote_to_bytes(value.replace(b"+", b" ")))
            if len(found) == MAX_VALUES:
                break
        return found


def _encodings(octet: int) -> bytes:
    """Return an expression for all ways to write an octet of a name."""
    high, low = b"%02X" % octet, b"%02x" % octet
    encoded = b"%%(?:%b|%b%b|%b%b|%b)" % (high, high[:1], low[1:], low[:1], high[1:], low)
    plain = bytes((octet,))
    if plain == b" ":
        return rb"(?:\+|%b)" % encoded
    if plain in b"+&=":  # these octets have a meaning of their own when they are not encoded
        return encoded
    if plain == b"%":
        return rb"(?:%b|%%(?![0-9A-Fa-f]{2}))" % encoded
    return b"(?:%b|%b)" % (re.escape(plain), encoded)
