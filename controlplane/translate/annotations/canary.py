"""canary*: an Ingress that takes a part of the traffic of another Ingress with the same host and path.

One of its annotations decides which requests it takes: the first of `_KINDS` that the Ingress has, as in
Higress. The same order decides between the canaries of a base. translate/canaries.py reads the result.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from controlplane.translate.annotations.draft import Canary, Draft
from controlplane.translate.annotations.expressions import PatternProblem, check_regex
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import ALB_OR_NGINX, ANY_MSE, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.conditions import Condition, CookieCondition, HeaderCondition, QueryCondition, TextKind

MAX_TOTAL: Final = 1_000_000
ALWAYS: Final = "always"

_HEADER_NAME: Final = "the name of a header: letters, digits and -_.!#$%&'*+^`|~"
_COOKIE_NAME: Final = "the name of a cookie: letters, digits and -_.!#$%&'*+^`|~"
_QUERY_NAME: Final = "the name of a query parameter, as it is after percent-decoding"
_VALUE: Final = "1 to 4096 printable characters"
_PATTERN: Final = "a regular expression of RE2, which any part of the value matches"


def _row(
    name: str,
    summary: str,
    type_: str = "string",
    allowed: str = _VALUE,
    default: str = "",
    example: str = "",
) -> Annotation:
    return Annotation(name, ANY_MSE, Dialect.MSE, summary, type_, allowed, default, example=example)


CANARY: Final = _row(
    "canary",
    "makes the Ingress a canary: it takes a part of the traffic of the Ingress with the same host and path",
    "boolean",
    "true, false",
    "false",
    "true",
)
HEADER: Final = _row(
    "canary-by-header",
    "sends requests with this header to the canary: with the value always, unless another annotation says"
    " otherwise",
    "header name",
    _HEADER_NAME,
    example="stage",
)
HEADER_VALUE: Final = _row(
    "canary-by-header-value",
    "is the value of the header that leads to the canary; the value always leads there, too",
    example="gray",
)
HEADER_PATTERN: Final = _row(
    "canary-by-header-pattern",
    "sends requests to the canary if a part of this header matches",
    "regular expression",
    _PATTERN,
    example="^(gray|blue)$",
)
QUERY: Final = _row(
    "canary-by-query",
    "sends requests with this query parameter to the canary: with the value always, unless another"
    " annotation says otherwise",
    "parameter name",
    _QUERY_NAME,
    example="stage",
)
QUERY_VALUE: Final = _row(
    "canary-by-query-value",
    "is the value of the query parameter that leads to the canary; the value always leads there, too",
    example="gray",
)
QUERY_PATTERN: Final = _row(
    "canary-by-query-pattern",
    "sends requests to the canary if a part of this query parameter matches",
    "regular expression",
    _PATTERN,
    example="^gray",
)
COOKIE: Final = _row(
    "canary-by-cookie",
    "sends requests with this cookie to the canary: with the value always, unless another annotation says"
    " otherwise",
    "cookie name",
    _COOKIE_NAME,
    example="stage",
)
COOKIE_VALUE: Final = _row(
    "canary-by-cookie-value",
    "is the value of the cookie that leads to the canary; the value always leads there, too",
    example="gray",
)
WEIGHT: Final = _row(
    "canary-weight",
    "is the number of requests that the canary gets of every canary-weight-total; the base gets the rest",
    "integer",
    "an integer from 0 to canary-weight-total, which is 100 if it is not given",
    "0",
    "10",
)
TOTAL: Final = _row(
    "canary-weight-total",
    "is the total that canary-weight is a part of; where a base has several canaries, that of the oldest"
    " holds",
    "integer",
    f"an integer from 1 to {MAX_TOTAL}",
    "100",
    "1000",
)
_MSE_ROWS: Final = (
    CANARY,
    HEADER,
    HEADER_VALUE,
    HEADER_PATTERN,
    QUERY,
    QUERY_VALUE,
    QUERY_PATTERN,
    COOKIE,
    COOKIE_VALUE,
    WEIGHT,
    TOTAL,
)


def _alb(row: Annotation, summary: str = "", allowed: str = "") -> Annotation:
    """Return the row as ALB has it."""
    return replace(
        row,
        prefixes=ALB_OR_NGINX,
        dialect=Dialect.ALB,
        summary=summary or row.summary,
        allowed=allowed or row.allowed,
    )


ALB_CANARY: Final = _alb(CANARY)
ALB_HEADER: Final = _alb(
    HEADER, "names the header that leads to the canary by its value, canary-by-header-value"
)
ALB_HEADER_VALUE: Final = _alb(HEADER_VALUE, "is the value of the header that leads to the canary")
ALB_COOKIE: Final = _alb(COOKIE, "sends requests with this cookie to the canary, if its value is always")
ALB_WEIGHT: Final = _alb(
    WEIGHT,
    "is the percentage of requests that the canary gets; the base gets the rest",
    "an integer from 0 to 100",
)
_ALB_ROWS: Final = (ALB_CANARY, ALB_HEADER, ALB_HEADER_VALUE, ALB_COOKIE, ALB_WEIGHT)
ROWS: Final = (*_MSE_ROWS, *_ALB_ROWS)

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_PARAMETER = re.compile(r"[^\x00-\x20\x7f]{1,256}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")
_METACHARACTERS = re.compile(r"[\\^$*+?()\[\]{}|]")

_Make = Callable[[str, tuple[str, ...], TextKind], Condition]


def _header(name: str, values: tuple[str, ...], kind: TextKind) -> Condition:
    return HeaderCondition(name.lower(), values, kind)


def _query(name: str, values: tuple[str, ...], kind: TextKind) -> Condition:
    return QueryCondition(tuple((name, value) for value in values), kind)


def _cookie(name: str, values: tuple[str, ...], kind: TextKind) -> Condition:
    return CookieCondition(tuple((name, value) for value in values), kind)


class _Kind(msgspec.Struct, frozen=True):
    """A way to choose requests: the annotation with the name, that with the value (None: `always`)."""

    name: Annotation
    value: Annotation | None
    grammar: re.Pattern[str]
    make: _Make


_KINDS: Final = (
    _Kind(HEADER, HEADER_VALUE, _TOKEN, _header),
    _Kind(HEADER, HEADER_PATTERN, _TOKEN, _header),
    _Kind(HEADER, None, _TOKEN, _header),
    _Kind(QUERY, QUERY_VALUE, _PARAMETER, _query),
    _Kind(QUERY, QUERY_PATTERN, _PARAMETER, _query),
    _Kind(QUERY, None, _PARAMETER, _query),
    _Kind(COOKIE, COOKIE_VALUE, _TOKEN, _cookie),
    _Kind(COOKIE, None, _TOKEN, _cookie),
)
_PATTERNS: Final = (HEADER_PATTERN, QUERY_PATTERN)


class _Spelling(msgspec.Struct, frozen=True):
    """The annotations as a dialect has them; `kinds` by precedence."""

    canary: Annotation
    kinds: tuple[_Kind, ...]
    cookie: Annotation
    weight: Annotation
    total: Annotation | None
    rows: tuple[Annotation, ...]


_SPELLINGS: Final = {
    Dialect.MSE: _Spelling(CANARY, _KINDS, COOKIE, WEIGHT, TOTAL, _MSE_ROWS),
    Dialect.ALB: _Spelling(
        ALB_CANARY,
        (_Kind(ALB_HEADER, ALB_HEADER_VALUE, _TOKEN, _header), _Kind(ALB_COOKIE, None, _TOKEN, _cookie)),
        ALB_COOKIE,
        ALB_WEIGHT,
        None,
        _ALB_ROWS,
    ),
}


def apply(reader: Reader, draft: Draft) -> None:
    spelling = _SPELLINGS[reader.dialect]
    rows = spelling.rows[1:]
    if not reader.boolean(spelling.canary):
        reader.idle(rows, f"the Ingress is no canary without {spelling.canary.name}: true")
        return
    kind = next((kind for kind in spelling.kinds if _is_asked_for(kind, reader)), None)
    if kind is None:
        draft.canary = _weighted(reader, spelling)
        return
    used = (kind.name,) if kind.value is None else (kind.name, kind.value)
    _report_shadowed(kind, spelling, reader)
    reader.idle([row for row in rows if row not in used], f"{used[-1].name} alone decides")
    condition = _condition(kind, reader)
    if condition is not None:
        rank = len(spelling.kinds) - spelling.kinds.index(kind)
        draft.canary = Canary(condition, rank, field=_field(used[-1], reader))


def _report_shadowed(kind: _Kind, spelling: _Spelling, reader: Reader) -> None:
    """Report annotations that would send requests to the canary under ingress-nginx, and do not here."""
    for row in (spelling.weight, spelling.cookie):
        given = reader.given(row)
        if given is not None and row is not kind.name and given.text not in ("", "0"):
            reader.findings.add("FG0232", given.field, given.text, decides=kind.name.name)


def _is_asked_for(kind: _Kind, reader: Reader) -> bool:
    return reader.given(kind.name) is not None and (
        kind.value is None or reader.given(kind.value) is not None
    )


def _condition(kind: _Kind, reader: Reader) -> Condition | None:
    name = reader.given(kind.name)
    if name is None or not kind.grammar.fullmatch(name.text):
        if name is not None:
            reader.reject(name, "is not a name that it can be", kind.name.allowed)
        return None
    if kind.value is None:
        return kind.make(name.text, (ALWAYS,), TextKind.EXACT)
    value = reader.given(kind.value)
    if value is None or not _TEXT.fullmatch(value.text):
        if value is not None:
            reader.reject(value, "is not a value that a request can have", kind.value.allowed)
        return None
    if kind.value in _PATTERNS:
        return _matching(kind, name.text, value, reader)
    if _METACHARACTERS.search(value.text):
        note = "the value is compared as it is, where Higress would read a regular expression"
        reader.findings.add("FG0202", value.field, value.text, note=note)
    return kind.make(name.text, tuple(dict.fromkeys((value.text, ALWAYS))), TextKind.EXACT)


def _matching(kind: _Kind, name: str, value: Given, reader: Reader) -> Condition | None:
    anywhere = f".*(?:{value.text}).*"
    try:
        check_regex(value.text)
        check_regex(anywhere)  # which is a little longer, and length has a limit
    except PatternProblem as problem:
        reader.reject(value, problem, _PATTERN)
        return None
    return kind.make(name, (anywhere,), TextKind.REGEX)


def _weighted(reader: Reader, spelling: _Spelling) -> Canary | None:
    total = reader.integer(spelling.total, 1, MAX_TOTAL) if spelling.total is not None else None
    if reader.given(spelling.weight) is None:
        note = "no annotation chooses requests for the canary, so it gets none"
        reader.findings.add("FG0204", _field(spelling.canary, reader), "true", note=note)
    weight = reader.integer(spelling.weight, 0, total or 100)
    return Canary(weight=weight or 0, total=total, field=_field(spelling.weight, reader))


def _field(row: Annotation, reader: Reader) -> str:
    given = reader.given(row)
    return given.field if given is not None else ""
