"""The page of a finding code, for a terminal and for docs/findings.md."""

from typing import Any, Final

import msgspec

from controlplane.cli.failure import Failure
from controlplane.cli.output import coloured
from controlplane.files.catalogue import FILE_CATALOGUE
from controlplane.translate.catalogue import CATALOGUE, Entry
from controlplane.translate.guide.page import Page
from controlplane.translate.guide.pages import PAGES

ENTRIES: Final[dict[str, Entry]] = dict(sorted((CATALOGUE | FILE_CATALOGUE).items()))


class _Names(dict[str, str]):
    """Placeholders of a template as themselves; the hint, which names a similar word, is left out."""

    def __missing__(self, name: str) -> str:
        return "" if name == "hint" else f"<{name}>"


class Explained(msgspec.Struct, frozen=True):
    """A code with all that is known of it; texts have <name> where a finding has a value."""

    code: str
    level: str
    reason: str
    message: str
    allowed: str
    page: Page


def explained(code: str) -> Explained:
    """Return the entry of a code. Raises Failure."""
    entry = ENTRIES.get(code.upper())
    if entry is None:
        raise Failure(f"no finding has the code {code}; docs/findings.md has all")
    message, allowed = (template.format_map(_Names()) for template in (entry.message, entry.allowed))
    return Explained(code.upper(), entry.level, entry.reason, message, allowed, PAGES[code.upper()])


def text(found: Explained) -> str:
    """Return the entry, a fact a line."""
    facts = (
        ("says", found.message),
        ("allowed", found.allowed),
        ("cause", found.page.cause),
        ("example", found.page.example),
        ("fix", found.page.fix),
    )
    level = coloured(found.level, found.level)
    head = f"{found.code} {level}, reason of the Event: {found.reason}"
    return "\n".join([head, *(f"  {name:<8} {fact}" for name, fact in facts if fact)])


def as_json(found: Explained) -> dict[str, Any]:
    return {
        "code": found.code,
        "level": found.level,
        "reason": found.reason,
        "message": found.message,
        "allowed": found.allowed,
        "cause": found.page.cause,
        "example": found.page.example,
        "fix": found.page.fix,
    }
