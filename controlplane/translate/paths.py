"""Paths of Ingress rules: pathType and path to the pattern that the router compiles."""

import re
from typing import Final

import msgspec

from controlplane.translate.spelling import SpellingProblem, expression, literal
from proxy.model.paths import ascii_path
from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.match import PathPattern
from proxy.routing.patterns import PatternError, compile_regex

PATH_TYPES: Final = ("Exact", "Prefix", "ImplementationSpecific")
ANY_PATH: Final = PathMatch(PathKind.PREFIX, "/")

_MAX_PATTERN = 128  # of ALB
_ENCODED = "%[0-9A-Fa-f]{2}"
# RFC 3986 pchar without the wildcard '*'
_URI_PATH = re.compile(rf"/(?:[A-Za-z0-9._~!$&'()+,;=:@/-]|{_ENCODED})*")
_ALB_PATH = re.compile(rf"/(?:[A-Za-z0-9$_.+/&~@:*?-]|{_ENCODED})*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
# kube-apiserver refuses these too: no client's normalisation leaves such a path as it is.
_NOT_NORMAL = re.compile(r"//|/\.{1,2}(?:/|\Z)|%2F|%00")
_SPECIAL = re.compile(r"[\\*?()|\[\]{}^$]")  # nearly never in a path that is none
_URI_GRAMMAR = "an absolute path of URI characters or letters, without //, /./, /../, %2F and %00"
_OR_REGEX = "; or, with the annotation use-regex, a regular expression"
_ALB_GRAMMAR = (
    f"/ and up to {_MAX_PATTERN} of letters, digits, $-_.+/&~@: and the wildcards * and ?" + _OR_REGEX
)
_REGEX_GRAMMAR = "a regular expression of RE2, of printable characters; in brackets of ASCII"


class PathOptions(msgspec.Struct, frozen=True):
    """The meaning of path types, by dialect and annotations. Exact is Exact everywhere."""

    specific_is_prefix: bool = False  # ImplementationSpecific, as in MSE; else a pattern, as in ALB
    is_regex: bool = False  # a Prefix, and types that mean the same
    is_regex_if_special: bool = False  # one with characters that only expressions have
    is_full: bool = False  # the expression matches the whole path, not its beginning
    regex_ignores_case: bool = False  # expressions only
    ignores_case: bool = False


LITERAL: Final = PathOptions()


class PathProblem(ValueError):
    """The path cannot be used. `allowed` describes usable paths."""

    def __init__(self, problem: str, allowed: str) -> None:
        super().__init__(problem)
        self.allowed = allowed


def parse_path(path_type: str, path: str, options: PathOptions = LITERAL) -> PathMatch:
    """Return the match of a path; an unset path type is ImplementationSpecific. Raises PathProblem."""
    if path_type not in ("Exact", "Prefix") and options.specific_is_prefix:
        path_type = "Prefix"
    is_regex = options.is_regex or (options.is_regex_if_special and _SPECIAL.search(path) is not None)
    if is_regex and path_type == "Prefix" and path not in ("", "/"):
        pattern = _expression(path)
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
        raise PathProblem("has a wildcard, which this pathType does not know", allowed)
    found = literal(path)
    if not _URI_PATH.fullmatch(ascii_path(path)) or _NOT_NORMAL.search(found):
        raise PathProblem("is not a path that a request can have", _URI_GRAMMAR)
    return found


def _pattern(path: str) -> PathMatch:
    if not path:
        return ANY_PATH
    if len(path) > _MAX_PATTERN:
        raise PathProblem(f"has {len(path)} characters", _ALB_GRAMMAR)
    if path.startswith("~*"):
        return PathMatch(PathKind.REGEX, _expression(path[2:]), ignore_case=True)
    if path.startswith("~"):
        return PathMatch(PathKind.REGEX, _expression(path[1:]))
    found = literal(path)
    if not _ALB_PATH.fullmatch(ascii_path(path)) or found.count("*") != path.count("*"):
        raise PathProblem("is not a path pattern", _ALB_GRAMMAR)
    if "*" in path or "?" in path:
        return PathMatch(PathKind.GLOB, found)
    return PathMatch(PathKind.EXACT, found)


def _expression(pattern: str) -> str:
    try:
        found = expression(pattern)
    except SpellingProblem as problem:
        raise PathProblem(str(problem), _REGEX_GRAMMAR) from None
    if not _PRINTABLE.fullmatch(found):
        raise PathProblem("is not a regular expression of printable characters", _REGEX_GRAMMAR)
    return found
