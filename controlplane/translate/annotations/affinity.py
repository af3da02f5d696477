"""affinity and session-cookie-*: a client stays with the endpoint that answered it first."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, Annotation, Support
from controlplane.translate.dialects import Dialect
from proxy.model.actions import Sticky

MAX_AGE_S: Final = 315_360_000
COOKIE: Final = "INGRESSCOOKIE"

_SECONDS: Final = f"an integer from 0 to {MAX_AGE_S}; 0 is for the browser's session"


def _row(
    name: str, summary: str, type_: str, allowed: str, default: str = "", example: str = ""
) -> Annotation:
    return Annotation(name, ANY_MSE, Dialect.MSE, summary, type_, allowed, default, example=example)


AFFINITY: Final = _row(
    "affinity",
    "keeps a client with the endpoint that answered it first, as long as that endpoint can serve",
    "word",
    "cookie",
    example="cookie",
)
NAME: Final = _row(
    "session-cookie-name",
    "names the cookie of affinity",
    "cookie name",
    "1 to 200 of the characters a cookie's name can have",
    COOKIE,
    "SESSION",
)
PATH: Final = _row(
    "session-cookie-path",
    "is the path for which browsers send the cookie of affinity",
    "path",
    "a path of printable ASCII characters without ; and ,",
    "/",
    "/app",
)
MAX_AGE: Final = _row(
    "session-cookie-max-age",
    "is the time in seconds that clients keep the cookie of affinity",
    "integer",
    _SECONDS,
    "for the browser's session",
    "3600",
)
EXPIRES: Final = _row(
    "session-cookie-expires",
    "does the same as session-cookie-max-age, which wins over it",
    "integer",
    _SECONDS,
    "for the browser's session",
    "3600",
)
MODE: Final = Annotation(
    "affinity-mode",
    ANY_MSE,
    Dialect.MSE,
    "says whether clients move when endpoints are added",
    "word",
    "balanced, persistent",
    "balanced",
    Support.NO_EFFECT,
    "clients stay with their endpoint, also when others are added",
    ("balanced", "persistent"),
    example="balanced",
)
CANARY_BEHAVIOR: Final = Annotation(
    "affinity-canary-behavior",
    ANY_MSE,
    Dialect.MSE,
    "says whether a client stays with the canary or the base",
    "word",
    "sticky, legacy",
    "sticky",
    Support.NO_EFFECT,
    "a client stays with the endpoint that answered it first, be it one of the canary or of the base, as with"
    " sticky",
    ("sticky",),
    example="sticky",
)
ROWS: Final = (AFFINITY, NAME, PATH, MAX_AGE, EXPIRES, MODE, CANARY_BEHAVIOR)

_NAME = re.compile(r"[A-Za-z0-9!#%&'*+.^_`|~-][A-Za-z0-9!#$%&'*+.^_`|~-]{0,199}")
_PATH = re.compile(r"/[!-+\--:<-~]*")


def apply(reader: Reader, draft: Draft) -> None:
    if reader.given(AFFINITY) is None:
        reader.idle((NAME, PATH, MAX_AGE, EXPIRES), f"there is no {AFFINITY.name}")
        return
    reader.choice(AFFINITY, ("cookie",))
    if reader.given(MAX_AGE) is not None:
        reader.idle((EXPIRES,), f"{MAX_AGE.name} wins")
    row = MAX_AGE if reader.given(MAX_AGE) is not None else EXPIRES
    draft.sticky = Sticky(
        _matching(NAME, _NAME, COOKIE, reader),
        max_age_s=reader.integer(row, 0, MAX_AGE_S) or None,
        path=_matching(PATH, _PATH, "/", reader),
    )


def _matching(row: Annotation, grammar: re.Pattern[str], default: str, reader: Reader) -> str:
    given = reader.given(row)
    if given is None:
        return default
    if not grammar.fullmatch(given.text):
        reader.reject(given, f"is not a {row.type}", row.allowed)
        return default
    return given.text
