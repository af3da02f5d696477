"""Compiled predicates of one route: path patterns and conditions."""

import re
from collections.abc import Callable
from typing import Protocol

from proxy.model.conditions import Condition, HeaderCondition
from proxy.model.snapshot import PathKind, PathMatch, Route


class Fields(Protocol):
    """The header fields of a request; names in lower case. Hashed by identity."""

    is_remembered: bool
    """Whether the same object will come again: only then is it worth remembering its route."""

    def values(self, name: bytes) -> tuple[bytes, ...]: ...


Predicate = Callable[[Fields], bool]


class RouteError(ValueError):
    """A route that cannot be compiled; the message names it and says why."""


def wildcard(pattern: str) -> str:
    """Return the regular expression of a pattern where '*' is any run and '?' any one character."""
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)


def compile_path(path: PathMatch) -> re.Pattern[bytes] | None:
    """Return the pattern of a GLOB or REGEX path; None for the kinds a table finds by lookup."""
    flags = re.IGNORECASE if path.ignore_case else 0
    try:
        if path.kind is PathKind.GLOB:
            return re.compile((wildcard(path.value) + r"\Z").encode(), flags | re.DOTALL)
        if path.kind is PathKind.REGEX:
            return re.compile(path.value.encode(), flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise RouteError(f"path {path.value!r} is no regular expression: {error}") from error
    return None


def compile_conditions(route: Route) -> tuple[Predicate, ...]:
    return tuple(_predicate(condition) for condition in route.conditions)


def _predicate(condition: Condition) -> Predicate:
    if isinstance(condition, HeaderCondition):
        return _header(condition)
    raise RouteError(f"{type(condition).__name__} is not known")


def _header(condition: HeaderCondition) -> Predicate:
    name = condition.name.encode()
    exact = frozenset(p.encode() for p in condition.patterns if "*" not in p and "?" not in p)
    globs = [wildcard(p) for p in condition.patterns if "*" in p or "?" in p]
    if not globs:
        if len(exact) == 1:
            (only,) = exact
            return lambda fields: only in fields.values(name)
        return lambda fields: not exact.isdisjoint(fields.values(name))
    pattern = re.compile("|".join(globs).encode(), re.DOTALL)
    return lambda fields: any(v in exact or pattern.fullmatch(v) for v in fields.values(name))
