"""What the silence of an endpoint proves: nothing, as long as it may be at work."""

from heapq import heappop, heappush
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.evidence.doubt import Doubt
from proxy.upstream.evidence.given_up import GivenUp
from proxy.upstream.evidence.silence import (
    FALSE_S,
    UNANSWERED_S,
    UNREACHABLE_S,
    WORKING_S,
    Waiting,
    is_explained,
    is_proven,
    is_quiet,
    is_stuck,
    late_after_s,
)

NOW = 1000.0
FAST, SLOW, NEW = (0.005, 0.02), (2.0, 3.0), (0.0, inf)
"""What requests of a kind usually take, and the longest that they took."""


def sent(ago_s: float, kind: tuple[float, float] = FAST) -> Waiting:
    return Waiting(NOW - ago_s, *kind)


@pytest.mark.parametrize(
    ("kind", "waited_s", "heard_ago_s", "expected"),
    [
        (FAST, 0.09, 5.0, False),
        (FAST, 0.11, 5.0, True),
        (FAST, 5.0, 0.09, False),
        (FAST, 5.0, 0.11, True),
        (SLOW, 19.0, 30.0, False),
        (SLOW, 21.0, 30.0, True),
        (NEW, 0.11, 5.0, True),  # a suspicion costs nothing
    ],
)
def test_silence_is_a_suspicion_when_no_kind_explains_it(
    kind: tuple[float, float], waited_s: float, heard_ago_s: float, expected: bool
) -> None:
    assert is_quiet([sent(waited_s, kind)], NOW - heard_ago_s, NOW) is expected


@pytest.mark.parametrize(
    ("kind", "waited_s", "heard_ago_s", "expected"),
    [
        (FAST, 0.099, 5.0, False),
        (FAST, 0.101, 5.0, True),
        (FAST, 0.5, 0.41, True),  # it was not late yet when something was heard
        (FAST, 0.5, 0.45, True),
        (FAST, 0.5, 0.35, False),  # it was late before that: something else is the matter with it
        (SLOW, 29.0, 40.0, False),
        (SLOW, 31.0, 40.0, True),
        (NEW, 3600.0, 3600.0, False),  # nobody knows how long it takes
    ],
)
def test_a_request_is_stuck_when_it_became_late_in_the_silence(
    kind: tuple[float, float], waited_s: float, heard_ago_s: float, expected: bool
) -> None:
    assert is_stuck(sent(waited_s, kind), NOW - heard_ago_s, NOW) is expected


@pytest.mark.parametrize(
    ("longest_s", "expected"), [(0.0, 0.1), (0.02, 0.1), (0.1, 0.3), (0.2, 2.0), (6.0, 60.0), (inf, inf)]
)
def test_a_kind_that_is_slow_has_more_time(longest_s: float, expected: float) -> None:
    assert late_after_s(longest_s) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("before", "shown", "expected"),
    [
        (0, 1, False),  # single-threaded, as far as is known: it may be at work on the request itself
        (0, 2, True),
        (1, 2, False),  # the slow one before it and the request fill what is known of the pool
        (1, 3, True),
        (4, 4, False),
        (4, 5, False),
        (4, 6, True),
    ],
)
def test_an_endpoint_has_stopped_when_it_has_shown_room_beside_all_that_it_may_work_on(
    before: int, shown: int, expected: bool
) -> None:
    stuck = sent(0.3)
    busy = [NOW - 5.0 + n for n in range(before)] + [stuck.since]
    assert is_proven([stuck], busy, NOW - 0.31, NOW, shown) is expected


def test_requests_that_came_later_are_not_before_it() -> None:
    requests = [sent(0.3 - n / 100) for n in range(20)]
    assert is_proven(requests, [each.since for each in requests], NOW - 0.31, NOW, 2)


def test_a_request_that_was_overtaken_is_slow_itself() -> None:
    assert not is_proven([sent(9.0)], [NOW - 9.0], NOW - 0.3, NOW, 9)


@pytest.mark.parametrize(
    ("waiting", "shown", "expected"),
    [
        ([sent(5.5, SLOW)], 1, True),
        ([sent(6.5, SLOW)], 1, False),  # over twice as long as ever
        ([sent(5.5, NEW)], 1, False),
        ([sent(5.5, FAST)], 1, False),
        ([sent(5.5, SLOW)], 2, False),  # there is room beside it
        ([sent(5.5, SLOW)] * 4, 4, True),
        ([sent(4.0, SLOW)], 1, False),  # it came after the probe
    ],
)
def test_history_explains_that_a_probe_is_not_answered(
    waiting: list[Waiting], shown: int, expected: bool
) -> None:
    assert is_explained(waiting, NOW - 5.0, shown, NOW) is expected


@given(
    workers=st.integers(1, 4),
    shown=st.integers(1, 4),
    requests=st.lists(
        st.tuples(st.integers(0, 120), st.sampled_from(("fast", "slow"))), min_size=1, max_size=40
    ),
    look_ms=st.integers(0, 20_000),
)
def test_no_program_that_works_is_ever_proven_to_have_stopped(
    workers: int, shown: int, requests: list[tuple[int, str]], look_ms: int
) -> None:
    """Requests take what their kind takes, in the order in which they were sent."""
    takes = {"fast": (0.005, 0.02), "slow": (2.0, 3.0)}
    free, now, served = [0.0] * workers, 0.0, []
    for gap_ms, kind in requests:
        now += gap_ms / 1000
        answered = max(heappop(free), now) + takes[kind][1]
        heappush(free, answered)
        served.append((now, answered, kind))
    look = look_ms / 1000
    waiting = [Waiting(at, *takes[kind]) for at, answered, kind in served if at <= look < answered]
    heard = max((answered for _, answered, _ in served if answered <= look), default=-inf)
    assert not is_proven(waiting, [each.since for each in waiting], heard, look, min(shown, workers))


def test_a_request_that_was_given_up_may_be_worked_on_all_the_same() -> None:
    given_up = GivenUp()
    given_up.add(NOW - 1.0, inf, NOW)
    given_up.add(NOW - 0.5, 0.02, NOW)
    assert given_up.still(NOW) == [NOW - 1.0, NOW - 0.5]
    assert given_up.still(NOW + 0.2) == [NOW - 1.0]
    assert given_up.still(NOW + WORKING_S) == []


def test_an_endpoint_that_had_stopped_goes_on_with_given_up_requests() -> None:
    given_up = GivenUp()
    given_up.add(NOW, 0.02, NOW)
    given_up.resumed(7.0)
    assert given_up.still(NOW + 7.05) == [NOW]
    assert given_up.still(NOW + 7.2) == []


def test_few_of_the_requests_that_were_given_up_are_remembered() -> None:
    given_up = GivenUp()
    for number in range(500):
        given_up.add(NOW + number / 1000, inf, NOW)
    assert len(given_up.still(NOW)) == 64
    assert given_up.still(NOW)[-1] == NOW + 0.499


def test_a_wrong_verdict_makes_the_next_one_slower_for_an_hour() -> None:
    doubt = Doubt()
    assert doubt.unanswered_s(NOW) == UNANSWERED_S
    doubt.was_wrong(NOW)
    assert doubt.unanswered_s(NOW + FALSE_S - 1.0) == UNREACHABLE_S
    assert doubt.unanswered_s(NOW + FALSE_S) == UNANSWERED_S
