"""Fields of a gateway's spec as data: the known ones, and why some have no effect here."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from controlplane.translate.annotations.loosejson import written
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.networks import ALLOWED, parse_network

_ASKS_FOR_NOTHING: Final[tuple[Any, ...]] = (None, "", False, [], {})
_MAX_UNKNOWN: Final = 10
"""Unknown fields reported per object: each needs a search for similar names."""


class Field(msgspec.Struct, frozen=True):
    """A known field. Without `note` the field works, or does not concern the gateway."""

    name: str
    note: str = ""  # why the field has no effect
    neutral: tuple[Any, ...] = ()  # values that ask for the default
    matters: bool = False  # authors rely on the field, so it is a warning
    fields: tuple["Field", ...] = ()  # fields of its object


def check_fields(value: Mapping[str, Any], path: str, known: Iterable[Field], findings: Findings) -> None:
    """Report unknown fields, and fields whose values have no effect here.

    Names are compared without case, as Go does.
    """
    by_name = {field.name.lower(): field for field in known}
    unknown = 0
    for name in sorted(value):
        where, field = f"{path}.{name}", by_name.get(name.lower())
        if field is not None:
            _check(field, where, value[name], findings)
        elif (unknown := unknown + 1) <= _MAX_UNKNOWN:
            names = {field.name.lower(): field.name for field in by_name.values()}
            hint = did_you_mean(name, names.values())
            findings.add("FG0513", where, written(value[name]), name=name, hint=hint)


def _check(field: Field, where: str, value: Any, findings: Findings) -> None:
    if field.fields and isinstance(value, dict):
        check_fields(value, where, field.fields, findings)
    elif field.fields and value is not None:
        reject(where, value, "is not an object", "an object with fields", findings)
    elif field.note and value not in _ASKS_FOR_NOTHING and value not in field.neutral:
        code = "FG0512" if field.matters else "FG0511"
        findings.add(code, where, written(value), note=field.note)


def reject(where: str, value: Any, problem: str, allowed: str, findings: Findings) -> None:
    """Record that the value of a field cannot be used."""
    findings.add("FG0514", where, written(value), problem=problem, allowed=allowed)


def part(value: Any, *names: str) -> dict[str, Any]:
    """Return the object at a path of fields, with its keys in lower case; {} when there is none."""
    for name in names:
        value = _folded(value).get(name.lower())
    return _folded(value)


def _folded(value: Any) -> dict[str, Any]:
    return {key.lower(): item for key, item in value.items()} if isinstance(value, dict) else {}


def flag(value: Any, where: str, findings: Findings, *, default: bool = False) -> bool:
    """Return whether a boolean field is written true; `default` where it has no usable value."""
    if value in (None, ""):
        return default
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    reject(where, value, "is not true or false", "true or false", findings)
    return default


def networks(value: Any, where: str, findings: Findings) -> tuple[str, ...]:
    """Return the entries of a list of addresses that can be used."""
    if value is None:
        return ()
    if not isinstance(value, list):
        reject(where, value, "is not a list", f"a list of {ALLOWED}", findings)
        return ()
    found: list[str] = []
    for index, entry in enumerate(value):
        network = parse_network(entry)
        if network is None:
            reject(f"{where}[{index}]", entry, "is not an address", ALLOWED, findings)
        else:
            found.append(network)
    return tuple(dict.fromkeys(found))
