"""docs/failover.md names a test or a drill for each experiment, and all of them exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from loadtest.drills.drills import DRILLS

ROOT = Path(__file__).parents[1]
_, _, SECTION = (ROOT / "docs" / "failover.md").read_text().partition("\n## The experiments\n")
ROWS = {
    cells[1].strip(): cells[3]
    for line in SECTION.partition("\n## ")[0].splitlines()
    if re.match(r"\| F\d\d \|", line) and len(cells := line.split("|")) == 7
}
WANTED = (6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 19, 20, 24, 25, 39, 40)


@cache
def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_experiment_has_its_row() -> None:
    assert list(ROWS) == [f"F{number:02}" for number in WANTED]


@pytest.mark.parametrize("experiment", ROWS)
def test_tests_and_drills_that_a_row_names_exist(experiment: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", ROWS[experiment])
    assert named
    assert [name for path, name in named if name not in functions_of(path)] == []
    drills = set(re.findall(r"drill `([\w-]+)`", ROWS[experiment]))
    assert drills <= {drill.name for drill in DRILLS}
    assert ROWS[experiment].count("`") == 2 * (len(named) + len(drills) + ("loadtest" in ROWS[experiment]))


def test_the_test_named_before_the_table_exists() -> None:
    before = SECTION.partition("\n| ")[0]
    ((path, name),) = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", before)
    assert name in functions_of(path)
