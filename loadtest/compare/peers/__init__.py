"""The proxies under test. Each module has a configuration that does the same work, and a class with

`find()` (raises Missing), `name`, `version()`, `start(site, core)` and `differs`: its differences.
"""

from typing import Protocol

from loadtest.kit.site import Site


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
        """Differences from the other proxies, which are said beside the figures."""
        ...

    def version(self) -> str: ...

    def start(self, site: Site, core: int) -> Running:
        """Start the proxy on a core, with one worker; return when it serves. Raises StartError."""
        ...


class Checkable(Peer, Protocol):
    """A peer that can check its own configuration."""

    def check_command(self, site: Site) -> list[str]:
        """Write the configuration; return the command that fails when it is wrong."""
        ...
