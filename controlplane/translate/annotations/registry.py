"""Every annotation that is known: the rows of all families, found by key."""

from collections.abc import Iterable, Mapping
from typing import Final

from controlplane.translate.annotations.families import FAMILIES
from controlplane.translate.annotations.row import (
    KUBERNETES,
    NGINX,
    OWN,
    Annotation,
    Scope,
    Support,
    field_of,
)
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.dialects import Dialect

ROWS: Final[tuple[Annotation, ...]] = tuple(row for family in FAMILIES for row in family.ROWS)

_MAX_SUGGESTIONS = 10
"""Per object: looking for near keys costs milliseconds, and one object must not slow all others."""

_CODES: Final = {
    Support.REFUSED: "FG0203",
    Support.NO_EFFECT: "FG0204",
}


def _by_key(rows: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = {}
    for row in rows:
        for key in row.keys:
            found.setdefault(key, []).append(row)
    return found


_EXACT: Final = _by_key(row for row in ROWS if not row.is_family)
_FAMILIES: Final = {key[:-1]: rows for key, rows in _by_key(row for row in ROWS if row.is_family).items()}
PREFIXES: Final = frozenset(prefix for row in ROWS for prefix in row.prefixes)


def lookup(key: str) -> list[Annotation]:
    """Return the rows of an annotation key, one for each dialect that reads it; [] when it is unknown."""
    rows = _EXACT.get(key)
    if rows is not None:
        return rows
    for prefix, family in _FAMILIES.items():
        if len(key) > len(prefix) and key.startswith(prefix):
            return family
    return []


def check_keys(annotations: Mapping[str, str], scope: Scope, dialect: Dialect, findings: Findings) -> None:
    """Report every annotation that is unknown, misplaced, refused, or without effect."""
    suggestions = _MAX_SUGGESTIONS
    for key in sorted(annotations):
        prefix = key.partition("/")[0] + "/"
        if prefix not in PREFIXES or prefix == KUBERNETES:  # which many read
            continue
        rows = lookup(key)
        row = _of_scope(rows, scope, dialect)
        if row is not None:
            _check_support(row, key, annotations[key], scope, findings)
        elif rows or not _belongs(prefix, dialect):
            findings.add("FG0207", field_of(key), annotations[key])
        else:
            hint = _hint(key, prefix, dialect) if suggestions > 0 else ""
            suggestions -= 1
            findings.add("FG0213", field_of(key), annotations[key], hint=hint)


def note_approximated(
    annotations: Mapping[str, str], scope: Scope, dialect: Dialect, findings: Findings
) -> None:
    """Tell what differs of approximated annotations, once it is known which cannot be used at all."""
    faulty = {item.field for item in findings.items}
    for key in sorted(annotations):
        row, value = _of_scope(lookup(key), scope, dialect), annotations[key]
        if row is None or row.scope is not scope or row.support is not Support.APPROXIMATED:
            continue
        if field_of(key) not in faulty and value.strip() not in row.neutral:
            findings.add("FG0202", field_of(key), value, note=row.note)


def _of_scope(rows: list[Annotation], scope: Scope, dialect: Dialect) -> Annotation | None:
    """Return the row that the dialect reads on such an object, or else on another one."""
    own = [row for row in rows if row.dialect in (None, dialect)]
    return next((row for row in own if row.scope is scope), own[0] if own else None)


def _belongs(prefix: str, dialect: Dialect) -> bool:
    """Whether keys with this prefix are read in the dialect; of nginx's ALB reads but a few."""
    if prefix == OWN:
        return True
    if prefix == NGINX:
        return dialect is Dialect.MSE
    return any(row.dialect is dialect and prefix in row.prefixes for row in ROWS)


def _hint(key: str, prefix: str, dialect: Dialect) -> str:
    name = key.removeprefix(prefix)
    for other in sorted(PREFIXES):  # what only MSE has, written as if it were of ingress-nginx
        row = next((row for row in lookup(other + name) if row.dialect in (None, dialect)), None)
        if row is not None:
            return f", did you mean {row.prefixes[0]}{name}?"
    names = (row.name for row in ROWS if row.dialect in (None, dialect) and prefix in row.prefixes)
    return did_you_mean(name, names)


def _check_support(row: Annotation, key: str, value: str, scope: Scope, findings: Findings) -> None:
    if row.scope is not scope:
        findings.add("FG0205", field_of(key), value, scope=row.scope.value)
    elif row.support in _CODES and value.strip() not in row.neutral:
        allowed = ", ".join(value for value in row.neutral if value)
        findings.add(_CODES[row.support], field_of(key), value, note=row.note, allowed=allowed)
