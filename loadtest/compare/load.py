"""The program that asks the requests of a row: wrk for HTTP/1.1, for HTTP/2 h2load or a loader of our own.

h2load repeats one head, and its connections go through a list of addresses in step; so whatever is to be new
in each request comes from `loadtest.compare.coldstreams`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from loadtest.compare import coldstreams, h2load, wrk
from loadtest.compare.figures import Result
from loadtest.compare.rows import Heads, Row


class Program(Protocol):
    """A module that loads a proxy."""

    def prepare(self, row: Row, directory: Path) -> Path:
        """Write what the program reads for a row: made once, used in every run."""
        ...

    def run(self, row: Row, prepared: Path, port: int, seconds: int, cores: tuple[int, ...]) -> Result:
        """Load the proxy on `port` from the cores. Raises LoadError."""
        ...


VERSIONS: dict[str, Callable[[], str]] = {"wrk": wrk.version, "h2load": h2load.version}


def versions(rows: Iterable[Row]) -> dict[str, str]:
    """Return the versions of the programs that the rows need. Raises LoadError when one is missing."""
    needed = {_name(row) for row in rows}
    return {name: version() for name, version in VERSIONS.items() if name in needed}


def prepare(row: Row, directory: Path) -> Path:
    return _program(row).prepare(row, directory)


def run(row: Row, prepared: Path, port: int, seconds: int, cores: tuple[int, ...]) -> Result:
    """Load the proxy on `port` as the row says. Raises LoadError."""
    return _program(row).run(row, prepared, port, seconds, cores)


def _name(row: Row) -> str:
    if not row.http2:
        return "wrk"
    return "h2load" if row.heads is Heads.WARM else "coldstreams"


def _program(row: Row) -> Program:
    return _PROGRAMS[_name(row)]


_PROGRAMS: dict[str, Program] = {"wrk": wrk, "h2load": h2load, "coldstreams": coldstreams}
