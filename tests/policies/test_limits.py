"""Buckets and counts, in a time of their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.actions import FixedResponse
from proxy.model.policies import ConcurrencyLimit, LimitScope, RateLimit
from proxy.policies.limits import MAX_CLIENTS, ConcurrencyLimiter, Limiters, RateLimiter

REFUSAL = FixedResponse(429)


def passed(limiter: RateLimiter, now: float, tries: int, client: bytes = b"a") -> int:
    count = 0
    for _ in range(tries):
        if not limiter.wait_s(client, now):
            limiter.take(client, now)
            count += 1
    return count


@pytest.mark.parametrize(
    ("limit", "workers", "at_once", "per_second"),
    [
        (RateLimit(10, REFUSAL), 1, 10, 10),
        (RateLimit(10, REFUSAL, burst=50), 1, 50, 10),
        (RateLimit(120, REFUSAL, per_s=60), 1, 120, 2),
        (RateLimit(10, REFUSAL), 2, 5, 5),
        (RateLimit(1000, REFUSAL, burst=100), 4, 25, 25),  # a bucket holds no more than its burst
    ],
)
def test_a_bucket(limit: RateLimit, workers: int, at_once: int, per_second: int) -> None:
    limiter = RateLimiter(limit, workers)
    assert passed(limiter, 100.0, 1000) == at_once
    assert passed(limiter, 100.0, 1) == 0
    assert passed(limiter, 101.0001, 1000) == per_second
    assert passed(limiter, 1000.0, 1000) == at_once


def test_one_request_may_pass_however_many_workers() -> None:
    assert passed(RateLimiter(RateLimit(1, REFUSAL, per_s=60), 8), 0.0, 10) == 1


@given(st.lists(st.floats(0.0, 5.0), max_size=200), st.integers(1, 20), st.integers(1, 30))
def test_no_bucket_gives_more_than_it_has(gaps: list[float], rate: int, burst: int) -> None:
    limiter = RateLimiter(RateLimit(rate, REFUSAL, burst=burst), 1)
    now = 10.0
    taken = 0
    for gap in gaps:
        now += gap
        taken += passed(limiter, now, 1)
        assert taken <= burst + rate * (now - 10.0) + 1e-3


def test_the_wait_is_how_long_it_takes() -> None:
    limiter = RateLimiter(RateLimit(1, REFUSAL, per_s=10), 1)
    limiter.take(b"a", 0.0)
    assert limiter.wait_s(b"a", 4.0) == pytest.approx(6.0)
    assert limiter.wait_s(b"a", 10.0) == 0.0


def test_clients_have_buckets_of_their_own() -> None:
    limiter = RateLimiter(RateLimit(2, REFUSAL, scope=LimitScope.CLIENT), 1)
    assert (passed(limiter, 0.0, 5, b"192.0.2.1"), passed(limiter, 0.0, 5, b"192.0.2.2")) == (2, 2)
    assert passed(limiter, 0.0, 5, b"192.0.2.1") == 0


def test_hosts_of_one_ipv6_network_share_a_bucket() -> None:
    limiter = RateLimiter(RateLimit(2, REFUSAL, scope=LimitScope.CLIENT), 1)
    assert passed(limiter, 0.0, 5, b"2001:db8:1:2::1") == 2
    assert passed(limiter, 0.0, 5, b"2001:db8:1:2::2") == 0
    assert passed(limiter, 0.0, 5, b"2001:db8:1:3::2") == 2


def test_a_route_has_one_bucket() -> None:
    limiter = RateLimiter(RateLimit(2, REFUSAL), 1)
    assert passed(limiter, 0.0, 2, b"192.0.2.1") == 2
    assert passed(limiter, 0.0, 2, b"192.0.2.2") == 0


def test_the_table_of_clients_is_bounded_and_keeps_clients_that_come_again() -> None:
    limiter = RateLimiter(RateLimit(1, REFUSAL, per_s=3600, scope=LimitScope.CLIENT), 1)
    limiter.take(b"busy", 0.0)
    for number in range(3 * MAX_CLIENTS):
        limiter.take(b"%d" % number, 0.0)
        if number % 1000 == 0:
            limiter.take(b"busy", 0.0)
    assert limiter.clients <= 2 * MAX_CLIENTS
    assert limiter.wait_s(b"busy", 0.0) > 0


@pytest.mark.parametrize(("most", "workers", "expected"), [(10, 1, 10), (10, 4, 3), (1, 4, 1)])
def test_requests_in_flight(most: int, workers: int, expected: int) -> None:
    limiter = ConcurrencyLimiter(ConcurrencyLimit(most, REFUSAL), workers)
    assert [limiter.enter() for _ in range(expected + 1)] == [True] * expected + [False]
    limiter.leave()
    assert limiter.enter()


def test_limits_outlive_snapshots_they_are_the_same_in() -> None:
    limiters = Limiters()
    limit, other = RateLimit(2, REFUSAL), RateLimit(3, REFUSAL)
    first = limiters.rate("r", limit)
    limiters.keep("r", (limit,), None)
    assert limiters.rate("r", limit) is first
    assert limiters.rate("other", limit) is not first
    limiters.keep("r", (other,), None)
    assert limiters.rate("r", limit) is not first


def test_limits_are_divided_anew_when_workers_come() -> None:
    limiters = Limiters()
    limiter = limiters.rate("r", RateLimit(10, REFUSAL))
    limiters.divide(2)
    assert passed(limiter, 0.0, 20) == 5
