"""How many requests an endpoint has shown to work on at a time: never more than it does."""

from dataclasses import dataclass, field
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.evidence.concurrency import MOST, OVERHEAD_S, OVERTAKEN, Concurrency


@dataclass
class Queue:
    """A program with so many workers and one queue, on a clock of its own."""

    workers: int
    overhead_s: float = 0.0  # of a request that finds a worker idle: it has to wake up
    answers: list[tuple[float, float, float]] = field(default_factory=list)  # answered, sent, work

    def serve(self, requests: list[tuple[float, float]]) -> None:
        """`requests` are (sent, work), in order."""
        free = [0.0] * self.workers
        for sent, work in requests:
            at = heappop(free)
            begins = at if at > sent else sent + self.overhead_s
            heappush(free, begins + work)
            self.answers.append((begins + work, sent, work))
        self.answers.sort()

    def shown(self, took_s: float, round_trip_s: float = 0.0) -> int:
        concurrency = Concurrency()
        for number, (answered, sent, _) in enumerate(self.answers):
            waiting = [s for _, s, _ in self.answers[number + 1 :] if s < answered]
            concurrency.answered(sent, answered + round_trip_s, took_s, waiting)
        return concurrency.shown


@given(
    workers=st.integers(1, 5),
    work_ms=st.integers(1, 30),
    gaps_ms=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    extra=st.data(),
)
def test_no_program_shows_more_than_it_has(
    workers: int, work_ms: int, gaps_ms: list[int], extra: st.DataObject
) -> None:
    now, requests = 0.0, []
    for gap_ms in gaps_ms:
        now += gap_ms / 1000
        more_ms = extra.draw(st.sampled_from((0, 0, 0, 1, 50, 2000)))
        requests.append((now, (work_ms + more_ms) / 1000))
    queue = Queue(workers, overhead_s=OVERHEAD_S)
    queue.serve(requests)
    fastest = min(work for _, _, work in queue.answers) + queue.overhead_s  # as it looks from outside
    assert queue.shown(fastest, round_trip_s=0.01) <= workers


@pytest.mark.parametrize(
    ("workers", "gap_ms", "least", "most"),
    [
        (1, 6, 1, 1),  # as it comes, one after the other
        (1, 2, 1, 1),  # a queue that grows
        (4, 6, 1, 1),  # never two at a time: nothing is shown
        (4, 2, 2, 4),
        (4, 1, 3, 4),
        (50, 0.2, 8, 50),
    ],
)
def test_regular_traffic_shows_what_overlaps(workers: int, gap_ms: float, least: int, most: int) -> None:
    queue = Queue(workers)
    queue.serve([(n * gap_ms / 1000, 0.005) for n in range(200)])
    assert least <= queue.shown(0.005) <= most


def test_requests_that_take_no_time_show_nothing() -> None:
    queue = Queue(50)
    queue.serve([(n / 10_000, 0.0005) for n in range(200)])
    assert queue.shown(0.0005) == 1


def test_slow_requests_that_are_overtaken_are_worked_on_beside_the_others() -> None:
    concurrency = Concurrency()
    for number in range(OVERTAKEN + 1):
        concurrency.answered(1.0 + number, 1.001 + number, 0.001, [0.1, 0.2])
    assert concurrency.shown == 3


def test_requests_behind_a_slow_one_show_nothing() -> None:
    queue = Queue(1)
    queue.serve([(0.0, 6.0), *[(0.5 * n, 0.003) for n in range(1, 12)]])
    assert queue.shown(0.003) == 1


def test_slow_requests_that_have_ended_are_counted_no_more() -> None:
    concurrency = Concurrency()
    for number in range(OVERTAKEN + 1):
        concurrency.answered(1.0 + number, 1.005 + number, 0.005, [0.1])
    assert concurrency.shown == 2
    concurrency.answered(10.0, 10.006, 0.005, [])
    concurrency.answered(10.001, 10.007, 0.005, [])
    assert concurrency.shown == 2


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [([1], 1), ([1, 1], 2), ([1, 3], 2), ([3, 3], 4), ([0, 0, 0], 1), ([99, 99], MOST)],
)
def test_probes_that_are_answered_beside_requests_show_room(waiting: list[int], expected: int) -> None:
    concurrency = Concurrency()
    for count in waiting:
        concurrency.probed(5.0, 5.001, 0.001, [1.0] * count, was_idle=False)
    assert concurrency.shown == expected


def test_a_probe_and_a_request_that_overlap_show_two() -> None:
    concurrency = Concurrency()
    concurrency.probed(1.0, 1.005, 0.005, [], was_idle=True)
    concurrency.answered(2.0, 2.005, 0.005, [])
    concurrency.probed(2.001, 2.006, 0.005, [], was_idle=False)
    assert concurrency.shown == 2


def test_probes_that_are_sent_right_after_requests_tell_nothing_of_what_a_probe_takes() -> None:
    """One worker: each of them waits for the request before it."""
    concurrency = Concurrency()
    for number in range(40):
        start = float(number)
        concurrency.answered(start, start + 0.005, 0.005, [])
        concurrency.probed(start + 0.001, start + 0.006, 0.005, [], was_idle=False, at_random=False)
    assert concurrency.is_unknown()
    assert concurrency.shown == 1


def test_a_probe_behind_a_request_shows_nothing() -> None:
    concurrency = Concurrency()
    concurrency.probed(1.0, 1.005, 0.005, [], was_idle=True)
    concurrency.answered(2.0, 2.005, 0.005, [])
    concurrency.probed(2.001, 2.010, 0.005, [], was_idle=False)
    assert concurrency.shown == 1


def test_rehearsals_are_few() -> None:
    concurrency = Concurrency()
    assert sum(concurrency.may_rehearse(1.0 + n / 10) for n in range(1000)) == 40
    assert concurrency.may_rehearse(4000.0)
