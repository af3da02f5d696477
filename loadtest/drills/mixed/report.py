"""The results of the cases as lines while they come, as Markdown, and as figures for JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from loadtest.compare.report import NO_FIGURE, table
from loadtest.drills.mixed.account import Miss, Result, missed
from loadtest.drills.mixed.cases import CASES, Case, select
from loadtest.drills.mixed.run import Cell

HEAD = (
    "case",
    "proxy",
    "limits",
    "executions of slow",
    "their answers",
    "fast GETs, POSTs repeated",
    "failed",
    "cluster-1 gets %",
    "fast p50 / p99 / worst ms",
    "failovers, Events, breakers, holds",
    "load late, endpoint paused ms",
)
WIDTHS = (20, 13, 6, 16, 14, 5, 9, 8, 18, 10, 9)
CASES_HEAD = ("case", "endpoints and rule", "fast", "slow")
ONCE = "each once"


def line(cell: Cell) -> str:
    """Return a row of the table, for the eye."""
    return f"{cell.run:2} " + " ".join(
        text.ljust(width) if number < 2 else text.rjust(width)
        for number, (text, width) in enumerate(zip(_cells(cell), WIDTHS, strict=True))
    )


def judged(cell: Cell) -> tuple[str, ...]:
    """Return the limits that a cell of fleetgate misses."""
    return tuple(map(str, _missed(cell)))


def markdown(cells: Sequence[Cell], ours: Sequence[str]) -> str:
    """Return a table of our builds and one of the peers, empty when there are no runs."""
    found = {(cell.case, cell.peer): cell for cell in cells}
    cases = [case for case in CASES if any(case.name == name for name, _ in found)]
    builds = [peer for peer in _peers(cells) if peer in ours]
    others = [peer for peer in _peers(cells) if peer not in ours]
    parts = []
    if builds:
        rows = [
            (*_about(case), *(_verdict(found.get((case.name, build))) for build in builds)) for case in cases
        ]
        parts.append(table((*CASES_HEAD, *builds), rows))
    if others:
        beside = [case for case in cases if any((case.name, peer) in found for peer in others)]
        rows = [
            (case.name, *(_outcome(found.get((case.name, peer))) for peer in (*builds, *others)))
            for case in beside
        ]
        parts.append(table(("case", *builds, *others), rows))
    return "\n\n".join(parts)


def figures(cell: Cell, ours: Iterable[str]) -> dict[str, object]:
    """Return a run as JSON has it."""
    flat = asdict(cell)
    flat |= flat.pop("result")
    if cell.peer in set(ours):
        flat["missed"] = judged(cell)
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in flat.items()}


def _cells(cell: Cell) -> tuple[str, ...]:
    r = cell.result
    return (
        cell.case,
        cell.peer,
        NO_FIGURE if r.failovers is None else f"{len(_missed(cell))} missed" if _missed(cell) else "met",
        _counted(map(str, r.executions_of_slow)),
        _counted(r.statuses_of_slow),
        f"{r.repeated_fast_gets}, {r.repeated_posts}",
        _failures(r) or "0",
        f"{r.share:.1f}",
        f"{r.fast_p50_ms:.0f} / {r.fast_p99_ms:.0f} / {r.fast_worst_ms:.0f}",
        NO_FIGURE if r.failovers is None else f"{r.failovers}, {r.events}, {r.breakers}, {r.holds}",
        f"{cell.late_s * 1e3:.0f}, {cell.paused_s * 1e3:.0f}",
    )


def _about(case: Case) -> tuple[str, str, str, str]:
    """Return the first columns of the table of cases."""
    pods = f"{case.pods} × {case.model}"
    said = [f"{key.partition('/')[2]}: {value}" for key, value in case.annotations]
    several = [f"{case.workers} workers"] if case.workers > 1 else []
    slow = [
        f"{len(each.at) * each.together} × {each.method} {each.takes_s:g} s"
        + (f", {each.together} at a time" if each.together > 1 else "")
        for each in case.slow
    ]
    return (
        case.name,
        "; ".join([pods, case.split, *said, *several]),
        f"{case.fast_rate:g}/s",
        "; ".join(slow),
    )


def _verdict(cell: Cell | None) -> str:
    """Return the limits that are missed, and p50 and p99 of the fast requests."""
    if cell is None:
        return NO_FIGURE
    found = "; ".join(f"{each.what} {each.value:.3g}" for each in _missed(cell)) or "met"
    return f"{found} ({cell.result.fast_p50_ms:.0f}, {cell.result.fast_p99_ms:.0f} ms)"


def _outcome(cell: Cell | None) -> str:
    """Return how often slow requests were executed, their outcome, and the failures of others."""
    if cell is None:
        return NO_FIGURE
    r = cell.result
    executed = ONCE if set(r.executions_of_slow) == {1} else _counted(map(str, r.executions_of_slow))
    others = r.failed - sum(status != "200" for status in r.statuses_of_slow)
    text = f"{executed}; {_counted(r.statuses_of_slow)}"
    return text + (f"; {others} fast failed" if others else "")


def _missed(cell: Cell) -> tuple[Miss, ...]:
    return missed(_case(cell).target, cell.result)


def _peers(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.peer for cell in cells))


def _failures(r: Result) -> str:
    return ", ".join(f"{count} × {how}" for how, count in r.failures.items())


def _counted(values: Iterable[str]) -> str:
    """Return `1 × 3, 3 × 2`: three with the value 1, two with the value 3."""
    return ", ".join(f"{value} × {count}" for value, count in sorted(Counter(values).items()))


def _case(cell: Cell) -> Case:
    return select([cell.case], quick=False)[0]
