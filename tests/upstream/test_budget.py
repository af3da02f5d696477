"""How many retries a cluster's endpoints get for how many requests."""

from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.retries.budget import LEAST_PER_S, PART, WINDOW_S, RetryBudget
from proxy.upstream.retries.retry import ANSWERS, POLICY, Failure
from proxy.upstream.service import Services
from tests.support.snapshots import service

FLOOR = int(LEAST_PER_S * WINDOW_S)


def endpoints_of(count: int) -> list[LiveEndpoint]:
    services = Services()
    services.change(service({"c1": [("::1", port) for port in range(1, count + 1)]}))
    return list(services.endpoints())


def spend(budget: RetryBudget, endpoints: list[LiveEndpoint], now: float, most: int = 10_000) -> int:
    """Retry as often as the budget allows, one after the other; the endpoint counts each."""
    for done in range(most):
        if not budget.take(endpoints, now):
            return done
        endpoints[0].requests += 1
    return most


def test_the_floor_needs_no_requests() -> None:
    endpoints = endpoints_of(1)
    assert spend(RetryBudget(), endpoints, 1000.0) == FLOOR


def test_it_comes_back_with_time() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    spend(budget, endpoints, 1000.0)
    assert budget.has_left(endpoints, 1000.0) is False
    assert 9 <= spend(budget, endpoints, 1001.0) <= 10
    assert spend(budget, endpoints, 1100.0) in (FLOOR - 1, FLOOR)


def test_a_part_of_the_requests_of_all_endpoints() -> None:
    endpoints, budget = endpoints_of(2), RetryBudget()
    assert budget.take(endpoints, 1000.0)
    endpoints[0].requests += 6_000
    endpoints[1].requests += 4_000
    assert abs(spend(budget, endpoints, 1000.2) - (10_000 * PART + FLOOR)) < 3


def test_what_was_long_before_the_first_retry_does_not_count() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    endpoints[0].requests = 1_000_000
    assert spend(budget, endpoints, 1000.0) == FLOOR


def test_retries_do_not_earn_retries() -> None:
    endpoints, budget = endpoints_of(1), RetryBudget()
    spend(budget, endpoints, 1000.0)
    assert spend(budget, endpoints, 1000.2) <= 2


def test_endpoints_that_leave_take_nothing_away() -> None:
    endpoints, budget = endpoints_of(2), RetryBudget()
    endpoints[1].requests = 5_000
    assert budget.take(endpoints, 1000.0)
    endpoints[0].requests += 1_000
    assert spend(budget, endpoints[:1], 1000.2) >= FLOOR - 1


def test_the_tables_say_something_of_every_failure() -> None:
    assert set(POLICY) == set(Failure)
    assert set(Failure) - set(ANSWERS) == {Failure.STATUS, Failure.HEDGED, Failure.STALLED}
