"""Conditions of routes besides host and path. All conditions of a route must hold."""

from enum import StrEnum

import msgspec


class TextKind(StrEnum):
    """How the patterns of a condition are read. Case counts."""

    GLOB = "glob"  # '*' is any run of characters, '?' exactly one
    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"  # RE2 syntax, of the whole value


class HeaderCondition(msgspec.Struct, frozen=True, gc=False, tag="header"):
    """Holds when any value of the header, or any member where that is a list, matches any pattern."""

    name: str  # lower case
    patterns: tuple[str, ...]
    kind: TextKind = TextKind.GLOB


class CookieCondition(msgspec.Struct, frozen=True, gc=False, tag="cookie"):
    """Holds when any of the (name, pattern) pairs is among the cookies; names are exact."""

    pairs: tuple[tuple[str, str], ...]
    kind: TextKind = TextKind.GLOB


class QueryCondition(msgspec.Struct, frozen=True, gc=False, tag="query"):
    """Holds when any of the (name, pattern) pairs is among the query parameters; names are exact.

    Names and values are compared after percent-decoding, '+' is a space (the WHATWG URL standard).
    """

    pairs: tuple[tuple[str, str], ...]
    kind: TextKind = TextKind.GLOB


class MethodCondition(msgspec.Struct, frozen=True, gc=False, tag="method"):
    methods: tuple[str, ...]


class SourceCondition(msgspec.Struct, frozen=True, gc=False, tag="source"):
    """Holds when the client's address is in any of the networks (CIDR), as trusted proxies report it."""

    networks: tuple[str, ...]


class HostCondition(msgspec.Struct, frozen=True, gc=False, tag="host"):
    """Holds when the host, in lower case and without port, matches any pattern: '*' may be several labels."""

    patterns: tuple[str, ...]
    kind: TextKind = TextKind.GLOB


Condition = (
    HeaderCondition | CookieCondition | QueryCondition | MethodCondition | SourceCondition | HostCondition
)
