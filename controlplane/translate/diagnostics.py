"""A finding about one object: the mistake and its place, the allowed values, and the fix."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

import msgspec

from controlplane.resources.meta import ObjectMeta
from controlplane.translate.catalogue import CATALOGUE, Level

_MAX_VALUE = 120


class Subject(msgspec.Struct, frozen=True):
    """The object that findings are about."""

    kind: str
    namespace: str
    name: str
    uid: str = ""
    generation: int = 0

    @classmethod
    def of(cls, kind: str, metadata: ObjectMeta) -> "Subject":
        return cls(kind, metadata.namespace, metadata.name, metadata.uid, metadata.generation)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def identity(self) -> str:
        """The uid; for objects from files, which have none, the key."""
        return self.uid or self.key


class Diagnostic(msgspec.Struct, frozen=True):
    """One finding. Findings about objects in member clusters have no `uid`: no Event can be put there."""

    code: str
    level: Level
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    field: str
    value: str  # as written, one line, shortened
    message: str
    allowed: str
    fix: str

    @property
    def reason(self) -> str:
        """Reason of the Event."""
        return CATALOGUE[self.code].reason

    @property
    def text(self) -> str:
        """Field, value, problem, allowed range and fix in one line: the note of the Event."""
        where = f"{self.field}: " if self.field else ""
        value = f'"{self.value}": ' if self.value else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        fix = f"; fix: {self.fix}" if self.fix else ""
        return f"{self.code} {where}{value}{self.message}{allowed}{fix}"

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name}: {self.text}"


class Findings:
    """Collects the findings about one object."""

    __slots__ = ("items", "subject")

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.items: list[Diagnostic] = []

    def add(self, code: str, field: str = "", value: object = "", **details: object) -> None:
        """Record a finding of the catalogue; `details` fill its templates."""
        entry = CATALOGUE[code]
        shown = {name: shorten(detail, 4 * _MAX_VALUE) for name, detail in details.items()}
        subject = self.subject
        self.items.append(
            Diagnostic(
                code=code,
                level=entry.level,
                kind=subject.kind,
                namespace=subject.namespace,
                name=subject.name,
                uid=subject.uid,
                generation=subject.generation,
                field=shorten_field(field),
                value=shorten(value),
                message=entry.message.format_map(shown),
                allowed=entry.allowed.format_map(shown),
                fix=entry.fix.format_map(shown),
            )
        )

    @property
    def failed(self) -> bool:
        """Whether a value was found that cannot be used."""
        return any(item.level == "error" for item in self.items)

    def note_on_errors(self, effect: str) -> None:
        """Add the consequence to the message of each error."""
        self.items = [
            msgspec.structs.replace(item, message=f"{item.message}; {effect}")
            if item.level == "error"
            else item
            for item in self.items
        ]


def shorten(value: object, limit: int = _MAX_VALUE) -> str:
    """Return `value` as one printable line of at most `limit` characters."""
    line = str(value)
    if not line.isprintable():
        line = " ".join(line.split())
        line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shorten_field(field: str) -> str:
    """Return the path of a field as findings have it."""
    return shorten(field, 2 * _MAX_VALUE)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean x?" when a known word is near, else ""."""
    near = nearest(word, known)
    return f", did you mean {near}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is probably meant, "" for none."""
    return _nearest(word[:64], tuple(sorted(known)))


@lru_cache(maxsize=4096)
def _nearest(word: str, known: tuple[str, ...]) -> str:
    return next(iter(get_close_matches(word, known, n=1)), "")
