"""Compiled predicates of one route: path patterns and conditions."""

from typing import Any

from proxy.model.snapshot import PathKind, PathMatch, Route
from proxy.routing.conditions import Check, compile_condition, is_particular
from proxy.routing.patterns import PatternError, Regex, compile_globs, compile_regex


class RouteError(ValueError):
    """A route that cannot be compiled; the message names it and says why."""


class PathPattern:
    """A GLOB or REGEX path."""

    __slots__ = ("_capturing", "_regex")

    def __init__(self, path: PathMatch) -> None:
        """Compile `path`. Raises PatternError."""
        self._regex: Regex
        self._capturing: Any = None  # the expression in RE2; only regular expressions have groups
        if path.kind is PathKind.GLOB:
            self._regex = compile_globs((path.value,), ignore_case=path.ignore_case)
        else:
            self._regex = compile_regex(path.value, ignore_case=path.ignore_case)
            self._capturing = compile_regex(path.value, ignore_case=path.ignore_case, captures=True)

    def matches(self, path: bytes) -> bool:
        """Whether the pattern matches: a glob the whole path, a regular expression from its beginning."""
        return self._regex.match(path) is not None

    def groups(self, path: bytes) -> tuple[bytes, ...]:
        """Return the values of ${0}, ${1} …: the matched part of the path, and the groups of the expression.

        b"" for a group that took no part; () for a path that does not match. Not remembered: for
        rewrites and redirects, whose paths seldom repeat. They get a pattern of their own by `compile_path`.
        """
        if self._capturing is None:
            return (path,) if self.matches(path) else ()
        match = self._capturing.match(path)
        if match is None:
            return ()
        return (match.group(0), *match.groups(b""))


def compile_path(path: PathMatch) -> PathPattern | None:
    """Return the pattern of a GLOB or REGEX path; None for the kinds a table finds by lookup.

    Raises RouteError.
    """
    if path.kind is not PathKind.GLOB and path.kind is not PathKind.REGEX:
        return None
    try:
        return PathPattern(path)
    except PatternError as error:
        raise RouteError(f"path {path.value!r} is no regular expression: {error}") from None


def compile_conditions(route: Route) -> tuple[Check, ...]:
    """Return the checks of a route, those last whose answer cannot be remembered. Raises RouteError."""
    checks: list[Check] = []
    for condition in route.conditions:
        try:
            checks.append(compile_condition(condition))
        except ValueError as error:
            raise RouteError(f"{condition} cannot be used: {error}") from None
    return tuple(sorted(checks, key=is_particular))
