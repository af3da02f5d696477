"""sticky-session and its cookie: a client stays with the endpoint that answered it first."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.forward_groups import STICKY_COOKIE, STICKY_S
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.actions import Sticky, StickyMode

_LOWEST, _HIGHEST, _DEFAULT = STICKY_S
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#%&'*+.^_`|~-][A-Za-z0-9!#$%&'*+.^_`|~-]{0,199}")

ENABLED: Final = Annotation(
    "sticky-session",
    (ALB,),
    Dialect.ALB,
    "keeps a client with the endpoint that answered it first, as long as that endpoint can serve",
    type="boolean",
    allowed="true, false",
    default="false",
    example="true",
)
TYPE: Final = Annotation(
    "sticky-session-type",
    (ALB,),
    Dialect.ALB,
    f"chooses the cookie that names the endpoint: the gateway's ({STICKY_COOKIE}) or one of the endpoint",
    type="word",
    allowed="Insert, Server",
    default="Insert",
    example="Server",
)
LIFETIME: Final = Annotation(
    "cookie-timeout",
    (ALB,),
    Dialect.ALB,
    "is the time that clients keep the gateway's cookie",
    type="seconds",
    allowed=f"{_LOWEST} to {_HIGHEST} seconds",
    default=str(_DEFAULT),
    example="1800",
)
COOKIE: Final = Annotation(
    "cookie",
    (ALB,),
    Dialect.ALB,
    "names the endpoint's cookie, with sticky-session-type Server",
    type="cookie name",
    allowed="1 to 200 of the characters a cookie's name can have, not starting with $",
    example="JSESSIONID",
)
ROWS: Final = (ENABLED, TYPE, LIFETIME, COOKIE)


def apply(reader: Reader, draft: Draft) -> None:
    kind = reader.choice(TYPE, ("Insert", "Server")) or "Insert"
    lifetime_s = reader.integer(LIFETIME, _LOWEST, _HIGHEST) or _DEFAULT
    cookie = _cookie(reader)
    if not reader.boolean(ENABLED):
        reader.idle((TYPE, LIFETIME, COOKIE), f"{ENABLED.name} is not true")
        return
    if kind == "Insert":
        draft.sticky = Sticky(STICKY_COOKIE, max_age_s=lifetime_s)
    elif cookie:
        draft.sticky = Sticky(cookie, StickyMode.REWRITE)
    elif cookie is None and (given := reader.given(TYPE)) is not None:
        reader.reject(given, f"needs the annotation {COOKIE.keys[0]}", TYPE.allowed)


def _cookie(reader: Reader) -> str | None:
    """Return the name; None when none is given, "" when it cannot be used."""
    given = reader.given(COOKIE)
    if given is None or not given.text:
        return None
    if _COOKIE_NAME.fullmatch(given.text):
        return given.text
    reader.reject(given, "is not the name of a cookie", COOKIE.allowed)
    return ""
