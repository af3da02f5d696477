"""Paths of Ingress rules: pathType and path to the pattern that the router compiles."""

import re
from dataclasses import dataclass
from typing import Final

from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.match import PathPattern
from proxy.routing.patterns import PatternError, compile_regex

PATH_TYPES: Final = ("Exact", "Prefix", "ImplementationSpecific")
ANY_PATH: Final = PathMatch(PathKind.PREFIX, "/")

_MAX_PATTERN = 128  # of ALB
_URI_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()+,;=:@/%-]*")  # RFC 3986 pchar without the wildcard '*'
_ALB_PATH = re.compile(r"/[A-Za-z0-9$_.+/&~@:*?-]*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
# What kube-apiserver refuses too: a path that cannot survive the normalisation of any client.
_NOT_NORMAL = re.compile(r"//|/\.{1,2}(?:/|\Z)|%2f", re.IGNORECASE)
_URI_GRAMMAR = "an absolute path of URI characters, without //, /./, /../ and %2f"
_OR_REGEX = "; or, with the annotation use-regex, a regular expression"
_ALB_GRAMMAR = (
    f"/ and up to {_MAX_PATTERN} of letters, digits, $-_.+/&~@: and the wildcards * and ?" + _OR_REGEX
)
_REGEX_GRAMMAR = "a regular expression of RE2, of printable ASCII characters"


@dataclass(frozen=True, slots=True)
class PathOptions:
    """How annotations change what paths mean. Where Prefix stands, or no type, are regular expressions."""

    is_regex: bool = False
    is_full: bool = False  # the expression matches the whole path, not its beginning
    regex_ignores_case: bool = False  # expressions only
    ignores_case: bool = False


LITERAL: Final = PathOptions()


class PathProblem(ValueError):
    """The path cannot be used. `allowed` says what can."""

    def __init__(self, problem: str, allowed: str) -> None:
        super().__init__(problem)
        self.allowed = allowed


def parse_path(path_type: str, path: str, options: PathOptions = LITERAL) -> PathMatch:
    """Return what a path matches; an unset path type is ImplementationSpecific. Raises PathProblem."""
    if options.is_regex and path_type != "Exact" and path not in ("", "/"):
        pattern = _printable(path)
        if options.is_full:
            pattern = f"(?:{pattern})$"  # a group, so that it holds for each side of a "|"
        ignores_case = options.ignores_case or options.regex_ignores_case
        match = PathMatch(PathKind.REGEX, pattern, ignore_case=ignores_case)
    else:
        match = _as_written(path_type, path)
        match = _without_case(match) if options.ignores_case else match
    return _compiled(match)


def _compiled(match: PathMatch) -> PathMatch:
    """Return it once a worker could use it: an expression may be too long, or none."""
    try:
        if match.kind is PathKind.REGEX:
            PathPattern(match)
    except PatternError as error:
        raise PathProblem(f"is not a regular expression: {error}", _REGEX_GRAMMAR) from None
    return match


def group_count(path: PathMatch) -> int:
    """Return how many groups a rewrite can refer to."""
    if path.kind is not PathKind.REGEX:
        return 0
    return compile_regex(path.value, captures=True).groups


def _without_case(match: PathMatch) -> PathMatch:
    """Return a literal path as an expression: only those can ignore case."""
    quoted = re.escape(match.value)
    if match.kind is PathKind.EXACT:
        return PathMatch(PathKind.REGEX, quoted + "$", ignore_case=True)
    if match.kind is PathKind.PREFIX and match.value != "/":
        return PathMatch(PathKind.REGEX, quoted + "(/|$)", ignore_case=True)
    return match if match.value == "/" else PathMatch(match.kind, match.value, ignore_case=True)


def _as_written(path_type: str, path: str) -> PathMatch:
    if path_type == "Exact":
        return PathMatch(PathKind.EXACT, _literal(path, "Exact"))
    if path_type == "Prefix":
        # "/aaa/bbb/" covers "/aaa/bbb" (Ingress conformance), so the slash says nothing.
        return PathMatch(PathKind.PREFIX, _literal(path or "/", "Prefix").rstrip("/") or "/")
    return _pattern(path)


def _literal(path: str, path_type: str) -> str:
    if "*" in path or "?" in path:
        allowed = _URI_GRAMMAR + (_OR_REGEX if path_type == "Prefix" else "")
        raise PathProblem(f"has a wildcard, which pathType {path_type} does not know", allowed)
    if not _URI_PATH.fullmatch(path) or _NOT_NORMAL.search(path):
        raise PathProblem("is not a path that a request can have", _URI_GRAMMAR)
    return path


def _pattern(path: str) -> PathMatch:
    if not path:
        return ANY_PATH
    if len(path) > _MAX_PATTERN:
        raise PathProblem(f"has {len(path)} characters", _ALB_GRAMMAR)
    if path.startswith("~*"):
        return PathMatch(PathKind.REGEX, _printable(path[2:]), ignore_case=True)
    if path.startswith("~"):
        return PathMatch(PathKind.REGEX, _printable(path[1:]))
    if not _ALB_PATH.fullmatch(path):
        raise PathProblem("is not a path pattern", _ALB_GRAMMAR)
    if "*" in path or "?" in path:
        return PathMatch(PathKind.GLOB, path)
    return PathMatch(PathKind.EXACT, path)


def _printable(pattern: str) -> str:
    if not _PRINTABLE.fullmatch(pattern):
        raise PathProblem("is not a regular expression of printable ASCII characters", _REGEX_GRAMMAR)
    return pattern
