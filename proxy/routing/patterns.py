"""Texts that users compare with: literals, prefixes, globs, regular expressions. All in linear time.

Users' patterns run on strangers' texts, in the one thread that serves all clients, so no pattern may
backtrack: regular expressions are RE2's, and globs are written so that `re` never goes back.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol

import re2

from proxy.model.conditions import TextKind

MAX_REGEX_BYTES: Final = 1 << 20  # memory for an expression; RE2 takes 8 MiB by default
MAX_PROGRAM: Final = 1000
"""The most instructions of an expression, which is the most steps per octet: 9000 took 0.5 s for a path of 8
KB, measured.
"""

_NOT_IN_RE2: Final = re.compile(r"\(\?<?[=!]|\(\?>|\(\?P=|\\[1-9]")


class PatternError(ValueError):
    """The text is no regular expression of RE2; the message says why."""


class Regex(Protocol):
    """A compiled expression, of `re` or of RE2. Matches are true."""

    @property
    def groups(self) -> int: ...

    def match(self, text: bytes) -> object | None: ...

    def fullmatch(self, text: bytes) -> object | None: ...


def compile_regex(pattern: str, *, ignore_case: bool = False, captures: bool = False) -> Regex:
    """Return the expression, in RE2. Without `captures` it has no groups, and is faster. Raises PatternError.

    A character is one of UTF-8; octets that are none match nothing but `\\C`.
    """
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    options.max_mem = MAX_REGEX_BYTES
    options.never_capture = not captures
    try:
        compiled = re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0]
        detail = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        if _NOT_IN_RE2.search(pattern):
            detail += "; RE2 has no look-around, no atomic groups and no back-references"
        raise PatternError(detail) from None
    if compiled.programsize > MAX_PROGRAM:
        size = compiled.programsize
        raise PatternError(f"it repeats too much: {size} instructions, at most {MAX_PROGRAM} are run")
    regex: Regex = compiled
    return regex


def program_size(pattern: str, *, ignore_case: bool = False) -> int:
    """Return how many instructions an expression has, the most steps for an octet. Raises PatternError."""
    size: int = compile_regex(pattern, ignore_case=ignore_case).programsize  # type: ignore[attr-defined]
    return size


_LITERAL_GLOB: Final = re.compile(r"[^*?]*")
_LITERAL_REGEX: Final = re.compile(r"/(?:[\w/~%@:,;=&!'-](?![*?{]))*")
_GROUP: Final = re.compile(r"\([^()\\\[\]]*\)")
"""A group without groups, classes and escapes in it."""
_NESTED: Final = 8
"""Most levels of groups that are looked into: each is another pass over the expression."""
_REMEMBERED: Final = 16384


def glob_beginning(glob: str) -> str:
    """Return the text with which each path of a glob begins."""
    found = _LITERAL_GLOB.match(glob)
    return found[0] if found is not None else ""


@lru_cache(_REMEMBERED)
def regex_beginning(expression: str) -> str:
    """Return a text with which each path of an expression begins: at least /, more where that is clear."""
    found = _LITERAL_REGEX.match(expression)
    return found[0] if found is not None and not _has_alternatives(expression) else "/"


def _has_alternatives(expression: str) -> bool:
    """Whether the text may be several expressions: it has a | outside of groups, or in an unclear place."""
    for _ in range(_NESTED):
        expression = _GROUP.sub("", expression)
    return "|" in expression


def compile_globs(patterns: Sequence[str], *, ignore_case: bool = False) -> re.Pattern[bytes]:
    """Return an expression for `match` that takes every text that one of the globs takes as a whole.

    '*' is any run of octets, '?' any one. Where a part between two stars is found first is as good a
    place as any later one, so it is never looked for again: an atomic group each, as of Python 3.11.
    """
    expression = "|".join(_glob(pattern) for pattern in patterns)
    return re.compile(expression.encode(), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _glob(pattern: str) -> str:
    first, *rest = ["".join("." if c == "?" else re.escape(c) for c in part) for part in pattern.split("*")]
    if not rest:
        return rf"{first}\Z"
    *between, last = rest
    return first + "".join(f"(?>.*?{part})" for part in between if part) + rf".*{last}\Z"


def origin_pattern(origin: str) -> str:
    """Return an expression for an origin with '*' for any run of characters but '/'.

    The expression is for RE2: `re` would go back once more for each further '*'.
    """
    return "[^/]*".join(re.escape(part) for part in origin.split("*"))


class Texts:
    """Patterns of one kind, any of which may match."""

    __slots__ = ("_exact", "_globs", "_prefixes", "_regexes")

    def __init__(self, kind: TextKind, patterns: Sequence[str]) -> None:
        """Compile `patterns`, all of one kind. Raises PatternError."""
        globs = [p for p in patterns if "*" in p or "?" in p] if kind is TextKind.GLOB else []
        is_literal = kind is TextKind.EXACT or kind is TextKind.GLOB
        self._exact = frozenset(p.encode() for p in patterns if is_literal and p not in globs)
        self._prefixes = tuple([p.encode() for p in patterns]) if kind is TextKind.PREFIX else ()
        self._globs = compile_globs(globs) if globs else None
        self._regexes = [compile_regex(p) for p in patterns] if kind is TextKind.REGEX else []

    def match(self, value: bytes) -> bool:
        if value in self._exact:
            return True
        if self._prefixes and value.startswith(self._prefixes):
            return True
        if self._globs is not None and self._globs.match(value) is not None:
            return True
        for regex in self._regexes:  # noqa: SIM110
            if regex.fullmatch(value) is not None:
                return True
        return False
