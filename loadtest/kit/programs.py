"""Programs that are measured or measured with: their paths, and advice when one is missing."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Directories where Debian installs daemons: outside the users' PATH."""


class Missing(Exception):
    """A program that is not installed; the message says how to get it."""


Found = TypeVar("Found")


def installed(
    finders: Mapping[str, Callable[[], Found]], names: Sequence[str]
) -> tuple[list[Found], list[str]]:
    """Return the programs found of `names`, and for each missing one the way to install it."""
    found: list[Found] = []
    missing = []
    for name in names:
        try:
            found.append(finders[name]())
        except Missing as reason:
            missing.append(str(reason))
    return found, missing


def daemon(name: str, package: str) -> str:
    """Return the path of a daemon. Raises Missing, which names Debian's package."""
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise Missing(f"{name} was not found; install it (Debian: apt install {package})")
    return found


def write(path: Path, text: str) -> str:
    """Write a configuration; return its path as an argument."""
    path.write_text(text)
    return str(path)
