"""The results of the cases as lines while they come, as Markdown, and as figures for JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from loadtest.compare.report import NO_FIGURE, table
from loadtest.drills.mixed.account import Result, missed
from loadtest.drills.mixed.cases import Case, select
from loadtest.drills.mixed.run import Cell

HEAD = (
    "case",
    "proxy",
    "executions of slow",
    "their answers",
    "fast GETs repeated",
    "POSTs repeated",
    "failed",
    "cluster-1 gets %",
    "fast p50 / p99 / worst ms",
    "failovers, Events, breakers, holds",
)
WIDTHS = (28, 16, 18, 14, 4, 4, 10, 8, 22, 10)
MEANING = {
    "executions of slow": "how often each slow request was executed, by the endpoints' logs",
    "their answers": "what the client got for them",
    "fast GETs repeated": "fast GETs, and beside them POSTs, that were executed more than once",
    "cluster-1 gets": "of all executed GETs",
    "failovers, Events, breakers, holds": "what the gateway says of its clusters; only ours says something",
}


def line(cell: Cell) -> str:
    """Return a row of the table, for the eye."""
    return f"{cell.run:2} " + " ".join(
        text.ljust(width) if number < 2 else text.rjust(width)
        for number, (text, width) in enumerate(zip(_cells(cell), WIDTHS, strict=True))
    )


def judged(cell: Cell) -> tuple[str, ...]:
    """Return the limits that a cell of fleetgate misses."""
    return missed(_case(cell).target, cell.result)


def markdown(cells: Sequence[Cell], ours: Iterable[str]) -> str:
    """Return the tables of all runs, empty when there are none."""
    if not cells:
        return ""
    own = set(ours)
    parts = [
        table(HEAD, map(_cells, cells)),
        "\n".join(f"- {name}: {text}" for name, text in MEANING.items()),
        "\n".join(
            f"- {cell.peer}, {cell.case}: {text}"
            for cell in cells
            if cell.peer in own
            for text in judged(cell)
        ),
    ]
    return "\n\n".join(part for part in parts if part)


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
        _counted(map(str, r.executions_of_slow)),
        _counted(r.statuses_of_slow),
        str(r.repeated_fast_gets),
        str(r.repeated_posts),
        ", ".join(f"{count} × {how}" for how, count in r.failures.items()) or "0",
        f"{r.share:.1f}",
        f"{r.fast_p50_ms:.0f} / {r.fast_p99_ms:.0f} / {r.fast_worst_ms:.0f}",
        _said(r),
    )


def _counted(values: Iterable[str]) -> str:
    """Return `2 × 18, 3 × 1`: the value, and how many have it."""
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return ", ".join(f"{value} × {count}" for value, count in sorted(found.items()))


def _said(r: Result) -> str:
    if r.failovers is None:
        return NO_FIGURE
    return f"{r.failovers}, {r.events}, {r.breakers}, {r.holds}"


def _case(cell: Cell) -> Case:
    return select([cell.case], quick=False)[0]
