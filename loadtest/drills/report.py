"""The results as lines while they come, as Markdown, and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtest.compare.report import NO_FIGURE, machine, table
from loadtest.drills.drills import DRILLS, select
from loadtest.drills.run import Cell, Plan
from loadtest.drills.targets import missed

HEAD = (
    "drill",
    "proxy",
    "failed GET / POST",
    "how",
    "unsent",
    "duplicate POST",
    "added p99 ms",
    "added worst ms",
    "zero traffic ms (after evidence)",
    "later",
    "survivor, worst",
    "share back ms",
    "proxy waited, load late ms",
)
MEANING = {
    "failed": "requests without an answer 200, from the hit to the end; *unsent*: those of which not a byte"
    " went to an endpoint",
    "duplicate POST": "arrivals of a POST, in the endpoints' logs, beyond the first one",
    "added": "of answered requests due in the second after the hit: p99 over the p99 before, and the worst"
    " over the median before, each counted from when the request was due",
    "zero traffic": "from the hit (from the first evidence) until cluster-2 gets less than 1 % of the"
    " requests for half a second; *later*: requests and connection attempts that it gets after that, in the"
    " fault",
    "survivor": "requests that cluster-1 gets, of those due: in the second after the hit, in the fault's"
    " worst second",
    "share back": "from the end of the fault until cluster-2 gets four fifths of its half, for half a second",
    "proxy waited, load late": "time in which the proxy could have run and had no core, and the longest that"
    " a request was begun after it was due, in the whole run: what the machine, not the proxy, adds",
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a figure is worth nothing without."""

    date: str
    plan: Plan
    versions: dict[str, str]
    remarks: tuple[str, ...]
    ours: tuple[str, ...]

    def __str__(self) -> str:
        plan = self.plan
        return (
            f"{self.date}, {machine()}; {plan.rate} requests/s, a quarter POST; {plan.before_s:g} s before"
            f" the fault, {plan.fault_s:g} s of it, {plan.after_s:g} s after it."
        )


def line(cell: Cell) -> str:
    """Return a row of the table, for the eye."""
    widths = (11, 13, 11, 12, 5, 4, 9, 9, 17, 5, 11, 7, 12)
    return " ".join(
        text.ljust(width) if number < 2 else text.rjust(width)
        for number, (text, width) in enumerate(zip(_cells(cell), widths, strict=True))
    )


def judged(cell: Cell) -> tuple[str, ...]:
    """Return the targets that a cell of fleetgate misses, and the invariants that do not hold."""
    drill = select([cell.drill])[0]
    return (*missed(drill, cell.result), *cell.violations)


def markdown(cells: Sequence[Cell], about: Circumstances) -> str:
    parts = [
        str(about),
        _list(f"{name} {version}" for name, version in about.versions.items()),
        table(HEAD, map(_cells, cells)),
        _list(f"*{drill.name}*: {drill.meaning}" for drill in DRILLS if _is_in(drill.name, cells)),
        _list(f"{name}: {text}" for name, text in MEANING.items()),
        _list(
            f"{cell.peer}, {cell.drill}: {text}"
            for cell in cells
            if cell.peer in about.ours
            for text in judged(cell)
        ),
        _list(about.remarks),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_json(path: Path, cells: Sequence[Cell], about: Circumstances) -> None:
    document = asdict(about) | {
        "machine": machine(),
        "cells": [
            asdict(cell) | ({"missed": judged(cell)} if cell.peer in about.ours else {}) for cell in cells
        ],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _cells(cell: Cell) -> tuple[str, ...]:
    r = cell.result
    quiet = _number(r.quiet_ms)
    if r.quiet_after_evidence_ms is not None:
        quiet += f" ({_number(r.quiet_after_evidence_ms)})"
    return (
        cell.drill,
        cell.peer,
        f"{r.failed_gets} / {r.failed_posts}" + (f" (before {r.failed_before})" if r.failed_before else ""),
        ", ".join(f"{count} × {how}" for how, count in r.failures.items()) or NO_FIGURE,
        NO_FIGURE if r.failed_unsent is None else str(r.failed_unsent),
        str(r.duplicate_posts),
        _number(r.added_p99_ms),
        _number(r.added_worst_ms),
        quiet,
        str(r.later),
        f"{r.survivor:.2f}, {r.survivor_most:.2f}",
        _number(r.back_ms),
        f"{_number(_ms(cell.waited_s))}, {_number(_ms(cell.late_s))}",
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _number(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _is_in(drill: str, cells: Iterable[Cell]) -> bool:
    return any(cell.drill == drill for cell in cells)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
