"""Runs the cases of the drill `mixed`, one after the other."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Final

import httpx

from loadtest.drills.mixed.cases import Case, select
from loadtest.drills.mixed.peers import FIND, Peer
from loadtest.drills.mixed.run import Cell, before_fleetgate, before_peer
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.processes import StartError
from loadtest.kit.programs import Missing, installed

Run = tuple[Case, Fleetgate | Peer]

NAME: Final = "mixed"
AROUND_S: Final = 7.0
"""Time to start, settle and stop a case."""


def divided(patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the patterns of other drills, and those of cases: `mixed` is all of them, `mixed/CASE` some."""
    cases = [each.partition("/")[2] for each in patterns if each.startswith(f"{NAME}/")]
    others = [each for each in patterns if not each.startswith(f"{NAME}/")]
    if any(fnmatch(NAME, each) for each in others):
        cases.append("*")
    return [each for each in others if each != NAME], cases


def chosen(patterns: list[str], *, quick: bool) -> list[Case]:
    """Return the cases that match. Raises ValueError when a pattern matches no case."""
    return select(patterns, quick=quick) if patterns else []


def peers(names: Sequence[str]) -> list[Peer]:
    """Return the installed peers, each twice: with its own timeouts and with those of `hang`."""
    found, _ = installed(FIND, names)
    return [peer for both in found for peer in both]


def runs(cases: Sequence[Case], builds: Sequence[Fleetgate], others: Sequence[Peer]) -> list[Run]:
    """Return each case with its proxy: all cases before our builds, some before the others."""
    found: list[Run] = []
    for case in cases:
        found += [(case, build) for build in builds]
        found += [(case, peer) for peer in others if case.beside_peers]
    return found


def takes_s(planned: Sequence[Run], times: int) -> float:
    """Return about how long the planned runs take, in seconds."""
    return sum(case.longest_s + AROUND_S for case, _ in planned) * times


def cells(
    planned: Sequence[Run], times: int, directory: Path, proxy_core: int, load_core: int
) -> Iterator[Cell | str]:
    """Yield each run of each case; a sentence about one that could not be done, and the others still are."""
    for number, (case, proxy) in product(range(1, times + 1), planned):
        place = directory / f"{NAME}-{case.name}-{proxy.name}-{number}"
        try:
            if isinstance(proxy, Fleetgate):
                yield before_fleetgate(case, proxy, number, place, proxy_core, load_core)
            else:
                yield before_peer(case, proxy, number, place, proxy_core, load_core)
        except (Missing, StartError, OSError, httpx.HTTPError) as error:
            yield f"run {number} of {case.name} before {proxy.name} came to nothing: {error}"
