"""What the drills count and measure."""

from dataclasses import replace

import pytest

from loadtest.drills import site
from loadtest.drills.combine import by_cell
from loadtest.drills.drills import select
from loadtest.drills.measure import duplicates, measure
from loadtest.drills.record import Period, Received
from loadtest.drills.run import faults
from loadtest.drills.targets import missed
from loadtest.drills.traffic import back_at, quiet_at
from loadtest.drills.wire import SYN, Sent
from tests.support.drilled import HIT_PORT, asked, cell, record


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], 0.0),
        ([0.01, 0.02], 0.0),  # within the probes of a window: five
        ([n / 100 for n in range(30)], 0.24),
        ([n / 100 for n in range(30)] + [1.5], 0.24),
        ([n / 100 for n in range(300)], None),
    ],
)
def test_a_cluster_is_quiet_when_it_gets_probes_only(times: list[float], expected: float | None) -> None:
    assert quiet_at([(time, "GET") for time in times], 0.0, 3.0, 1000) == expected


def test_arrivals_beyond_the_first_are_duplicates_of_posts_only() -> None:
    kinds = [("POST", "a"), ("POST", "a"), ("POST", "a"), ("POST", "b"), ("GET", "c"), ("GET", "c")]
    assert duplicates(Received(0.0, "cluster-1", kind, identity, "") for kind, identity in kinds) == 2


def test_a_run_without_effect_has_nothing_to_report() -> None:
    result = measure(record(), 0.0)
    assert (result.requests, result.failed_gets, result.failed_posts, result.failed_unsent) == (100, 0, 0, 0)
    assert (result.lost, result.duplicate_posts, result.mixed_up, result.given_up) == (0, 0, 0, 0)
    assert result.base_p50_ms == pytest.approx(5)
    assert result.added_p99_ms == pytest.approx(0)
    assert result.quiet_ms is None
    assert result.survivor == pytest.approx(0.5)


def test_slow_gets_beside_the_load_are_counted_apart() -> None:
    """One is executed again when the stopped process goes on, one ends at its deadline."""
    whole = record()
    slow = [replace(asked(0, 1.0, took_s=2.0), identity="report/0"), asked(1, 5.0, took_s=3.0, status=504)]
    again = [Received(at, site.HIT, "GET", "report/0", f"2-{at:.0f}") for at in (1.0, 7.0)]
    result = measure(replace(whole, slow=slow, received=[*whole.received, *again]), 0.0)
    assert (result.slow, result.failed_slow, result.duplicate_slow) == (2, 1, 1)
    assert result.slowest_slow_ms == pytest.approx(3000)
    assert (result.failed_gets, result.requests) == (0, 100)
    assert result.slowest_get_ms == pytest.approx(5)
    assert {"slow GETs executed again: 1, target 0"} <= {*missed(select(["hang-slow"])[0], result)}


def test_failures_are_told_apart_by_what_was_sent() -> None:
    whole = record()
    requests = list(whole.requests)
    requests[43] = asked(43, 4.3, status=502, post=True)  # sent
    requests[45] = asked(45, 4.5, status=0)  # not sent
    requests[47] = asked(47, 4.7, status=503, post=True)  # not sent
    wire = [each for each in whole.wire or () if each.identity not in ("45", "47")]
    result = measure(replace(whole, requests=requests, wire=wire), 0.0)
    assert (result.failed_gets, result.failed_posts, result.failed_unsent) == (1, 2, 2)
    assert result.failures == {"502": 1, "cut": 1, "503": 1}
    assert measure(replace(whole, requests=requests, wire=None), 0.0).failed_unsent is None


def test_latency_is_counted_from_when_a_request_was_due_and_by_where_it_went() -> None:
    whole = record()
    requests = list(whole.requests)
    requests[41] = asked(41, 4.1, took_s=0.105)  # to the cluster that is hit
    requests[42] = asked(42, 4.2, took_s=0.025)
    result = measure(replace(whole, requests=requests), 0.0)
    assert result.added_worst_ms == pytest.approx(100)
    assert result.added_written_p99_ms == pytest.approx(100)
    assert result.added_unwritten_p99_ms == pytest.approx(20)
    assert result.slowest_get_ms == pytest.approx(105)


def test_traffic_to_the_dead_cluster_ends_some_time_after_the_evidence() -> None:
    """Attempts every 10 ms from the hit on, for a fifth of a second."""
    wire = [Sent(4.0 + n / 100, HIT_PORT, SYN, "") for n in range(1, 21)]
    result = measure(record(wire=wire), 0.1)
    assert result.quiet_ms == pytest.approx(200)
    assert result.quiet_after_evidence_ms == pytest.approx(90)


def test_an_answer_without_a_request_at_an_endpoint_is_noticed() -> None:
    assert measure(record(received=[]), 0.0).lost == 100


def test_an_answer_to_an_arrival_of_another_request_is_noticed() -> None:
    whole = record()
    requests = list(whole.requests)
    requests[50] = replace(requests[50], arrival="1-51")
    assert measure(replace(whole, requests=requests), 0.0).lost == 1


def test_unsent_requests_are_not_known_when_the_wire_was_not_seen_whole() -> None:
    """An answered request that is missing there says that others may be, too."""
    whole = record()
    assert measure(replace(whole, wire=list(whole.wire or ())[1:]), 0.0).failed_unsent is None


