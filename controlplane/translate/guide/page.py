"""The page of one finding."""

import msgspec


class Page(msgspec.Struct, frozen=True):
    """Sentences for readers who meet the finding for the first time.

    `example` is a piece of a manifest with the fault, or of the circumstances that cause the finding.
    """

    cause: str
    example: str
    fix: str
