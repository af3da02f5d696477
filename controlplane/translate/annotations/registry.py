"""Every annotation that is known: the rows of all families, found by key."""

from collections.abc import Iterable, Mapping
from typing import Final

from controlplane.translate.annotations import aws
from controlplane.translate.annotations.families import FAMILIES
from controlplane.translate.annotations.guards import (
    FOREIGN_PREFIXES,
    GUARDS,
    NOTES,
    PROTECTING,
    Guard,
    remedy,
    seems_protecting,
)
from controlplane.translate.annotations.row import (
    KUBERNETES,
    NGINX,
    OWN,
    Annotation,
    Scope,
    Support,
    field_of,
)
from controlplane.translate.diagnostics import Findings, nearest
from controlplane.translate.dialects import Dialect

ROWS: Final[tuple[Annotation, ...]] = tuple(row for family in FAMILIES for row in family.ROWS)

_MAX_SUGGESTIONS = 10
"""Per object: looking for near keys costs milliseconds, and one object must not slow all others."""

_NOTHING_NEAR: Final = (None, "")

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
        if prefix in FOREIGN_PREFIXES and scope is Scope.INGRESS:
            _check_foreign(key, annotations[key], findings)
        if prefix not in PREFIXES or prefix == KUBERNETES:  # which many read
            continue
        rows = lookup(key)
        row = _of_scope(rows, scope, dialect)
        if row is not None:
            _check_support(row, key, annotations[key], scope, dialect, findings)
        elif rows:
            _check_other(rows[0], key, annotations[key], dialect, findings)
        else:
            near = _near(key, prefix, dialect) if suggestions > 0 else _NOTHING_NEAR
            _check_unknown(key, annotations[key], near, scope, dialect, findings)
            suggestions -= 1
    if scope is Scope.INGRESS:
        _check_aws(annotations, findings)


def note_approximated(
    annotations: Mapping[str, str], scope: Scope, dialect: Dialect, findings: Findings
) -> None:
    """Report how approximated annotations differ, once unusable ones are known."""
    faulty = {item.field for item in findings.items}
    for key in sorted(annotations):
        row, value = _of_scope(lookup(key), scope, dialect), annotations[key]
        if row is None or row.scope is not scope or row.support is not Support.APPROXIMATED:
            continue
        if field_of(key) not in faulty and value.strip() not in row.neutral:
            findings.add("FG0202", field_of(key), value, note=row.note)


def _of_scope(rows: list[Annotation], scope: Scope, dialect: Dialect) -> Annotation | None:
    """Return the row that the dialect reads on objects of this scope, else on objects of another scope."""
    own = [row for row in rows if row.dialect in (None, dialect)]
    return next((row for row in own if row.scope is scope), own[0] if own else None)


def _belongs(prefix: str, dialect: Dialect) -> bool:
    """Whether keys with this prefix are read in the dialect; of nginx's ALB reads but a few."""
    if prefix == OWN:
        return True
    if prefix == NGINX:
        return dialect is Dialect.MSE
    return any(row.dialect is dialect and prefix in row.prefixes for row in ROWS)


def _near(key: str, prefix: str, dialect: Dialect) -> tuple[Annotation | None, str]:
    """Return the row that is probably meant, and how it would be written."""
    name = key.removeprefix(prefix)
    for other in sorted(PREFIXES):  # an annotation of MSE alone, with the prefix of ingress-nginx
        row = next((row for row in lookup(other + name) if row.dialect in (None, dialect)), None)
        if row is not None:
            return row, row.prefixes[0] + name
    own = {row.name: row for row in ROWS if row.dialect in (None, dialect) and prefix in row.prefixes}
    near = nearest(name, own)
    return own.get(near), near


def _check_unknown(
    key: str,
    value: str,
    near: tuple[Annotation | None, str],
    scope: Scope,
    dialect: Dialect,
    findings: Findings,
) -> None:
    prefix, _, name = key.partition("/")
    belongs = _belongs(prefix + "/", dialect)
    row, spelled = near if belongs else _NOTHING_NEAR
    hint = f", did you mean {spelled}?" if spelled else ""
    guard = GUARDS.get(row.name) if row is not None else None
    protects = seems_protecting(name) or (guard in PROTECTING and guard is not Guard.MATCHING)
    if protects and scope is Scope.INGRESS:
        findings.add("FG0211", field_of(key), value, hint=hint)
    elif belongs:
        findings.add("FG0213", field_of(key), value, hint=hint)
    else:
        findings.add("FG0207", field_of(key), value)


def _check_foreign(key: str, value: str, findings: Findings) -> None:
    """Report annotations of other controllers only if they protect: an Ingress may be written for several."""
    if seems_protecting(key.partition("/")[2]):
        findings.add("FG0211", field_of(key), value, hint="")


def _check_other(row: Annotation, key: str, value: str, dialect: Dialect, findings: Findings) -> None:
    """Report an annotation that only the other dialect reads."""
    guard = GUARDS.get(row.name)
    if guard is None:
        findings.add("FG0207", field_of(key), value)
    elif value.strip() not in row.neutral:
        _add_guarded(row, key, value, row.note or NOTES[guard], dialect, findings)


def _check_support(
    row: Annotation, key: str, value: str, scope: Scope, dialect: Dialect, findings: Findings
) -> None:
    if row.scope is not scope:
        findings.add("FG0205", field_of(key), value, scope=row.scope.value)
    elif row.support not in _CODES or value.strip() in row.neutral:
        return
    elif row.name in GUARDS:
        _add_guarded(row, key, value, row.note, dialect, findings)
    elif row not in aws.ROWS:
        allowed = ", ".join(value for value in row.neutral if value)
        findings.add(_CODES[row.support], field_of(key), value, note=row.note, allowed=allowed)


def _add_guarded(
    row: Annotation, key: str, value: str, note: str, dialect: Dialect, findings: Findings
) -> None:
    guard = GUARDS[row.name]
    if guard in PROTECTING:
        findings.add("FG0210", field_of(key), value, note=note, allowed="", remedy=remedy(guard, dialect))
    elif row not in aws.ROWS:
        findings.add("FG0212", field_of(key), value, note=note, remedy=remedy(guard, dialect))


def _check_aws(annotations: Mapping[str, str], findings: Findings) -> None:
    """Report the annotations of AWS as a whole."""
    keys = [key for key in sorted(annotations) if any(row in aws.ROWS for row in lookup(key))]
    if keys:
        names = ", ".join(key.partition("/")[2] for key in keys)
        findings.add("FG0214", field_of(keys[0]), annotations[keys[0]], keys=names)
