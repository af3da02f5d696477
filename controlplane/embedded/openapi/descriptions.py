"""Texts of `kubectl explain` for the fields that users look up; the reference documentation has the rest."""

from __future__ import annotations

from functools import cache
from pathlib import Path


def described(type_name: str, field: str) -> str:
    """The text for a type (field "") or one of its fields; empty when there is none."""
    return _texts().get(f"{type_name}.{field}" if field else type_name, "") or _texts().get(f"*.{field}", "")


@cache
def _texts() -> dict[str, str]:
    lines = (Path(__file__).parent / "descriptions.txt").read_text().splitlines()
    pairs = (line.partition(": ") for line in lines if line and not line.startswith("#"))
    return {name: text for name, _, text in pairs}
