"""The page of one finding."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """Sentences for somebody who meets the finding for the first time.

    `example` is what the finding is made from: a piece of a manifest, or of what surrounds it.
    """

    cause: str
    example: str
    fix: str
