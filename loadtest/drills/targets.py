"""Compares fleetgate's results with the targets of a drill."""

from collections.abc import Iterator

from loadtest.drills.drills import Drill, Target
from loadtest.drills.measure import Result


def missed(drill: Drill, result: Result) -> tuple[str, ...]:
    """Return a line for every target that the result misses."""
    return tuple(
        f"{what}: {'never' if value is None else f'{value:.4g}'}, target {limit:.4g}"
        for what, value, limit in _compared(drill.target, result)
        if value is None or value > limit
    )


def _compared(target: Target, result: Result) -> Iterator[tuple[str, float | None, float]]:
    """Yield (target, value, limit); the value is None where an expected event does not happen."""
    yield from _limited("failed GETs", result.failed_gets, target.failed_gets)
    yield from _limited("failed POSTs", result.failed_posts, target.failed_posts)
    yield from _limited("failed although nothing was sent", result.failed_unsent or 0, 0)
    yield from _limited("duplicate POSTs", result.duplicate_posts, 0)
    yield from _limited("slowest GET, ms", result.slowest_get_ms, target.get_ms)
    yield from _limited("added p99, ms", result.added_unwritten_p99_ms, target.added_p99_ms)
    if result.added_written_p99_ms is not None:
        limit = target.added_written_p99_ms
        yield from _limited("added p99 of written requests, ms", result.added_written_p99_ms, limit)
    yield from _limited("zero traffic after evidence, ms", result.quiet_after_evidence_ms, target.quiet_ms)
    yield from _limited("share back, ms", result.back_ms, target.back_ms)
    yield from _limited("survivor's load", result.survivor_most, target.survivor)
    yield from _limited("slow GETs executed again", result.duplicate_slow, target.duplicate_slow)
    yield from _limited("slowest slow GET, ms", result.slowest_slow_ms, target.slow_ms)
    yield from _limited("sent, of those due", result.sent_part, target.sent)


def _limited(
    what: str, value: float | None, limit: float | None
) -> Iterator[tuple[str, float | None, float]]:
    if limit is not None:
        yield what, value, limit
