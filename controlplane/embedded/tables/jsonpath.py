"""The JSONPath dialect of printer columns, scale paths and selectable fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

Step = Callable[[Any], list[Any]]
_NAME = re.compile(r"\.((?:\\.|[^.\[\]\\])+)")
_QUOTED = re.compile(r"\[\s*(['\"])((?:\\.|(?!\1).)*)\1\s*\]")
_INDEX = re.compile(r"\[\s*(-?\d+)\s*\]")
_SLICE = re.compile(r"\[\s*(-?\d*)\s*:\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?\]")
_FILTER = re.compile(r"\[\s*\?\(\s*@((?:[^=!<>()])*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)\s*\]")
_STAR = re.compile(r"\[\s*\*\s*\]|\.\*")
_RECURSE = re.compile(r"\.\.((?:\\.|[^.\[\]\\*])+)")


class PathError(ValueError):
    """A JSONPath that cannot be read."""


def find(path: str, obj: Any) -> list[Any]:
    """All values at `path`, in order; missing fields give none."""
    found = [obj]
    for step in compile_path(path):
        found = [value for item in found for value in step(item)]
    return found


@cache
def compile_path(path: str) -> tuple[Step, ...]:
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    text = text.removeprefix("$")
    if text and text[0] not in ".[":
        text = "." + text
    steps: list[Step] = []
    at = 0
    while at < len(text) and text[at:] != ".":
        step, at = _next_step(text, at, path)
        steps.append(step)
    return tuple(steps)


def _next_step(text: str, at: int, path: str) -> tuple[Step, int]:
    for pattern, build in _STEPS:
        match = pattern.match(text, at)
        if match is not None:
            return build(match), match.end()
    raise PathError(f"jsonpath {path!r}: cannot read {text[at:]!r}")


def _field(name: str) -> Step:
    plain = re.sub(r"\\(.)", r"\1", name)

    def step(value: Any) -> list[Any]:
        if isinstance(value, dict) and value.get(plain) is not None:
            return [value[plain]]
        return []

    return step


def _index(number: int) -> Step:
    def step(value: Any) -> list[Any]:
        return value[number : number + 1 or None] if isinstance(value, list) else []

    return step


def _slice(start: str, stop: str, stride: str) -> Step:
    part = slice(*(int(text) if text else None for text in (start, stop, stride or "")))
    return lambda value: value[part] if isinstance(value, list) else []


def _every(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


def _recurse(name: str) -> Step:
    def step(value: Any) -> list[Any]:
        found = [value[name]] if isinstance(value, dict) and name in value else []
        return found + [deep for item in _every(value) for deep in step(item)]

    return step


def _filter(path: str, operator: str | None, literal: str | None) -> Step:
    left = compile_path(path or ".")

    def holds(item: Any) -> bool:
        found = [item]
        for step in left:
            found = [value for each in found for value in step(each)]
        if operator is None:
            return bool(found)
        return bool(found) and _compare(found[0], operator, _literal(literal or ""))

    return lambda value: [item for item in _every(value) if holds(item)]


def _literal(text: str) -> Any:
    if text[:1] in "'\"" and text[-1:] == text[:1]:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return text


def _compare(left: Any, operator: str, right: Any) -> bool:
    if operator == "==":
        return bool(left == right)
    if operator == "!=":
        return bool(left != right)
    try:
        holds = {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}
    except TypeError:
        return False
    return bool(holds[operator])


_STEPS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Step]], ...] = (
    (_STAR, lambda match: _every),
    (_RECURSE, lambda match: _recurse(match[1])),
    (_NAME, lambda match: _field(match[1])),
    (_QUOTED, lambda match: _field(match[2])),
    (_INDEX, lambda match: _index(int(match[1]))),
    (_SLICE, lambda match: _slice(match[1], match[2], match[3])),
    (_FILTER, lambda match: _filter(match[1], match[2], match[3])),
)


def set_path(obj: dict[str, Any], path: str, value: Any) -> None:
    """Sets a plain field path (`.spec.replicas`) in place, making the objects on the way."""
    names = [
        re.sub(r"\\(.)", r"\1", name) for name in _NAME.findall(path if path.startswith(".") else "." + path)
    ]
    for name in names[:-1]:
        obj = obj.setdefault(name, {})
    obj[names[-1]] = value
