"""timeout, proxy-read-timeout and proxy-next-upstream*: timeouts of requests, and their retries."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation, Support
from controlplane.translate.dialects import Dialect
from proxy.model.policies import Retry

MAX_SECONDS: Final = 86_400
MAX_TRIES: Final = 100
ERRORS: Final = ("error", "timeout", "invalid_header")
"""Failures that are always tried again, as far as that is safe: a connection failed or brought no answer."""
OFF: Final = "off"
NON_IDEMPOTENT: Final = "non_idempotent"
STATUSES: Final = (403, 404, 429, 500, 502, 503, 504)
WORDS: Final = (*ERRORS, OFF, NON_IDEMPOTENT, *(f"http_{status}" for status in STATUSES))

TIMEOUT: Final = Annotation(
    "timeout",
    VENDOR,
    Dialect.MSE,
    "is the time in seconds from the end of a request to the head of its response; 0 is no limit",
    "integer",
    f"an integer from 0 to {MAX_SECONDS}",
    "no limit",
    example="30",
)
READ_TIMEOUT: Final = Annotation(
    "proxy-read-timeout",
    ANY_MSE,
    Dialect.MSE,
    "is the time in seconds that an endpoint may take until its next byte",
    "integer",
    f"an integer from 1 to {MAX_SECONDS}",
    "no limit",
    Support.APPROXIMATED,
    "it holds from the end of the request to the head of the response, not between pieces of a body",
    example="120",
)
CONDITIONS: Final = Annotation(
    "proxy-next-upstream",
    ANY_MSE,
    Dialect.MSE,
    "names the failures after which a request is tried again, on another endpoint; error, timeout and"
    " invalid_header include 502, 503, 504",
    "words",
    ", ".join(WORDS),
    "error timeout",
    example="error timeout http_502",
)
TRIES: Final = Annotation(
    "proxy-next-upstream-tries",
    ANY_MSE,
    Dialect.MSE,
    "is the most tries of a request, the first included; with 0 only the time limits them",
    "integer",
    f"an integer from 0 to {MAX_TRIES}",
    "3",
    example="2",
)
TRY_TIMEOUT: Final = Annotation(
    "proxy-next-upstream-timeout",
    ANY_MSE,
    Dialect.MSE,
    "is the time in seconds that each try may take to the head of the response; 0 is no limit of its own",
    "integer",
    f"an integer from 0 to {MAX_SECONDS}",
    "0",
    example="5",
)
ROWS: Final = (TIMEOUT, READ_TIMEOUT, CONDITIONS, TRIES, TRY_TIMEOUT)

_GATEWAY: Final = (502, 503, 504)


def apply(reader: Reader, draft: Draft) -> None:
    read = reader.integer(READ_TIMEOUT, 1, MAX_SECONDS)
    whole = reader.integer(TIMEOUT, 0, MAX_SECONDS)
    seconds = read if whole is None else whole
    if seconds is not None:
        draft.response_timeout_s = float(seconds)
    if any(reader.given(row) is not None for row in (CONDITIONS, TRIES, TRY_TIMEOUT)):
        draft.retry = _retry(reader)


def _retry(reader: Reader) -> Retry:
    tries = reader.integer(TRIES, 0, MAX_TRIES)
    seconds = reader.integer(TRY_TIMEOUT, 0, MAX_SECONDS)
    words = _words(reader)
    if OFF in words:
        return Retry(tries=1)
    statuses = {status for status in STATUSES if f"http_{status}" in words}
    if not statuses or not words.isdisjoint(ERRORS):
        statuses.update(_GATEWAY)
    return Retry(
        tries=3 if tries is None else tries or MAX_TRIES,
        statuses=tuple(sorted(statuses)),
        non_idempotent=NON_IDEMPOTENT in words,
        try_timeout_s=float(seconds) if seconds else None,
    )


def _words(reader: Reader) -> frozenset[str]:
    given = reader.given(CONDITIONS)
    if given is None:
        return frozenset()
    words = frozenset(given.text.replace(",", " ").split())
    unknown = sorted(words.difference(WORDS))
    if unknown:
        reader.reject(given, f"has {', '.join(unknown)}, which is not a condition", CONDITIONS.allowed)
    elif not words:
        reader.reject(given, "is empty", CONDITIONS.allowed)
    return words
