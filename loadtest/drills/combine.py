"""Several runs of a cell as one: the worst of each count, the median of each measured time.

A rare failure is a failure, too: the median of 0, 0 and 20 would hide it, and so would the mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from math import inf
from statistics import median
from typing import Any, Final

from loadtest.drills.measure import Bin, Outage, Result
from loadtest.drills.run import Cell

WORST: Final = frozenset(
    (
        "requests", "slow", "failed_slow", "duplicate_slow", "slowest_slow_ms", "failed_before",
        "failed_gets", "failed_posts", "failed_unsent", "duplicate_posts",
        "lost", "mixed_up", "given_up", "later", "survivor_most", "late_failed",
    )
)  # fmt: skip
NEVER: Final = frozenset(("quiet_ms", "quiet_after_evidence_ms", "back_ms"))
"""Times until an event: None, which means that the event never came, is longer than any."""


def combined(cells: Sequence[Cell]) -> Cell:
    """Return one cell for all runs of a drill before a proxy; `run` and `at` are the first one's."""
    first = cells[0]
    waits = [cell.waited_s for cell in cells if cell.waited_s is not None]
    return Cell(
        drill=first.drill,
        peer=first.peer,
        run=first.run,
        at=first.at,
        result=_results([cell.result for cell in cells]),
        violations=tuple(dict.fromkeys(text for cell in cells for text in cell.violations)),
        waited_s=max(waits, default=None),
        late_s=max(cell.late_s for cell in cells),
    )


def by_cell(cells: Iterable[Cell]) -> list[Cell]:
    """Return the runs combined, in the order of the first ones."""
    runs: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        runs.setdefault((cell.drill, cell.peer), []).append(cell)
    return [combined(each) for each in runs.values()]


def _results(results: Sequence[Result]) -> Result:
    values: dict[str, Any] = {
        field.name: _value(field.name, [getattr(result, field.name) for result in results])
        for field in fields(Result)
        if field.name not in ("failures", "faults", "outages", "timeline")
    }
    values["failures"] = _failures([result.failures for result in results])
    values["faults"] = results[0].faults
    values["outages"] = tuple(
        map(_outage, zip(*(result.outages for result in results), strict=True))
    )  # each drill has the same number of them in every run
    values["timeline"] = tuple(map(_bin, zip(*(result.timeline for result in results), strict=False)))
    return Result(**values)


def _outage(outages: Sequence[Outage]) -> Outage:
    values: dict[str, Any] = {
        field.name: _value(field.name, [getattr(outage, field.name) for outage in outages])
        for field in fields(Outage)
    }
    return Outage(**values)


def _value(name: str, values: Sequence[float | None]) -> float | None:
    if name in NEVER:
        middle = median([inf if value is None else value for value in values])
        return None if middle == inf else middle
    known = [value for value in values if value is not None]
    if not known:
        return None
    return max(known) if name in WORST else median(known)


def _failures(failures: Sequence[dict[str, int]]) -> dict[str, int]:
    """Return the most that any run has of each kind."""
    kinds = dict.fromkeys(kind for each in failures for kind in each)
    return {kind: max(each.get(kind, 0) for each in failures) for kind in kinds}


def _bin(bins: Sequence[Bin]) -> Bin:
    return Bin(
        at=bins[0].at,
        due=sum(each.due for each in bins),
        p50_ms=median([each.p50_ms for each in bins]),
        worst_ms=max(each.worst_ms for each in bins),
        failed=sum(each.failed for each in bins),
    )
