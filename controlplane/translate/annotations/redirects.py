"""temporal-redirect, permanent-redirect, ssl-redirect, app-root: answers that send the client elsewhere."""

import re
from dataclasses import replace
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import ALB_OR_NGINX, ANY_MSE, Annotation, Support
from controlplane.translate.dialects import Dialect
from proxy.model.actions import Redirect

CODES: Final = (301, 302, 303, 307, 308)
REQUEST_URI: Final = "$request_uri"

_URL: Final = (
    f"a URL that begins with http:// or https://; {REQUEST_URI} may stand where its path would begin"
)
_TO_HTTPS: Final = Redirect(308, protocol="https", port="443")


def _row(name: str, summary: str, type_: str, allowed: str, default: str, example: str) -> Annotation:
    return Annotation(name, ANY_MSE, Dialect.MSE, summary, type_, allowed, default, example=example)


TEMPORAL: Final = _row(
    "temporal-redirect",
    "answers every request with a redirect to this URL, which clients do not remember",
    "URL",
    _URL,
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
    _URL,
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
    "a path other than /, of printable ASCII characters without ?, # and $",
    "",
    "/app",
)
ALB_TO_HTTPS: Final = Annotation(
    "ssl-redirect",
    ALB_OR_NGINX,
    Dialect.ALB,
    "redirects requests on HTTP listeners to HTTPS with 308",
    type="boolean",
    allowed="true, false",
    default="false",
    support=Support.APPROXIMATED,
    note="requests are redirected to port 443, where this gateway does not listen yet: something in front of"
    " it has to take HTTPS",
    neutral=("false", ""),
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

_REDIRECT = re.compile(r"(https?)://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?((?:[/?#][!-~]*)?)")
_ROOT = re.compile(r"/[!-~]+")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def apply(reader: Reader, draft: Draft) -> None:
    _apply_root(reader, draft)
    temporal = _redirect(TEMPORAL, TEMPORAL_CODE, 302, reader)
    permanent = _redirect(PERMANENT, PERMANENT_CODE, 301, reader)
    if temporal is not None:
        reader.idle((PERMANENT,), f"{TEMPORAL.name} wins")
    to_https = [reader.boolean(row) for row in (ALB_TO_HTTPS, MSE_TO_HTTPS, FORCED)]
    if any(to_https):
        reader.idle((TEMPORAL, PERMANENT), "requests are redirected to HTTPS first")
        draft.answer = _TO_HTTPS
    else:
        draft.answer = temporal or permanent


def _apply_root(reader: Reader, draft: Draft) -> None:
    given = reader.given(APP_ROOT)
    if given is None:
        return
    if _ROOT.fullmatch(given.text) and {"?", "#", "$"}.isdisjoint(given.text):
        draft.app_root = given.text
    else:
        reader.reject(given, "is not a path to go to", APP_ROOT.allowed)


def _redirect(row: Annotation, code_row: Annotation, default: int, reader: Reader) -> Redirect | None:
    given = reader.given(row)
    if given is None:
        reader.idle((code_row,), f"there is no {row.name}")
        return None
    status = reader.choice(code_row, tuple(map(str, CODES)))
    return _to(given, int(status or default), reader)


def _to(given: Given, status: int, reader: Reader) -> Redirect | None:
    text, found, _ = given.text.partition(REQUEST_URI)
    match = _REDIRECT.fullmatch(text)
    is_whole = match is not None and (not found or (not match[4] and given.text.endswith(REQUEST_URI)))
    if match is None or "$" in text or not is_whole or integer(match[3] or "80", 1, 65535) is None:
        reader.reject(given, "is not a URL to go to", _URL)
        return None
    if not found:
        return Redirect(status, location=text)
    return Redirect(status, match[1], match[2], match[3] or _DEFAULT_PORTS[match[1]])
