"""use-regex, ignore-path-case, match-method, *-match-*, server-alias: the requests that the rules take."""

import re
from typing import Final

from msgspec.structs import replace

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.expressions import PatternProblem, check_regex
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation
from controlplane.translate.dialects import Dialect
from controlplane.translate.hosts import HostProblem, parse_host
from controlplane.translate.paths import PathOptions
from proxy.model.conditions import (
    Condition,
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    TextKind,
)

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
KINDS: Final = (TextKind.EXACT, TextKind.PREFIX, TextKind.REGEX)
AUTHORITY: Final = "authority"
METHOD: Final = "method"


def _row(
    name: str, prefixes: tuple[str, ...], summary: str, type_: str, allowed: str, default: str, example: str
) -> Annotation:
    return Annotation(name, prefixes, Dialect.MSE, summary, type_, allowed, default, example=example)


def _flag(name: str, prefixes: tuple[str, ...], summary: str) -> Annotation:
    return _row(name, prefixes, summary, "boolean", "true, false", "false", "true")


USE_REGEX: Final = _flag(
    "use-regex",
    ANY_MSE,
    "reads the paths of the rules as regular expressions that paths begin with; spelled"
    " nginx.ingress.kubernetes.io/, ignoring case",
)
FULL_REGEX: Final = _flag(
    "full-path-regex", VENDOR, "reads the paths of the rules as regular expressions of whole paths"
)
IGNORE_CASE: Final = _flag("ignore-path-case", VENDOR, "takes paths in any case")
ALIASES: Final = _row(
    "server-alias",
    ANY_MSE,
    "names hosts that the rules hold for besides their own, where no rule that names the host itself matches",
    "comma list",
    "a comma list of DNS names and *.<DNS name>",
    "",
    "www.example.com",
)
MATCH_METHOD: Final = _row(
    "match-method",
    VENDOR,
    "limits the rules to requests with one of these methods",
    "words",
    ", ".join(METHODS),
    "all methods",
    "GET HEAD",
)
_ALLOWED: Final = {
    TextKind.EXACT: "a value that a request can have",
    TextKind.PREFIX: "text that a value can begin with",
    TextKind.REGEX: "a regular expression of RE2, of the whole value",
}


def _members(what: str, named: str) -> tuple[Annotation, ...]:
    return tuple(
        _row(
            f"{kind.value}-match-{what}-*",
            VENDOR,
            f"limits the rules to requests with this value in {named}",
            "string",
            _ALLOWED[kind],
            "",
            "gray",
        )
        for kind in KINDS
    )


HEADERS: Final = _members("header", "the header of that name")
QUERIES: Final = _members("query", "the query parameter of that name")
PSEUDO_HEADERS: Final = _members("pseudo-header", "the pseudo-header of HTTP/2 of that name")
ROWS: Final = (
    USE_REGEX,
    FULL_REGEX,
    IGNORE_CASE,
    ALIASES,
    MATCH_METHOD,
    *HEADERS,
    *QUERIES,
    *PSEUDO_HEADERS,
)

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")


def apply(reader: Reader, draft: Draft) -> None:
    if reader.dialect is Dialect.MSE:
        draft.paths = _paths(reader, draft.paths)
    draft.aliases = _aliases(reader)
    _apply_methods(reader, draft)
    for kind, headers, queries, pseudo in zip(KINDS, HEADERS, QUERIES, PSEUDO_HEADERS, strict=True):
        for given in reader.members(headers):
            if _is_usable(given, kind, headers, reader):
                draft.conditions.append(HeaderCondition(given.suffix.lower(), (given.text,), kind))
        for given in reader.members(queries):
            if _is_usable(given, kind, queries, reader):
                draft.conditions.append(QueryCondition(((given.suffix, given.text),), kind))
        for given in reader.members(pseudo):
            if _is_usable(given, kind, pseudo, reader):
                _apply_pseudo(given, kind, reader, draft.conditions)


def _paths(reader: Reader, before: PathOptions) -> PathOptions:
    """Return the meaning of paths in MSE. With the prefix of ingress-nginx, use-regex ignores case."""
    given = reader.given(USE_REGEX)
    uses_regex = reader.boolean(USE_REGEX)
    is_full = reader.boolean(FULL_REGEX)
    is_of_nginx = uses_regex and given is not None and given.is_of_nginx
    return replace(
        before,
        specific_is_prefix=True,
        is_regex=uses_regex or is_full or before.is_regex,
        is_full=is_full,
        regex_ignores_case=is_of_nginx or before.regex_ignores_case,
        ignores_case=reader.boolean(IGNORE_CASE),
    )


def _aliases(reader: Reader) -> tuple[str, ...]:
    given = reader.given(ALIASES)
    hosts: list[str] = []
    for item in reader.items(ALIASES) or ():
        try:
            hosts.append(parse_host(item))
        except HostProblem as problem:
            if given is not None:
                reader.reject(given, f"has {item!r}, which {problem}", ALIASES.allowed)
    return tuple(hosts)


def _apply_methods(reader: Reader, draft: Draft) -> None:
    given = reader.given(MATCH_METHOD)
    if given is None:
        return
    methods = tuple(dict.fromkeys(given.text.replace(",", " ").split()))
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods:
        problem = f"has {unknown[0]!r}, which is not a method" if unknown else "names no method"
        reader.reject(given, problem, MATCH_METHOD.allowed)
    else:
        draft.conditions.append(MethodCondition(methods))


def _is_usable(given: Given, kind: TextKind, row: Annotation, reader: Reader) -> bool:
    if not _TOKEN.fullmatch(given.suffix):
        reader.reject(given, "has a key that ends in no name", "a name of letters, digits and -_.")
    elif not _TEXT.fullmatch(given.text):
        reader.reject(given, "is not a value that a request can have", row.allowed)
    else:
        try:
            if kind is TextKind.REGEX:
                check_regex(given.text)
            return True
        except PatternProblem as problem:
            reader.reject(given, problem, row.allowed)
    return False


def _without_case(host: str, kind: TextKind) -> str:
    """Return a pattern for hosts, which a request's are compared with in lower case."""
    if kind is not TextKind.REGEX:
        return host.lower()
    return f"(?i){host}" if host != host.lower() else host


def _apply_pseudo(given: Given, kind: TextKind, reader: Reader, conditions: list[Condition]) -> None:
    if given.suffix == AUTHORITY:
        conditions.append(HostCondition((_without_case(given.text, kind),), kind))
    elif given.suffix == METHOD and kind is TextKind.EXACT:
        conditions.append(MethodCondition((given.text,)))
    else:
        allowed = f"a key that ends in {AUTHORITY}, or in {METHOD} if it is {TextKind.EXACT.value}"
        reader.reject(given, f"is about {given.suffix}, which the rules themselves say", allowed)
