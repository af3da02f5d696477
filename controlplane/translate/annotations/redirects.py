"""temporal-redirect, permanent-redirect, ssl-redirect, app-root: answers that send the client elsewhere."""

import re
from typing import Final

from msgspec.structs import replace

from controlplane.translate.annotations.draft import Draft, HttpsRedirect
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB_OR_NGINX, ANY_MSE, Annotation
from controlplane.translate.annotations.targets import ALLOWED, TargetProblem, redirect_to
from controlplane.translate.dialects import Dialect
from proxy.model.actions import Redirect
from proxy.model.grammar import REDIRECT_STATUSES as CODES
from proxy.model.paths import ascii_path
from proxy.validation.actions import of_redirect

TO_HTTPS: Final = Redirect(308, protocol="https", port="443")


def _row(name: str, summary: str, type_: str, allowed: str, default: str, example: str) -> Annotation:
    return Annotation(name, ANY_MSE, Dialect.MSE, summary, type_, allowed, default, example=example)


TEMPORAL: Final = _row(
    "temporal-redirect",
    "answers every request with a redirect to this URL, which clients do not remember",
    "URL",
    ALLOWED,
    "",
    "https://example.org/",
)
TEMPORAL_CODE: Final = _row(
    "temporal-redirect-code",
    "is the status of temporal-redirect",
    "integer",
    ", ".join(map(str, CODES)),
    "302",
    "307",
)
PERMANENT: Final = _row(
    "permanent-redirect",
    "answers every request with a redirect to this URL; temporal-redirect wins",
    "URL",
    ALLOWED,
    "",
    "https://example.org$request_uri",
)
PERMANENT_CODE: Final = _row(
    "permanent-redirect-code",
    "is the status of permanent-redirect",
    "integer",
    ", ".join(map(str, CODES)),
    "301",
    "308",
)
APP_ROOT: Final = _row(
    "app-root",
    "answers requests for / with a redirect to this path",
    "path",
    "a path other than /, of printable characters without ?, # and $",
    "",
    "/app",
)
ALB_TO_HTTPS: Final = Annotation(
    "ssl-redirect",
    ALB_OR_NGINX,
    Dialect.ALB,
    "redirects requests that came by http, as trusted proxies report it, to https with 308",
    type="boolean",
    allowed="true, false",
    default="false",
    example="true",
)
MSE_TO_HTTPS: Final = replace(ALB_TO_HTTPS, prefixes=ANY_MSE, dialect=Dialect.MSE)
FORCED: Final = replace(MSE_TO_HTTPS, name="force-ssl-redirect")
ROWS: Final = (
    TEMPORAL,
    TEMPORAL_CODE,
    PERMANENT,
    PERMANENT_CODE,
    APP_ROOT,
    ALB_TO_HTTPS,
    MSE_TO_HTTPS,
    FORCED,
)

_ROOT = re.compile(r"/[!-~]+")


def apply(reader: Reader, draft: Draft) -> None:
    _apply_root(reader, draft)
    temporal = _redirect(TEMPORAL, TEMPORAL_CODE, 302, reader)
    permanent = _redirect(PERMANENT, PERMANENT_CODE, 301, reader)
    if temporal is not None:
        reader.idle((PERMANENT,), f"{TEMPORAL.name} wins")
    draft.answer = temporal or permanent or draft.answer
    for row in (ALB_TO_HTTPS, MSE_TO_HTTPS, FORCED):
        given = reader.given(row)
        if reader.boolean(row) and given is not None:
            draft.to_https = HttpsRedirect(TO_HTTPS, given.field)
    if draft.to_https is not None and (temporal or permanent) is not None:
        wins = TEMPORAL if temporal is not None else PERMANENT
        reader.idle((ALB_TO_HTTPS, MSE_TO_HTTPS, FORCED), f"{wins.name} wins")
        draft.to_https = None


def _apply_root(reader: Reader, draft: Draft) -> None:
    given = reader.given(APP_ROOT)
    if given is None:
        return
    path = ascii_path(given.text)
    if _ROOT.fullmatch(path) and {"?", "#", "$"}.isdisjoint(path):
        draft.app_root, draft.app_root_field = path, given.field
    else:
        reader.reject(given, "is not a path to go to", APP_ROOT.allowed)


def _redirect(row: Annotation, code_row: Annotation, default: int, reader: Reader) -> Redirect | None:
    given = reader.given(row)
    if given is None:
        reader.idle((code_row,), f"there is no {row.name}")
        return None
    status = reader.choice(code_row, tuple(map(str, CODES)))
    try:
        answer = redirect_to(ascii_path(given.text), int(status or default))
    except TargetProblem as problem:
        reader.reject(given, problem, row.allowed)
        return None
    for found in of_redirect(answer):
        reader.reject(given, f"has the {found.part} {found.value}, which {found.problem}", row.allowed)
        return None
    return answer
