"""Command line options that the programs of the comparison share."""

import argparse
import os
import sys
from pathlib import Path

from loadtest.kit.fleetgate import Fleetgate, parse
from loadtest.kit.programs import Missing


def add_builds(parser: argparse.ArgumentParser) -> None:
    """Add the options that name builds and files."""
    parser.add_argument(
        "--fleetgate",
        action="append",
        metavar="NAME=PYTHON",
        help="a build of fleetgate: a name, and the interpreter of the environment that it is installed in"
        " (repeatable; default: the interpreter that runs this)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add builds, files, and the two cores."""
    add_builds(parser)
    parser.add_argument("--proxy-core", type=int, default=0, help="core of the proxy under test (default 0)")
    parser.add_argument("--load-core", type=int, default=1, help="core of backend and load (default 1)")


def builds(named: list[str] | None) -> list[Fleetgate]:
    """Return the builds of fleetgate. Raises Missing."""
    return [parse(text) for text in named or [f"fleetgate={sys.executable}"]]


def check_cores(*cores: int) -> None:
    """Raises Missing unless there is each of the cores, and no two are the same."""
    usable = os.sched_getaffinity(0)
    wanted = " and ".join(map(str, cores))
    if len(usable) < 2:
        raise Missing(
            "the comparison needs two cores, one for the proxy and one for backend and load;"
            f" this machine lets it use {len(usable)}"
        )
    if not usable.issuperset(cores) or len(set(cores)) < len(cores):
        raise Missing(
            f"--proxy-core and --load-core are {wanted}; give two different ones of {sorted(usable)}"
        )
