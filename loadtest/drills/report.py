"""The results as lines while they come, as Markdown, and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtest.compare.report import NO_FIGURE, machine, table
from loadtest.drills.combine import by_cell
from loadtest.drills.drills import DRILLS, Drill, select
from loadtest.drills.mixed import report as mixed_report
from loadtest.drills.mixed.run import Cell as MixedCell
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
    "cluster-1, worst",
    "cluster-2, both",
    "share back ms",
    "proxy waited, load late ms",
)
WIDTHS = (11, 13, 11, 12, 5, 4, 9, 9, 17, 5, 11, 11, 8, 12)
SLOW_HEAD = ("drill", "proxy", "slow GETs", "failed", "executed again", "slowest ms", "slowest fast GET ms")
OUTAGE_HEAD = ("drill", "proxy", "after s", "failed GET / POST", "zero traffic ms", "later", "share back ms")
MEANING = {
    "failed": "requests without an answer 200, from the hit to the end; *unsent*: those of which not a byte"
    " went to an endpoint",
    "duplicate POST": "arrivals of a POST, in the endpoints' logs, beyond the first one",
    "added": "of answered requests due in the second after the hit: p99 over the p99 before, and the worst"
    " over the median before, each counted from when the request was due",
    "zero traffic": "from the hit (from the first evidence) until cluster-2 gets less than 1 % of the"
    " requests for half a second; *later*: requests and connection attempts that it gets after that, in the"
    " fault",
    "cluster-1": "requests that it gets, of those due: in the second after the hit, in the fault's worst"
    " second",
    "cluster-2, both": "requests that are sent to it, and to both, of those due in the fault (in `return`:"
    " after it); more than 1: requests were sent more than once",
    "share back": "from the end of the fault until cluster-2 gets four fifths of its half, for half a second;"
    " *not yet*: not by the end of the run",
    "proxy waited, load late": "time in which the proxy could have run and had no core, and the longest that"
    " a request was begun after it was due, in the whole run: the machine, not the proxy, adds these",
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of figures, without which they are worth nothing."""

    date: str
    plan: Plan
    rounds: int
    versions: dict[str, str]
    remarks: tuple[str, ...]
    ours: tuple[str, ...]

    def __str__(self) -> str:
        plan = self.plan
        several = (
            f" {self.rounds} runs, the proxies in turn: the worst of each count, the median of each time."
        )
        return (
            f"{self.date}, {machine()}; {plan.rate} requests/s{' over HTTP/2' if plan.http2 else ''},"
            f" a quarter POST; {plan.before_s:g} s before"
            f" the fault, {plan.fault_s:g} s of it, {plan.after_s:g} s after it."
            + (several if self.rounds > 1 else "")
        )


def line(cell: Cell) -> str:
    """Return a row of the table, for the eye."""
    return f"{cell.run:2} " + " ".join(
        text.ljust(width) if number < 2 else text.rjust(width)
        for number, (text, width) in enumerate(zip(_cells(cell), WIDTHS, strict=True))
    )


def judged(cell: Cell) -> tuple[str, ...]:
    """Return the targets that a cell of fleetgate misses, and the invariants that do not hold."""
    return (*missed(_drill(cell), cell.result), *cell.violations)


def markdown(cells: Sequence[Cell], about: Circumstances, mixed: Sequence[MixedCell] = ()) -> str:
    """Return the report; `cells` and `mixed` are all runs."""
    whole = by_cell(cells)
    parts = [
        str(about),
        _list(f"{name} {version}" for name, version in about.versions.items()),
        table(HEAD, map(_cells, whole)) if whole else "",
        outages(whole),
        slow_requests(whole),
        _list(f"*{drill.name}*: {drill.meaning}" for drill in DRILLS if _is_in(drill.name, cells)),
        _list(f"{name}: {text}" for name, text in MEANING.items()) if whole else "",
        _list(
            f"{cell.peer}, {cell.drill}: {text}"
            for cell in whole
            if cell.peer in about.ours
            for text in judged(cell)
        ),
        mixed_report.markdown(mixed, about.ours),
        _list(about.remarks),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def outages(cells: Sequence[Cell]) -> str:
    """Return a table of the periods of drills that have several, empty when there are none."""
    rows = [
        (
            cell.drill,
            cell.peer,
            f"{outage.at_s:.0f}",
            f"{outage.failed_gets} / {outage.failed_posts}",
            _time(outage.quiet_ms, "never"),
            str(outage.later),
            _time(outage.back_ms, "not yet"),
        )
        for cell in cells
        if len(cell.result.outages) > 1
        for outage in cell.result.outages
    ]
    return table(OUTAGE_HEAD, rows) if rows else ""


def slow_requests(cells: Sequence[Cell]) -> str:
    """Return a table of the outcome of slow GETs, empty when there were none."""
    rows = [
        (
            cell.drill,
            cell.peer,
            str(cell.result.slow),
            str(cell.result.failed_slow),
            str(cell.result.duplicate_slow),
            _number(cell.result.slowest_slow_ms),
            _number(cell.result.slowest_get_ms),
        )
        for cell in cells
        if cell.result.slow
    ]
    return table(SLOW_HEAD, rows) if rows else ""


def write_json(
    path: Path, cells: Sequence[Cell], about: Circumstances, mixed: Sequence[MixedCell] = ()
) -> None:
    """Write the circumstances, and all runs: one on each line, so that they can be compared by line."""
    head = json.dumps(asdict(about) | {"machine": machine()}, indent=1, ensure_ascii=False)
    runs = _lines(_run(cell, about) for cell in cells)
    mixed_runs = _lines(mixed_report.figures(cell, about.ours) for cell in mixed)
    lists = f' "runs": [\n{runs}\n]' + (f',\n "mixed": [\n{mixed_runs}\n]' if mixed else "")
    path.write_text(f"{head[: -len('}')].rstrip()},\n{lists}}}\n")


def _lines(runs: Iterable[dict[str, object]]) -> str:
    return ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs)


def _run(cell: Cell, about: Circumstances) -> dict[str, object]:
    """Return the figures of a run, without its course over time."""
    figures = asdict(cell)
    result = figures.pop("result")
    result.pop("timeline")
    result.pop("faults")
    if len(cell.result.outages) < 2:
        result.pop("outages")  # all its figures are there already
    if cell.peer in about.ours:
        figures["missed"] = missed(_drill(cell), cell.result)
    else:
        figures.pop("violations")  # the run did not look for any
    return _rounded(figures | result)


def _rounded(figures: dict[str, object]) -> dict[str, object]:
    """Times are in milliseconds, and known to some microseconds."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}


def _cells(cell: Cell) -> tuple[str, ...]:
    r = cell.result
    quiet, later = NO_FIGURE, NO_FIGURE
    if _drill(cell).evidence_s is not None:
        quiet, later = _time(r.quiet_ms, "never"), str(r.later)
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
        later,
        f"{r.survivor:.2f}, {r.survivor_most:.2f}",
        f"{r.hit_part:.2f}, {r.sent_part:.2f}",
        _time(r.back_ms, "not yet"),
        f"{_number(_ms(cell.waited_s))}, {_number(_ms(cell.late_s))}",
    )


def _drill(cell: Cell) -> Drill:
    return select([cell.drill])[0]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _time(value: float | None, never: str) -> str:
    return never if value is None else _number(value)


def _number(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _is_in(drill: str, cells: Iterable[Cell]) -> bool:
    return any(cell.drill == drill for cell in cells)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
