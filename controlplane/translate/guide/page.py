"""The page of one finding."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """Sentences for readers who meet the finding for the first time.

    `example` is a piece of a manifest with the fault, or of the circumstances that cause the finding.
    """

    cause: str
    example: str
    fix: str
