"""Label and field selectors: parsing with the messages of kube-apiserver, and matching."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_LABEL = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)"
_PREFIX = r"(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)"
_KEY = re.compile(rf"(?:{_PREFIX}/)?{_LABEL}")
_VALUE = re.compile(rf"{_LABEL}?")
_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)\s*")


class SelectorError(ValueError):
    """A selector that cannot be read."""


class Requirement(msgspec.Struct, frozen=True):
    """`operator`: in, notin, exists, absent, gt or lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
        return value is not None and _greater(value, next(iter(self.values)), self.operator)


def _greater(value: str, bound: str, operator: str) -> bool:
    try:
        return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)
    except ValueError:
        return False


class Selector(msgspec.Struct, frozen=True):
    """All requirements must hold; without requirements every object matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_labels(text: str) -> Selector:
    """A label selector in the string form of the API (`a=b,c in (d,e),!f`)."""
    tokens = _tokens(text)
    requirements = []
    while tokens:
        try:
            requirements.append(_requirement(tokens))
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from None
        if tokens and (tokens.pop(0) != "," or not tokens):
            raise SelectorError(f"found '{tokens[0] if tokens else ''}', expected: ',' or 'end of string'")
    return Selector(tuple(requirements))


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            break
        tokens.append(match[1])
        at = match.end()
    return tokens


def _requirement(tokens: list[str]) -> Requirement:
    first = tokens.pop(0)
    if first == "!":
        return Requirement(_checked_key(tokens.pop(0) if tokens else ""), "absent")
    key = _checked_key(first)
    if not tokens or tokens[0] == ",":
        return Requirement(key, "exists")
    operator = tokens.pop(0)
    if operator in ("in", "notin"):
        return Requirement(key, operator, _value_set(tokens))
    if operator not in ("=", "==", "!=", ">", "<"):
        raise SelectorError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    value = _checked_value(tokens.pop(0) if tokens and tokens[0] != "," else "")
    names = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}
    return Requirement(key, names[operator], frozenset({value}))


def _value_set(tokens: list[str]) -> frozenset[str]:
    if not tokens or tokens.pop(0) != "(":
        raise SelectorError("found '', expected: '('")
    values: set[str] = set()
    pending = ""
    while tokens:
        token = tokens.pop(0)
        if token == ")":
            return frozenset(values | {_checked_value(pending)})
        if token == ",":
            values.add(_checked_value(pending))
            pending = ""
        else:
            pending = token
    raise SelectorError("found '', expected: ',' or ')'")


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key) or len(key.rpartition("/")[2]) > 63:
        raise _unparsable("<nil>", key, "name part must consist of alphanumeric characters, '-', '_' or '.'")
    return key


def _checked_value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        detail = "a valid label must be empty or consist of alphanumeric characters, '-', '_' or '.'"
        raise _unparsable("values[0]", value, detail)
    return value


def _unparsable(where: str, value: str, detail: str) -> SelectorError:
    return SelectorError(f'{where}: Invalid value: "{value}": {detail}')


class FieldSelector(msgspec.Struct, frozen=True):
    """(field, value, equal?) triples; all must hold."""

    terms: tuple[tuple[str, str, bool], ...] = ()

    def matches(self, read: Callable[[str], str]) -> bool:
        return all((read(name) == value) is equal for name, value, equal in self.terms)

    def exact(self, name: str) -> str | None:
        """The value a field is pinned to, if it is."""
        return next((value for field, value, equal in self.terms if field == name and equal), None)


def parse_fields(text: str) -> FieldSelector:
    """A field selector (`metadata.name=x,type!=y`), with backslash escapes."""
    terms = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        match = re.match(r"([^=!]+)(==|!=|=)(.*)", part, re.DOTALL)
        if match is None:
            raise SelectorError(f"invalid selector: '{part}'; can't understand '{part}'")
        terms.append((match[1], re.sub(r"\\([\\,=])", r"\1", match[3]), match[2] != "!="))
    return FieldSelector(tuple(terms))


def field_text(obj: Any, path: str) -> str:
    """The value of a dotted field as field selectors compare it; absent is the empty string."""
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    if obj is None:
        return ""
    return str(obj).lower() if isinstance(obj, bool) else str(obj)
