"""Paths as users write them, in the form in which requests are compared with them (proxy.model.paths)."""

import re
from typing import Final

from proxy.model.paths import ascii_path, matched

_TOKEN: Final = re.compile(
    r"(?P<octet>%[0-9A-Fa-f]{2})"
    r"|(?P<letter>[^\x00-\x7f])"
    r"|\\Q.*?(?:\\E|\Z)|\\."  # quoted text, and an escape
    r"|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]",  # a class
    re.DOTALL,
)


class SpellingProblem(ValueError):
    """The text cannot be brought into that form; the message says why."""


def literal(path: str) -> str:
    """Return a path in which letters beyond ASCII are encoded as browsers encode them."""
    return matched(ascii_path(path).encode()).decode()


def expression(pattern: str) -> str:
    """Return a regular expression of paths in which each percent-encoding and each letter is one unit.

    Raises SpellingProblem for letters beyond ASCII where a request has several characters for one.
    """
    return _TOKEN.sub(_respelled, pattern)


def _respelled(token: re.Match[str]) -> str:
    text = token.group(0)
    if token["octet"]:
        octet = literal(text)
        return octet if len(octet) > 1 else re.escape(octet)
    if token["letter"]:
        return f"(?:{ascii_path(text)})"
    if not text.isascii():
        raise SpellingProblem("has a letter beyond ASCII in brackets, behind a backslash or in a \\Q…\\E")
    return text
