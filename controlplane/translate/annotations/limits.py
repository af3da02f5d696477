"""route-limit-*, rate-limit, concurrency-limit, limit-rps and limit-rpm: how much a rule takes at a time."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.loosejson import JsonProblem, read
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.actions import FixedResponse, Redirect
from proxy.model.policies import ConcurrencyLimit, LimitScope, RateLimit, Refusal

HIGHEST: Final = 1_000_000
MULTIPLIERS: Final = (1, 1000)
_MULTIPLIER: Final = 5
_COUNT: Final = f"an integer from 1 to {HIGHEST}"
_TIMES: Final = f"an integer from {MULTIPLIERS[0]} to {MULTIPLIERS[1]}"
_ROUTE_REFUSAL: Final = FixedResponse(429, "local_rate_limited")
_CLIENT_REFUSAL: Final = FixedResponse(503, "Too many requests.\n")
"""ingress-nginx answers 503 unless its limit-req-status-code says otherwise."""
_BODY: Final = "sentinel rate limited"
_STATUSES: Final = (200, 599)
_MAX_BODY: Final = 4096


def _row(
    name: str,
    summary: str,
    allowed: str = _COUNT,
    example: str = "100",
    *,
    type_: str = "integer",
    default: str = "",
    prefixes: tuple[str, ...] = VENDOR,
) -> Annotation:
    return Annotation(name, prefixes, Dialect.MSE, summary, type_, allowed, default, example=example)


ROUTE_RPM: Final = _row("route-limit-rpm", "answers 429 to more requests a minute than this, for each rule")
ROUTE_RPS: Final = _row(
    "route-limit-rps", "answers 429 to more requests a second than this, for each rule; route-limit-rpm wins"
)
ROUTE_BURST: Final = _row(
    "route-limit-burst-multiplier",
    "sets how many requests may come at once, as a multiple of the limit",
    _TIMES,
    "2",
    default=str(_MULTIPLIER),
)
CLIENT_RPM: Final = _row(
    "limit-rpm",
    "answers 503 to more requests a minute from one client address than this, for each rule",
    prefixes=ANY_MSE,
)
CLIENT_RPS: Final = _row(
    "limit-rps",
    "answers 503 to more requests a second from one client address than this, for each rule",
    prefixes=ANY_MSE,
)
CLIENT_BURST: Final = _row(
    "limit-burst-multiplier",
    "sets how many requests of a client may come at once, as a multiple of the limit",
    _TIMES,
    "2",
    default=str(_MULTIPLIER),
    prefixes=ANY_MSE,
)
RATE: Final = _row("rate-limit", "refuses more requests a second than this, for each rule")
CONCURRENCY: Final = _row(
    "concurrency-limit", "refuses more requests at the same time than this, for each rule"
)


def _fallback_rows(limit: str) -> tuple[Annotation, Annotation, Annotation, Annotation]:
    return (
        _row(
            f"{limit}-fallback-custom-response-code",
            f"is the status for requests that {limit} turns away",
            f"an integer from {_STATUSES[0]} to {_STATUSES[1]}",
            "503",
            default="429",
        ),
        _row(
            f"{limit}-fallback-custom-response-body-type",
            f"is the type of the body for requests that {limit} turns away",
            "text, json",
            "json",
            type_="word",
            default="text",
        ),
        _row(
            f"{limit}-fallback-custom-response-body",
            f"is the body for requests that {limit} turns away",
            f"up to {_MAX_BODY} characters; JSON with the body type json",
            "come back later",
            type_="string",
            default=_BODY,
        ),
        _row(
            f"{limit}-fallback-redirect-url",
            f"redirects requests that {limit} turns away to a URL, instead of a status and a body",
            "a URL that begins with http:// or https://, without $",
            "https://example.com/busy",
            type_="URL",
        ),
    )


RATE_FALLBACK: Final = _fallback_rows("rate-limit")
CONCURRENCY_FALLBACK: Final = _fallback_rows("concurrency-limit")
ROWS: Final = (
    ROUTE_RPM,
    ROUTE_RPS,
    ROUTE_BURST,
    CLIENT_RPM,
    CLIENT_RPS,
    CLIENT_BURST,
    RATE,
    *RATE_FALLBACK,
    CONCURRENCY,
    *CONCURRENCY_FALLBACK,
)


def apply(reader: Reader, draft: Draft) -> None:
    _apply_route(reader, draft)
    _apply_client(reader, draft)
    rate = reader.integer(RATE, 1, HIGHEST)
    refusal = _refusal(RATE, RATE_FALLBACK, reader)
    if rate is not None:
        draft.rate_limits.append(RateLimit(rate, refusal))
    count = reader.integer(CONCURRENCY, 1, HIGHEST)
    refusal = _refusal(CONCURRENCY, CONCURRENCY_FALLBACK, reader)
    if count is not None:
        draft.concurrency = ConcurrencyLimit(count, refusal)


def _apply_route(reader: Reader, draft: Draft) -> None:
    """Of the two limits the one per minute holds, as in Higress."""
    per_minute = reader.integer(ROUTE_RPM, 1, HIGHEST)
    per_second = reader.integer(ROUTE_RPS, 1, HIGHEST)
    times = _times(ROUTE_BURST, reader)
    if reader.given(ROUTE_RPM) is not None:
        reader.idle((ROUTE_RPS,), f"{ROUTE_RPM.name} wins")
    if per_minute is not None:
        draft.rate_limits.append(RateLimit(per_minute, _ROUTE_REFUSAL, 60, per_minute * times))
    elif per_second is not None:
        draft.rate_limits.append(RateLimit(per_second, _ROUTE_REFUSAL, 1, per_second * times))
    elif reader.given(ROUTE_RPM) is None and reader.given(ROUTE_RPS) is None:
        reader.idle((ROUTE_BURST,), f"there is no {ROUTE_RPS.name} and no {ROUTE_RPM.name}")


def _apply_client(reader: Reader, draft: Draft) -> None:
    """Both hold, as in ingress-nginx."""
    times = _times(CLIENT_BURST, reader)
    for row, per_s in ((CLIENT_RPM, 60), (CLIENT_RPS, 1)):
        count = reader.integer(row, 1, HIGHEST)
        if count is not None:
            limit = RateLimit(count, _CLIENT_REFUSAL, per_s, count * times, LimitScope.CLIENT)
            draft.rate_limits.append(limit)
    if reader.given(CLIENT_RPM) is None and reader.given(CLIENT_RPS) is None:
        reader.idle((CLIENT_BURST,), f"there is no {CLIENT_RPS.name} and no {CLIENT_RPM.name}")


def _times(row: Annotation, reader: Reader) -> int:
    return reader.integer(row, *MULTIPLIERS) or _MULTIPLIER


def _refusal(limit: Annotation, rows: tuple[Annotation, ...], reader: Reader) -> Refusal:
    """Return the answer to refused requests: a status and body, or a redirect."""
    code_row, type_row, body_row, url_row = rows
    if reader.given(limit) is None:
        reader.idle(rows, f"there is no {limit.name}")
        return FixedResponse(429, _BODY)
    url = reader.given(url_row)
    if url is None:
        return _response(code_row, type_row, body_row, reader)
    if not url.text.startswith(("http://", "https://")) or not _is_url(url.text):
        reader.reject(url, "is not a URL to go to", url_row.allowed)
    for row in (code_row, body_row):
        given = reader.given(row)
        if given is not None:
            reader.reject(given, f"contradicts {url_row.name}", "one of the two annotations")
    return Redirect(302, location=url.text)


def _is_url(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and "$" not in text


def _response(code_row: Annotation, type_row: Annotation, body_row: Annotation, reader: Reader) -> Refusal:
    code = reader.integer(code_row, *_STATUSES) or 429
    kind = reader.choice(type_row, ("text", "json")) or "text"
    given = reader.given(body_row)
    body = given.text if given is not None else _BODY
    if given is not None and len(body) > _MAX_BODY:
        reader.reject(given, f"has {len(body)} characters", body_row.allowed)
    if kind == "text":
        return FixedResponse(code, body)
    if given is not None:
        try:
            read(body)
        except JsonProblem as problem:
            reader.reject(given, problem, body_row.allowed)
    return FixedResponse(code, body, "application/json")
