"""CI and pre-commit run what the Makefile runs, and nothing that a stranger could change."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
STEPS: list[dict[str, Any]] = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
HOOKS: list[dict[str, Any]] = [
    hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
]


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return found[1].strip().replace("$(BIN)", ".venv/bin").split("\n\t")


def test_the_forge_runs_what_ci_runs() -> None:
    assert {".ci/run", "make coverage"} <= {step.get("run") for step in STEPS}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def test_actions_are_named_by_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_the_hooks_of_a_commit_are_the_parts_of_make_check() -> None:
    commands = [re.sub(r" --force-exclude$", "", hook["entry"]) for hook in HOOKS if "stages" not in hook]
    assert commands == [re.sub(r" \.$", "", command) for command in recipe("check")]


def test_no_hook_fetches_anything() -> None:
    assert {hook["language"] for hook in HOOKS} <= {"system", "pygrep"}


@pytest.mark.parametrize(("length", "refused"), [(72, False), (73, True)])
def test_a_long_subject_is_refused(length: int, refused: bool) -> None:
    (pattern,) = (hook["entry"] for hook in HOOKS if hook.get("stages") == ["commit-msg"])
    message = "s" * length + "\n\n" + "A line of the body may be longer than the subject. " * 3
    assert bool(re.search(pattern, message, re.MULTILINE | re.DOTALL)) is refused
