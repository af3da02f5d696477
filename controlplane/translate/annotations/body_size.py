"""proxy-body-size: how large the body of a request may be."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, Annotation

LARGEST: Final = 1 << 50
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"([0-9]{1,16})([kmg]?)", re.IGNORECASE)  # as nginx writes sizes

BODY_SIZE: Final = Annotation(
    "proxy-body-size",
    ANY_MSE,
    None,  # a limit protects an application: every dialect reads it
    "answers 413 to requests with a larger body; 0 allows any size",
    "size",
    "bytes, with k, m or g at the end so many times 1024; 0 to 1048576g",
    "the gateway's max-body-bytes",
    example="8m",
)
ROWS: Final = (BODY_SIZE,)


def apply(reader: Reader, draft: Draft) -> None:
    given = reader.given(BODY_SIZE)
    if given is None or not given.text:
        return
    size = parse_size(given.text)
    if size is None:
        reader.reject(given, "is not a size", BODY_SIZE.allowed)
    draft.max_body_bytes = size


def parse_size(text: str) -> int | None:
    """Return the bytes of a size in nginx's notation; None for other texts and for sizes above any body."""
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    size = int(found[1]) * _UNITS[found[2].lower()]
    return size if size <= LARGEST else None
