"""The proxies under test. Each module has a configuration that does the same work, and a class with

`find()` (raises Missing), `name`, `version()`, `start(site, core)` and `differs`: what it does otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from loadtest.compare.site import Site


class Missing(Exception):
    """A peer that is not installed; the message says how to get it."""


Found = TypeVar("Found")


def installed(
    finders: Mapping[str, Callable[[], Found]], names: Sequence[str]
) -> tuple[list[Found], list[str]]:
    """Return what was found of `names`, and for each other one what to do about it."""
    found: list[Found] = []
    missing = []
    for name in names:
        try:
            found.append(finders[name]())
        except Missing as reason:
            missing.append(str(reason))
    return found, missing


class Running(Protocol):
    """A proxy that serves."""

    @property
    def pid(self) -> int: ...

    def stop(self) -> None: ...


class Peer(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def differs(self) -> tuple[str, ...]:
        """What it cannot do as the others do: said beside the figures."""
        ...

    def version(self) -> str: ...

    def start(self, site: Site, core: int) -> Running:
        """Start it on a core, with one worker; return when it serves. Raises StartError."""
        ...


class Checkable(Peer, Protocol):
    """A peer that can check its own configuration."""

    def check_command(self, site: Site) -> list[str]:
        """Write the configuration; return the command that fails when it is wrong."""
        ...


SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian installs daemons: outside the users' PATH."""


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)
