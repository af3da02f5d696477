"""What the drill `mixed` counts, and which limits it finds missed."""

from dataclasses import replace

import pytest

from loadtest.drills.mixed.account import Result, account, missed
from loadtest.drills.mixed.cases import EXACTLY_ONCE, SATURATED, Case, Slow, Split, Target
from loadtest.drills.mixed.client import CUT, Asked
from loadtest.drills.mixed.origin import Model
from loadtest.drills.mixed.pods import Executed, longest_pause_s, parse
from loadtest.drills.mixed.schedule import Planned, planned
from loadtest.drills.mixed.witness import Seen

CASE = Case("small", 1, Model.THREADED, Split.HALVES, 12, 4, (Slow("GET", 2.0, (1.0,)),), fast_posts=False)
CLUSTERS = {1000: "cluster-1", 2000: "cluster-2"}


def answered(each: Planned, status: int = 200) -> Asked:
    return Asked(each, status, 0.005, "")


def executed(each: Planned, port: int, number: int = 0) -> Executed:
    return Executed(each.at, each.at + 0.003, each.method, each.identity, f"{port}-{number}")


def counted(*more: Executed, seen: Seen | None = None) -> Result:
    """Return the account of a run in which the clusters take turns, and of `more` executions."""
    requests = planned(CASE)
    asked = [answered(each) for each in requests]
    once = [executed(each, (1000, 2000)[number % 2], number) for number, each in enumerate(requests)]
    return account(CASE, asked, [*once, *more], CLUSTERS, seen)


def texts(target: Target, result: Result) -> list[str]:
    return list(map(str, missed(target, result)))


def test_a_run_with_one_execution_of_each_request_misses_nothing() -> None:
    result = counted(seen=Seen())
    assert missed(EXACTLY_ONCE, result) == ()
    assert (result.requests, result.slow, result.executions_of_slow) == (49, 1, (1,))
    assert result.share == pytest.approx(100 * 25 / 49)


def test_a_second_execution_of_a_slow_request_is_counted() -> None:
    slow = next(each for each in planned(CASE) if each.is_slow)
    result = counted(executed(slow, 2000, 99))
    assert result.executions_of_slow == (2,)
    assert "slow requests executed again: 1, target 0" in texts(EXACTLY_ONCE, result)
    assert "slow requests executed again: 1, target 0" in texts(SATURATED, result)


def test_a_saturated_pool_may_repeat_one_fast_get_in_the_first_wave() -> None:
    early, later = planned(CASE)[2], planned(CASE)[-1]
    assert early.at < 3.0 <= later.at
    assert missed(SATURATED, counted(executed(early, 2000, 98))) == ()
    assert missed(EXACTLY_ONCE, counted(executed(early, 2000, 98))) != ()
    assert texts(SATURATED, counted(executed(later, 2000, 99))) == ["executed again later: 1, target 0"]


def test_failed_requests_are_counted_by_their_status() -> None:
    requests = planned(CASE)
    asked = [answered(each) for each in requests]
    asked[0], asked[1] = answered(requests[0], 504), answered(requests[1], CUT)
    result = account(CASE, asked, [executed(each, 1000) for each in requests[1:]], CLUSTERS, None)
    assert (result.failed, result.failures, result.not_executed) == (2, {"504": 1, "cut": 1}, 1)


def test_a_hashed_rule_has_no_configured_share() -> None:
    case = replace(CASE, split=Split.HASHED)
    result = account(case, [], [executed(planned(case)[0], 1000)], CLUSTERS, None)
    assert (result.share, result.share_points) == (100.0, None)


def test_holds_breakers_failovers_and_events_are_misses() -> None:
    seen = Seen(breakers={"cluster-1 open", "cluster-1 ramping"}, failovers=["cluster-1 stalled 2"])
    seen.explanation({"answer": {"backends": [{"clusters": [{"cluster": "c", "reason": "held_out"}]}]}})
    result = counted(seen=seen)
    assert (result.failovers, result.events, result.breakers, result.holds) == (1, 0, 1, 1)
    assert {"failovers: 1, target 0", "breakers opened: 1, target 0", "clusters held out: 1, target 0"} <= {
        *texts(EXACTLY_ONCE, result)
    }


def test_the_log_of_an_endpoint_has_executions_without_probes() -> None:
    probe = "1.1 begin 1000-1 OPTIONS -\n1.1 end 1000-1 OPTIONS -\n"
    probe += "1.5 pause 0.250 - -\n2.5 pause 0.125 - -\n"
    log = f"1.0 begin 1000-0 GET s0\n{probe}3.0 end 1000-0 GET s0\n4.0 begin 1000-2 GET f7\n"
    assert list(parse(log)) == [
        Executed(1.0, 3.0, "GET", "s0", "1000-0"),
        Executed(4.0, 0.0, "GET", "f7", "1000-2"),
    ]
    assert longest_pause_s(log) == 0.25
    assert longest_pause_s("") == 0
