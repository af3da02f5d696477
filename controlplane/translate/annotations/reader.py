"""The annotations of one object as its dialect reads them; an unusable value becomes a finding."""

from collections.abc import Iterable, Mapping

import msgspec

from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.row import NGINX, Annotation, field_of
from controlplane.translate.diagnostics import Findings
from controlplane.translate.dialects import Dialect

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))  # Go's strconv.ParseBool, as Higress reads them
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


class Given(msgspec.Struct, frozen=True):
    """An annotation as written."""

    key: str
    text: str  # without spaces around each of its lines
    suffix: str = ""  # the text in place of the "*" of a family

    @property
    def field(self) -> str:
        return field_of(self.key)

    @property
    def is_of_nginx(self) -> bool:
        return self.key.startswith(NGINX)


class Reader:
    """Every method returns None, or the default, for a value that is absent or unusable."""

    __slots__ = ("annotations", "dialect", "findings")

    def __init__(self, annotations: Mapping[str, str], dialect: Dialect, findings: Findings) -> None:
        self.annotations = annotations
        self.dialect = dialect
        self.findings = findings

    def given(self, row: Annotation) -> Given | None:
        """Return the annotation under the first of its spellings that the object has."""
        if row.dialect not in (None, self.dialect):
            return None
        for key in row.keys:
            text = self.annotations.get(key)
            if text is not None:
                return Given(key, _trimmed(text))
        return None

    def members(self, row: Annotation) -> list[Given]:
        """Return the object's annotations of a family by suffix; of several spellings the first."""
        if row.dialect not in (None, self.dialect):
            return []
        found: dict[str, Given] = {}
        for family in (key[:-1] for key in row.keys):
            for key in sorted(self.annotations):
                suffix = key[len(family) :]
                if suffix and key.startswith(family) and suffix not in found:
                    found[suffix] = Given(key, _trimmed(self.annotations[key]), suffix)
        return [found[suffix] for suffix in sorted(found)]

    def reject(self, given: Given, problem: object, allowed: str) -> None:
        """Record that a value cannot be used."""
        self.findings.add("FG0201", given.field, given.text, problem=problem, allowed=allowed)

    def idle(self, rows: Iterable[Annotation], note: str) -> None:
        """Record those of the annotations that the object has for nothing, unless more is wrong with them."""
        faulty = {item.field for item in self.findings.items}
        for row in rows:
            given = self.given(row)
            if given is not None and given.field not in faulty:
                self.findings.add("FG0204", given.field, given.text, note=note)

    def text(self, row: Annotation) -> str | None:
        """Return a value that is not empty."""
        given = self.given(row)
        if given is None:
            return None
        if not given.text:
            self.reject(given, "is empty", row.allowed)
        return given.text or None

    def boolean(self, row: Annotation, *, default: bool = False) -> bool:
        given = self.given(row)
        if given is None or not given.text:
            return default
        if given.text in _TRUE or given.text in _FALSE:
            return given.text in _TRUE
        self.reject(given, "is not true or false", row.allowed or "true, false")
        return default

    def integer(self, row: Annotation, lowest: int, highest: int) -> int | None:
        given = self.given(row)
        if given is None:
            return None
        number = integer(given.text, lowest, highest)
        if number is None:
            allowed = row.allowed or f"an integer from {lowest} to {highest}"
            self.reject(given, "is not a number it can have", allowed)
        return number

    def choice(self, row: Annotation, choices: tuple[str, ...]) -> str | None:
        """Return one of `choices`, found in any case."""
        given = self.given(row)
        if given is None:
            return None
        for choice in choices:
            if choice.lower() == given.text.lower():
                return choice
        self.reject(given, "is none of the values it can have", row.allowed or ", ".join(choices))
        return None

    def items(self, row: Annotation) -> tuple[str, ...] | None:
        """Return the items of a comma list; None when it is absent or has none."""
        given = self.given(row)
        if given is None:
            return None
        items = comma_list(given.text)
        if not items:
            self.reject(given, "has no item", row.allowed)
        return items or None

    def lines(self, row: Annotation) -> tuple[str, ...]:
        """Return the lines that are not empty."""
        given = self.given(row)
        return tuple(line for line in given.text.splitlines() if line) if given is not None else ()


def _trimmed(text: str) -> str:
    """Return the text without spaces around its lines, as the controllers of both dialects read it."""
    return "\n".join(line.strip() for line in text.strip().splitlines())
