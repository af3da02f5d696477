"""requirements/: what is locked, and that everything which installs installs just that."""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME: list[str] = PROJECT["project"]["dependencies"]
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
LOCKED_REQUIREMENTS = {
    "runtime": RUNTIME,
    **{extra: RUNTIME + requirements for extra, requirements in EXTRAS.items()},
    **GROUPS,
}

PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^\s;]+)(?P<marker> ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?P<more> \\)?")
COMMENT = re.compile(r" *# *(via )?([\w.-]+( \(pyproject\.toml(:\w+)?\))?|make lock|This file was .*:)?")


def lines_of(name: str) -> list[str]:
    return (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()


def versions_of(name: str) -> dict[str, str]:
    pins = [pin for pin in map(PIN.fullmatch, lines_of(name)) if pin]
    return {pin["name"]: pin["version"] for pin in pins}


def unsatisfied(requirements: Iterable[str], versions: dict[str, str]) -> list[str]:
    """Return the requirements that no pinned version satisfies."""
    parsed = [Requirement(text) for text in requirements]
    return [
        str(requirement)
        for requirement in parsed
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]


def pip_commands(text: str) -> list[str]:
    """Return every call of pip that installs or builds, with continued lines joined."""
    joined = text.replace("\\\n", " ")
    calls = [call for line in joined.splitlines() for call in re.split(r"&&|;", line)]
    return [call for call in calls if re.search(r"\bpip\b.* (install|wheel|download) ", call)]


def fetches_only_what_is_locked(command: str) -> bool:
    locked = {"--require-hashes", "--only-binary"} <= set(command.split())
    fetches_nothing = "--no-deps" in command and (
        "--no-build-isolation" in command or "--no-index" in command
    )
    return locked or fetches_nothing


def test_every_extra_and_group_of_pyproject_has_a_lock_and_no_other_lock_lies_about() -> None:
    files = {path.name for path in (ROOT / "requirements").iterdir()}
    assert files == {f"{name}.txt" for name in LOCKED_REQUIREMENTS}


@pytest.mark.parametrize("name", LOCKED_REQUIREMENTS)
def test_every_requirement_of_pyproject_is_locked_at_a_version_that_satisfies_it(name: str) -> None:
    assert not unsatisfied(LOCKED_REQUIREMENTS[name], versions_of(name))


@pytest.mark.parametrize("name", LOCKED_REQUIREMENTS)
def test_a_lock_holds_pins_and_hashes_and_no_address_path_or_option(name: str) -> None:
    lines = lines_of(name)
    strange = [line for line in lines if not any(kind.fullmatch(line) for kind in (PIN, HASH, COMMENT))]
    assert not strange
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if PIN.fullmatch(line) or ((found := HASH.fullmatch(line)) and found["more"]):
            assert HASH.fullmatch(following), f"{line} is followed by no hash"


def test_no_two_locks_name_different_versions_of_one_package() -> None:
    versions: dict[str, set[str]] = {}
    for name in LOCKED_REQUIREMENTS:
        for package, version in versions_of(name).items():
            versions.setdefault(package, set()).add(version)
    assert not {package: found for package, found in versions.items() if len(found) > 1}


def test_the_build_group_names_all_that_a_build_without_isolation_needs() -> None:
    hook = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["dependencies"]
    assert {*PROJECT["build-system"]["requires"], *hook} <= set(GROUPS["build"])


def test_every_install_of_the_makefile_takes_only_what_is_locked() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    targets = set(re.findall(r"^([a-z-]+):.* ##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    dry_run = subprocess.run(
        ["make", "--dry-run", "--always-make", *sorted(targets - {"test-latest"})],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    commands = pip_commands(dry_run.stdout)
    assert len(commands) >= 6  # runtime, fleetgate, dev, load; the compiled build's two
    assert [command for command in commands if not fetches_only_what_is_locked(command)] == []


def test_every_install_of_the_image_takes_only_what_is_locked() -> None:
    commands = pip_commands((ROOT / "Dockerfile").read_text())
    assert len(commands) >= 5
    assert [command for command in commands if not fetches_only_what_is_locked(command)] == []


def test_ci_installs_by_make_alone() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert pip_commands(script) == []
    assert "make test" in script
