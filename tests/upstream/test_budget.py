"""How many retries a cluster's endpoints get for how many requests."""

from itertools import pairwise
from math import exp

from msgspec.structs import replace

from proxy.timers import TICK_S
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.retry_budget import LEAST_PER_S, PART, WINDOW_S, RetryBudget
from proxy.upstream.retries.offered_load import ROUND_S, OfferedLoad
from proxy.upstream.retries.rules import ANSWERS, LEFT_BEHIND, POLICY, UNDELIVERED
from proxy.upstream.service import Services
from tests.support.snapshots import service

FLOOR = int(LEAST_PER_S * WINDOW_S)


def endpoints_of(count: int) -> list[LiveEndpoint]:
    services = Services()
    services.change(service({"c1": [("::1", port) for port in range(1, count + 1)]}))
    return list(services.endpoints())


def counts(endpoints: list[LiveEndpoint]) -> list[int]:
    return [endpoint.requests for endpoint in endpoints]


def spend(budget: RetryBudget, endpoints: list[LiveEndpoint], now: float, most: int = 10_000) -> int:
    """Retry as often as the budget allows, one after the other; the endpoint counts each."""
    for done in range(most):
        if not budget.take(counts(endpoints), now):
            return done
        endpoints[0].requests += 1
    return most


def test_the_floor_needs_no_requests() -> None:
    endpoints = endpoints_of(1)
    assert spend(RetryBudget(), endpoints, 1000.0) == FLOOR


def test_the_budget_comes_back_with_time() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    spend(budget, endpoints, 1000.0)
    assert budget.has_left(counts(endpoints), 1000.0) is False
    assert 9 <= spend(budget, endpoints, 1001.0) <= 10
    assert spend(budget, endpoints, 1100.0) in (FLOOR - 1, FLOOR)


def test_a_part_of_the_requests_of_all_endpoints() -> None:
    endpoints, budget = endpoints_of(2), RetryBudget()
    assert budget.take(counts(endpoints), 1000.0)
    endpoints[0].requests += 6_000
    endpoints[1].requests += 4_000
    past_s = 0.2 / WINDOW_S
    faded = 10_000 * (1.0 - exp(-past_s)) / past_s  # they came evenly
    assert abs(spend(budget, endpoints, 1000.2) - (faded * PART + FLOOR)) < 3


def test_requests_long_before_the_first_retry_do_not_count() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    endpoints[0].requests = 1_000_000
    assert spend(budget, endpoints, 1000.0) == FLOOR


def test_of_an_hour_since_the_last_look_the_last_seconds_count() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    budget.refresh(counts(endpoints), 1000.0)
    endpoints[0].requests += 3600 * 50
    assert abs(spend(budget, endpoints, 4600.0) - (50 * WINDOW_S * PART + FLOOR)) < 1


def test_how_often_it_is_looked_at_makes_no_difference() -> None:
    often, rarely = RetryBudget(), RetryBudget()
    endpoints = endpoints_of(1)
    for tick in range(601):
        budgets = (often, rarely) if tick % 50 == 0 else (often,)
        for budget in budgets:
            budget.refresh(counts(endpoints), 1000.0 + tick / 10)
        endpoints[0].requests += 100
    assert abs(often.offered / rarely.offered - 1.0) < 0.01


def test_looking_twice_at_once_changes_nothing() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    budget.refresh(counts(endpoints), 1000.0)
    endpoints[0].requests += 100
    budget.refresh(counts(endpoints), 1001.0)
    before = budget.offered
    budget.refresh(counts(endpoints), 1001.0)
    assert budget.offered == before > 0.0


def test_a_retry_that_is_given_back_can_be_spent_again() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    spend(budget, endpoints, 1000.0)
    for _ in range(7):
        budget.give_back()
    assert spend(budget, endpoints, 1000.0) == 7


def test_more_is_not_given_back_than_was_spent() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    budget.take(counts(endpoints), 1000.0)
    for _ in range(7):
        budget.give_back()
    assert spend(budget, endpoints, 1000.0) == FLOOR


def test_every_service_has_its_turn_within_a_round() -> None:
    services = Services()
    for number in range(120):
        services.change(replace(service({"c1": [("::1", 1)], "c2": [("::1", 2)]}), id=f"demo/{number}:80"))
    offered_load = OfferedLoad(services)
    ticks = int(ROUND_S / TICK_S)
    seen = []
    for tick in range(2 * ticks + 1):
        for endpoint in services.endpoints():
            endpoint.requests += 1
        offered_load.expire(1000.0 + tick * TICK_S)
        clusters = [cluster for each in services.all() for cluster in each.clusters.values()]
        seen.append(sum(cluster.retries.offered > 0.0 for cluster in clusters))
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 2 * 3
    assert seen[-1] == 240


def test_a_cluster_may_inherit_the_offered_load_of_others() -> None:
    services = Services()
    services.change(service({"c1": [("::1", 1)], "c2": [("::1", 2)]}))
    offered_load, found = OfferedLoad(services), services.get("demo/service1:80")
    first, second = found.clusters["c1"], found.clusters["c2"]
    offered_load.expire(1000.0)
    for endpoint in first.endpoints.values():
        endpoint.requests += 5_000
    offered_load.expire(1000.1)
    assert spend(second.retries, list(second.endpoints.values()), 1000.2) == FLOOR
    assert found.offered_elsewhere(first) == 0.0
    assert second.retries.has_left(second.requests(), 1000.2, found.offered_elsewhere(second))


def test_retries_do_not_earn_retries() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    spend(budget, endpoints, 1000.0)
    assert spend(budget, endpoints, 1000.2) <= 2


def test_endpoints_that_leave_take_nothing_away() -> None:
    endpoints, budget = endpoints_of(2), RetryBudget()
    endpoints[1].requests = 5_000
    assert budget.take(counts(endpoints), 1000.0)
    endpoints[0].requests += 1_000
    assert spend(budget, endpoints[:1], 1000.2) >= FLOOR - 1


def test_the_tables_say_something_of_every_failure() -> None:
    assert set(POLICY) == set(Failure)
    assert not LEFT_BEHIND & UNDELIVERED
    assert set(Failure) - set(ANSWERS) == {Failure.STATUS, Failure.HEDGED, Failure.STALLED}