def test_several_outages_are_told_apart() -> None:
    """Away from 4 to 5 and from 6 to 7; in between it gets its share, and after the end only later."""
    wire = [Sent(4.1 + n / 100, HIT_PORT, "GET", f"a{n}") for n in range(5)]
    wire += [Sent(5.1 + n / 20, HIT_PORT, "GET", f"b{n}") for n in range(14)]
    wire += [Sent(7.9 + n / 20, HIT_PORT, "GET", f"c{n}") for n in range(40)]
    requests = list(record().requests)
    requests[41], requests[62] = asked(41, 4.1, status=0), asked(62, 6.2, status=502, post=True)
    faults = (Period(4.0, 5.0), Period(6.0, 7.0))
    result = measure(record(wire=wire, faults=faults, requests=requests), 0.0)
    first, second = result.outages
    assert (first.at_s, first.failed_gets, first.failed_posts) == (0.0, 1, 0)
    assert (second.at_s, second.failed_gets, second.failed_posts) == (2.0, 0, 1)
    assert (first.quiet_ms, first.later) == (pytest.approx(140), 0)
    assert (second.quiet_ms, second.later) == (pytest.approx(0), 0)
    assert (first.back_ms, second.back_ms) == (pytest.approx(100), pytest.approx(900))
    assert result.quiet_ms == first.quiet_ms
    assert result.back_ms == second.back_ms
    assert result.hit_part == pytest.approx(19 / 30)


def test_added_latency_is_that_of_every_outage() -> None:
    requests = list(record().requests)
    requests[65] = asked(65, 6.5, took_s=0.105)
    faults = (Period(4.0, 5.0), Period(6.0, 7.0))
    assert measure(record(requests=requests, faults=faults), 0.0).added_worst_ms == pytest.approx(100)
    assert measure(record(requests=requests), 0.0).added_worst_ms == pytest.approx(0)


def test_where_a_cluster_goes_on_serving_there_is_no_zero_traffic() -> None:
    result = measure(record(wire=[]), None)
    assert (result.quiet_ms, result.later, result.outages) == (None, 0, ())


def test_a_return_is_watched_until_the_end() -> None:
    """Nothing goes to the cluster for the first second; what was there before does not count."""
    wire = [each for each in record().wire or () if each.port != HIT_PORT or not 4.0 <= each.time < 5.0]
    result = measure(record(wire=wire, faults=(), healed=4.0), None)
    assert result.back_ms == pytest.approx(1100)
    assert result.hit_part == pytest.approx(25 / 60)
    assert result.sent_part == pytest.approx(55 / 60)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], None),
        ([n / 1000 for n in range(199)], None),  # one too few: 200 are four fifths of its half
        ([n / 1000 for n in range(200)], 0.0),
        ([n / 100 for n in range(100)] + [1 + n / 500 for n in range(500)], 0.88),
    ],
)
def test_a_cluster_is_back_when_it_gets_its_share(times: list[float], expected: float | None) -> None:
    assert back_at(times, 0.0, 3.0, 1000) == expected


def test_flapping_ends_with_the_cluster_back() -> None:
    drill = select(["flapping"])[0]
    assert [step.at for step in drill.schedule(5.0, 6.0)] == [0.0, 2.0, 4.0, 6.0]
    assert [step.at for step in drill.schedule(5.0, 5.0)] == [0.0, 2.0, 4.0, 5.0]
    assert [step.at for step in drill.schedule(5.0, 1.0)] == [0.0, 1.0]
    for step in drill.schedule(5.0, 6.0):
        assert step.action is (drill.heal if step.ends_fault else drill.hit)


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("refused", [(5.0, 5.1), (15.0, 15.3)], (5.0, 15.3, [(5.0, 15.3)])),
        (
            "flapping",
            [(5.0, 5.1), (7.0, 7.1), (9.0, 9.1), (11.0, 11.1)],
            (5.0, 11.1, [(5.0, 7.1), (9.0, 11.1)]),
        ),
        ("return", [(0.0, 0.1), (5.0, 5.2)], (5.2, 5.2, [])),
    ],
)
def test_faults_last_from_their_beginning_to_when_their_end_is_done(
    name: str, taken: list[tuple[float, float]], expected: tuple[float, float, list[tuple[float, float]]]
) -> None:
    hit, healed, between = expected
    steps = select([name])[0].schedule(5.0, 6.0)
    periods = [Period(*each) for each in taken]
    assert faults(steps, periods) == (hit, healed, tuple(Period(*each) for each in between))


def test_of_several_runs_the_worst_count_and_the_median_time_are_shown() -> None:
    runs = [
        cell(1, failed_posts=0, added_p99_ms=1.0, quiet_ms=None, failures={}),
        cell(2, failed_posts=3, added_p99_ms=5.0, quiet_ms=7.0, failures={"502": 2, "cut": 1}),
        cell(3, failed_posts=1, added_p99_ms=2.0, quiet_ms=9.0, failures={"cut": 1}),
    ]
    (whole,) = by_cell(runs)
    assert (whole.result.failed_posts, whole.result.added_p99_ms, whole.result.quiet_ms) == (3, 2.0, 9.0)
    assert whole.result.failures == {"502": 2, "cut": 1}
    (most,) = by_cell([*runs, cell(4, quiet_ms=None), cell(5, quiet_ms=None)])
    assert most.result.quiet_ms is None
    assert sum(each.due for each in whole.result.timeline) == 3 * sum(
        each.due for each in runs[0].result.timeline
    )


def test_runs_are_combined_by_drill_and_proxy() -> None:
    assert [(each.drill, each.run) for each in by_cell([cell(1), cell(1, "slow"), cell(2)])] == [
        ("refused", 1),
        ("slow", 1),
    ]
