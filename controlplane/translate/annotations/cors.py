"""enable-cors and cors-*: which pages of other origins may read the answers."""

from typing import Final

import msgspec
from msgspec.structs import replace

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, ANY_MSE, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.policies import Cors
from proxy.validation.policies import of_cors

_METHODS: Final = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
_HEADERS: Final = (
    "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,"
    "Authorization"
)
_MAX_AGE_S: Final = {Dialect.ALB: 172_800, Dialect.MSE: 1_728_000}
"""The default; of ALB also the highest."""
_NO_CORS: Final = Cors()
_HIGHEST_AGE_S: Final = {Dialect.ALB: 172_800, Dialect.MSE: 31_536_000}


def _row(
    name: str, summary: str, type_: str, allowed: str, default: str = "", example: str = ""
) -> Annotation:
    return Annotation(
        name, (ALB,), Dialect.ALB, summary, type=type_, allowed=allowed, default=default, example=example
    )


_FIELD_NAMES: Final = "header names, or *"
ENABLED: Final = _row(
    "enable-cors",
    "answers preflights, and lets pages of other origins read answers",
    "boolean",
    "true, false",
    "false",
)
ORIGINS: Final = _row(
    "cors-allow-origin",
    "names the origins that may read answers",
    "comma list",
    "*, or origins like https://shop.example.com, with * for any run of characters",
    "*",
    "https://shop.example.com",
)
METHODS: Final = _row(
    "cors-allow-methods",
    "names the methods that allowed origins may use",
    "comma list",
    "methods, or *",
    _METHODS,
)
HEADERS: Final = _row(
    "cors-allow-headers",
    "names the headers that allowed origins may send",
    "comma list",
    _FIELD_NAMES,
    _HEADERS,
)
EXPOSE: Final = _row(
    "cors-expose-headers",
    "names the headers of answers that allowed origins may read",
    "comma list",
    _FIELD_NAMES,
)
CREDENTIALS: Final = _row(
    "cors-allow-credentials", "lets allowed origins send cookies", "boolean", "true, false", "true"
)
MAX_AGE: Final = _row(
    "cors-max-age",
    "is the time that browsers may keep the answer to a preflight; -1 keeps none",
    "seconds",
    f"-1 to {_HIGHEST_AGE_S[Dialect.ALB]} seconds",
    str(_MAX_AGE_S[Dialect.ALB]),
)
_ALB_ROWS: Final = (ENABLED, ORIGINS, METHODS, HEADERS, EXPOSE, CREDENTIALS, MAX_AGE)
_MSE_ROWS: Final = (
    *(replace(row, prefixes=ANY_MSE, dialect=Dialect.MSE) for row in _ALB_ROWS[:-1]),
    replace(
        MAX_AGE,
        prefixes=ANY_MSE,
        dialect=Dialect.MSE,
        allowed=f"-1 to {_HIGHEST_AGE_S[Dialect.MSE]} seconds",
        default=str(_MAX_AGE_S[Dialect.MSE]),
    ),
)
_SPELLINGS: Final = {Dialect.ALB: _ALB_ROWS, Dialect.MSE: _MSE_ROWS}
ROWS: Final = (*_ALB_ROWS, *_MSE_ROWS)


def apply(reader: Reader, draft: Draft) -> None:
    """Read every value, so that an unusable one is reported even while CORS is off."""
    enabled, origins, methods, headers, expose, credentials, max_age = _SPELLINGS[reader.dialect]
    cors = Cors(
        origins=_origins(reader, origins),
        methods=_items(reader, methods, "methods") or tuple(_METHODS.split(", ")),
        headers=_items(reader, headers, "headers") or tuple(_HEADERS.split(",")),
        expose_headers=_items(reader, expose, "expose_headers"),
        credentials=reader.boolean(credentials, default=True),
        max_age_s=_max_age_s(reader, max_age),
    )
    if reader.boolean(enabled):
        draft.cors = cors
    else:
        reader.idle((origins, methods, headers, expose, credentials, max_age), f"{enabled.name} is not true")


def _origins(reader: Reader, row: Annotation) -> tuple[str, ...]:
    """Return the origins; report those that a browser never sends."""
    origins = _items(reader, row, "origins") or ("*",)
    given = reader.given(row)
    for origin in origins:
        if given is not None and origin != "null" and "*" not in origin and "://" not in origin:
            note = f"every origin has a scheme, so none is {origin}; write e.g. https://{origin}"
            reader.findings.add("FG0202", given.field, given.text, note=note)
    return origins


def _items(reader: Reader, row: Annotation, part: str) -> tuple[str, ...]:
    """Return the items of a comma list that can be this part of a policy."""
    given = reader.given(row)
    if given is None or not given.text:
        return ()
    items = reader.items(row) or ()
    for found in of_cors(msgspec.structs.replace(_NO_CORS, **{part: items})):
        reader.reject(given, f"has {found.value}, which {found.problem}", row.allowed)
        return ()
    return ("*",) if "*" in items else items


def _max_age_s(reader: Reader, row: Annotation) -> int:
    given = reader.given(row)
    if given is not None and given.text == "-1":
        return -1
    age_s = reader.integer(row, 0, _HIGHEST_AGE_S[reader.dialect])
    return _MAX_AGE_S[reader.dialect] if age_s is None else age_s
