"""fleetgate.io/hsts: browsers that came over HTTPS once come over nothing else (RFC 6797)."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import OWN, Annotation

HSTS: Final = Annotation(
    "hsts",
    (OWN,),
    None,
    "adds Strict-Transport-Security with this value to responses over HTTPS that have none, never over HTTP",
    type="directives",
    allowed="max-age=<seconds>, and behind it, each after a semicolon, includeSubDomains and preload",
    example="max-age=31536000; includeSubDomains",
)
ROWS: Final = (HSTS,)

_MAX_AGE: Final = re.compile(r'max-age *= *(?:"([0-9]{1,10})"|([0-9]{1,10}))', re.IGNORECASE)
_FLAGS: Final = {name.lower(): name for name in ("includeSubDomains", "preload")}


def apply(reader: Reader, draft: Draft) -> None:
    given = reader.given(HSTS)
    if given is None:
        return
    try:
        draft.hsts = parse_hsts(given.text)
    except ValueError as problem:
        reader.reject(given, problem, HSTS.allowed)


def parse_hsts(text: str) -> str:
    """Return the value in normal form. Raises ValueError, with what is wrong."""
    age = ""
    flags: list[str] = []
    for directive in (part.strip() for part in text.split(";")):
        if not directive:
            continue  # RFC 6797 §6.1 lets directives be empty
        match = _MAX_AGE.fullmatch(directive)
        flag = _FLAGS.get(directive.lower())
        if match is not None and not age:
            age = f"max-age={int(match[1] or match[2])}"
        elif flag is not None and flag not in flags:
            flags.append(flag)
        elif match is not None or flag is not None:
            raise ValueError(f"has {directive!r}, which stands there twice")
        else:
            raise ValueError(f"has {directive!r}, which is no directive of it")
    if not age:
        raise ValueError("has no max-age")
    return "; ".join((age, *flags))
