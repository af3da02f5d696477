"""docs/architecture.md is true by file and name: every place in its tables exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PLACES = re.findall(r"`([\w/]+\.py)::([\w.]+)`", PAGE)
WARM = re.findall(r"^\| (?:\d \w+)? ?\| `([\w/]+\.py)::", PAGE.partition("| 6, cold")[0], re.MULTILINE)


@cache
def names_of(path: str) -> set[str]:
    """Return the functions, classes, methods and constants that a module defines."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        for name in defined(node):
            found.add(name)
            if isinstance(node, ast.ClassDef):
                found.update(f"{name}.{inner}" for each in node.body for inner in defined(each))
    return found


def defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_a_place_that_the_walks_name_exists(path: str, name: str) -> None:
    assert name in names_of(path)


def test_a_warm_request_passes_fifteen_modules_at_most() -> None:
    assert WARM[0] == "proxy/downstream/listener.py"
    assert 10 <= len(set(WARM)) <= 15


def test_every_package_of_both_planes_has_its_line() -> None:
    packages = {
        f"{plane}.{entry.parent.name}"
        for plane in ("proxy", "controlplane")
        for entry in (ROOT / plane).glob("*/__init__.py")
    }
    assert set(re.findall(r"^\| `((?:proxy|controlplane)\.\w+)` \|", PAGE, re.MULTILINE)) == packages
