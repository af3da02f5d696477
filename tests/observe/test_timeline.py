"""When failovers begin and end, what they are put down to, and what they cost."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from controlplane.observe.timeline import KEPT, Failover, Observation, Timeline
from controlplane.publish import Failures, Pair

WEB: Pair = ("shop/web:80", "a")
Attempts = Mapping[tuple[str, str], int]
"""By the cluster to which they went on, and the reason."""


def seen(
    now: float,
    *,
    held: str = "",
    attempts: Attempts | None = None,
    lost: int = 0,
    empty: bool = False,
    gone: bool = False,
    share: bool = True,
    returning: bool = False,
) -> Observation:
    """`attempts` and `lost` are since the start; `held` is the cause to name for the breaker."""
    counted = {("shop/web:80", "a", to, reason): count for (to, reason), count in (attempts or {}).items()}
    return Observation(
        now=now,
        held={WEB: held} if held else {},
        empty={WEB} if empty else set(),
        filled=set() if empty or gone else {WEB},
        carries=lambda _pair: share,
        failures=Failures(Counter(counted), Counter({WEB: lost})),
        returning={WEB} if returning else set(),
    )


def told(*observations: Observation) -> tuple[Failover, ...]:
    timeline = Timeline()
    for observation in observations:
        timeline.observe(observation)
    return timeline.failovers()


CALM = seen(0)
REFUSED = {("b", "refused"): 3}
MORE = {("b", "refused"): 4}
MIXED = {("b", "reset"): 2, ("", "timeout"): 4, ("a", "stale"): 1}

Row = tuple[str, Sequence[Observation], list[tuple[float, float, str, int, int]]]
TABLE: list[Row] = [
    ("all is well", [CALM, seen(1)], []),
    ("one attempt fails", [CALM, seen(1, attempts=REFUSED, lost=1), seen(2, attempts=REFUSED, lost=1)], []),
    (
        "a breaker opens and closes",
        [CALM, seen(1, held="x", attempts=REFUSED), seen(5, held="x", attempts=REFUSED), seen(9)],
        [(1, 9, "refused", 3, 0)],
    ),
    ("it lasts", [CALM, seen(1, held="x", attempts=REFUSED)], [(1, 0, "refused", 3, 0)]),
    (
        "attempts fail a moment before the workers agree, and after",
        [
            CALM,
            seen(1, attempts=REFUSED, lost=1),
            seen(2, attempts=REFUSED, lost=1, held="x"),
            seen(3, attempts={("b", "refused"): 5}, lost=2, held="x"),
            seen(4, attempts={("b", "refused"): 6}, lost=2),
        ],
        [(1, 4, "refused", 6, 2)],
    ),
    (
        "attempts that failed long before are none of it",
        [CALM, seen(1, attempts=REFUSED, lost=1), seen(9, attempts=REFUSED, lost=1, held="x")],
        [(9, 0, "x", 0, 0)],
    ),
    (
        "what failed before the first look is none of it",
        [seen(1, attempts=REFUSED, held="x")],
        [(1, 0, "x", 0, 0)],
    ),
    (
        "the most frequent reason is the cause, attempts that ended there are not moved",
        [CALM, seen(1, held="x", attempts=MIXED, lost=4)],
        [(1, 0, "timeout", 2, 4)],
    ),
    (
        "of equals the first in the alphabet",
        [CALM, seen(1, held="x", attempts={("b", "timeout"): 2, ("b", "reset"): 2})],
        [(1, 0, "reset", 4, 0)],
    ),
    (
        "an answer that was late is no cause",
        [CALM, seen(1, held="x", attempts={("b", "hedged"): 9, ("b", "connect_timeout"): 1})],
        [(1, 0, "connect_timeout", 10, 0)],
    ),
    ("checks found it", [CALM, seen(1, held="checks_failing"), seen(2)], [(1, 2, "checks_failing", 0, 0)]),
    ("its endpoints leave", [CALM, seen(1, empty=True), seen(2)], [(1, 2, "no_endpoints", 0, 0)]),
    ("it never had any", [seen(0, empty=True), seen(1, empty=True)], []),
    (
        "its endpoints leave while its breaker is open",
        [CALM, seen(1, held="x", attempts=REFUSED), seen(2, empty=True, attempts=REFUSED), seen(3)],
        [(1, 3, "refused", 3, 0)],
    ),
    (
        "the service leaves the cluster",
        [CALM, seen(1, empty=True), seen(2, gone=True)],
        [(1, 2, "no_endpoints", 0, 0)],
    ),
    ("a standby fails unused", [CALM, seen(1, held="x", share=False)], []),
    (
        "a standby fails in use",
        [CALM, seen(1, held="x", share=False, attempts={("", "reset"): 1}, lost=1)],
        [(1, 0, "reset", 0, 1)],
    ),
    (
        "it comes back and fails again at once",
        [
            CALM,
            seen(1, held="x", attempts=REFUSED),
            seen(2, attempts=REFUSED),
            seen(3, held="x", attempts=MORE),
        ],
        [(3, 0, "refused", 1, 0), (1, 2, "refused", 3, 0)],
    ),
    (
        "it has endpoints again a moment before workers tell that its share has yet to grow",
        [
            CALM,
            seen(1, empty=True),
            seen(2),
            seen(3, held="x", returning=True, attempts=REFUSED),
            seen(4, attempts=REFUSED),
        ],
        [(1, 4, "refused", 3, 0)],
    ),
    (
        "its share grows anew long after it came back",
        [CALM, seen(1, empty=True), seen(2), seen(9, held="x", returning=True), seen(10)],
        [(9, 10, "x", 0, 0), (1, 2, "no_endpoints", 0, 0)],
    ),
    (
        "counters of a route that is gone are missing",
        [CALM, seen(1, lost=5), seen(2, held="x", lost=0), seen(3, held="x", lost=2)],
        [(2, 0, "x", 0, 7)],
    ),
]


@pytest.mark.parametrize(
    ("observations", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_timeline(
    observations: Sequence[Observation], expected: list[tuple[float, float, str, int, int]]
) -> None:
    assert [(f.start, f.end, f.cause, f.moved, f.lost) for f in told(*observations)] == expected


def test_beginning_and_end_are_told_once() -> None:
    timeline = Timeline()
    assert timeline.observe(CALM) == []
    (begun,) = timeline.observe(seen(1, held="x"))
    assert (begun.service, begun.cluster, begun.end) == (*WEB, 0)
    assert timeline.observe(seen(2, held="x")) == []
    (ended,) = timeline.observe(seen(3))
    assert (ended.start, ended.end) == (1, 3)
    assert timeline.observe(seen(4)) == []


def test_where_requests_went() -> None:
    attempts = {("b", "refused"): 3, ("b", "reset"): 1, ("c", "reset"): 2}
    (failover,) = told(CALM, seen(1, held="x", attempts=attempts))
    assert failover.moved_to == {"b": 4, "c": 2}
    assert failover.reasons == {"refused": 3, "reset": 3}


def test_the_latest_are_kept_and_whatever_lasts() -> None:
    timeline = Timeline()
    for number in range(KEPT + 5):
        timeline.observe(seen(10 * number, held="x"))
        timeline.observe(seen(10 * number + 5))
    timeline.observe(seen(9999, held="x"))
    starts = [failover.start for failover in timeline.failovers()]
    assert starts == [9999, *(10.0 * number for number in range(KEPT + 4, 4, -1))]


def test_a_failover_that_was_shown_does_not_change_any_more() -> None:
    timeline = Timeline()
    timeline.observe(CALM)
    timeline.observe(seen(1, held="x", attempts=REFUSED))
    (shown,) = timeline.failovers()
    timeline.observe(seen(2, attempts={("b", "refused"): 9}))
    assert (shown.moved, shown.end) == (3, 0)
