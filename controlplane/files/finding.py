"""A finding with its place in a file."""

import msgspec

from controlplane.files.catalogue import FILE_CATALOGUE
from controlplane.files.place import Place
from controlplane.translate.catalogue import Level
from controlplane.translate.diagnostics import Diagnostic, shorten


class Finding(msgspec.Struct, frozen=True):
    """One finding. `object` is "Kind namespace/name", "" for a document that is no object."""

    place: Place
    level: Level
    code: str
    object: str
    field: str
    value: str
    message: str
    allowed: str
    fix: str

    @property
    def text(self) -> str:
        """Field, value, problem, allowed range and fix in one line."""
        field = self.field + (" " if self.value else ": ") if self.field else ""
        value = f'"{self.value}": ' if self.value else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        fix = f"; fix: {self.fix}" if self.fix else ""
        return f"{field}{value}{self.message}{allowed}{fix}"


def about_file(
    code: str, place: Place, *, object: str = "", field: str = "", value: object = "", **details: object
) -> Finding:
    """Return a finding of the file catalogue; `details` fill its templates."""
    entry = FILE_CATALOGUE[code]
    shown = {name: shorten(detail, 480) for name, detail in details.items()}
    message, allowed, fix = (text.format_map(shown) for text in (entry.message, entry.allowed, entry.fix))
    return Finding(place, entry.level, code, object, field, shorten(value), message, allowed, fix)


def about_object(diagnostic: Diagnostic, place: Place) -> Finding:
    """Return a diagnostic of the translation at its place."""
    name = f"{diagnostic.namespace}/{diagnostic.name}" if diagnostic.namespace else diagnostic.name
    return Finding(
        place,
        diagnostic.level,
        diagnostic.code,
        f"{diagnostic.kind} {name}",
        diagnostic.field,
        diagnostic.value,
        diagnostic.message,
        diagnostic.allowed,
        diagnostic.fix,
    )
