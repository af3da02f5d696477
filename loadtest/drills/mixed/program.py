"""Runs the cases of the drill `mixed`, one after the other."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Final

import httpx

from loadtest.compare.peers import Missing
from loadtest.compare.peers.fleetgate import Fleetgate
from loadtest.compare.processes import StartError
from loadtest.drills.mixed.cases import Case, select
from loadtest.drills.mixed.run import Cell, before_fleetgate

NAME: Final = "mixed"
AROUND_S: Final = 7.0
"""To start, settle and stop everything."""


def divided(patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the patterns of other drills, and those of cases: `mixed` is all of them, `mixed/CASE` some."""
    cases = [each.partition("/")[2] for each in patterns if each.startswith(f"{NAME}/")]
    others = [each for each in patterns if not each.startswith(f"{NAME}/")]
    if any(fnmatch(NAME, each) for each in others):
        cases.append("*")
    return [each for each in others if each != NAME], cases


def chosen(patterns: list[str], *, quick: bool) -> list[Case]:
    """Raises ValueError when a pattern matches no case."""
    return select(patterns, quick=quick) if patterns else []


def takes_s(cases: Sequence[Case], builds: int, runs: int) -> float:
    """Return about how long everything takes."""
    return sum(case.longest_s + AROUND_S for case in cases) * builds * runs


def cells(
    cases: Sequence[Case],
    builds: Sequence[Fleetgate],
    runs: int,
    directory: Path,
    proxy_core: int,
    load_core: int,
) -> Iterator[Cell | str]:
    """Yield each run of each case; a sentence about one that could not be done, and the others still are."""
    for number, case, build in product(range(1, runs + 1), cases, builds):
        place = directory / f"{NAME}-{case.name}-{build.name}-{number}"
        try:
            yield before_fleetgate(case, build, number, place, proxy_core, load_core)
        except (Missing, StartError, OSError, httpx.HTTPError) as error:
            yield f"run {number} of {case.name} before {build.name} came to nothing: {error}"
