"""What a request remembers of its failed attempts."""

import pytest

from proxy.model.actions import Backend
from proxy.model.policies import Retry
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.retries import failover
from proxy.upstream.retries.failover import FIRST_PAUSE_S, LONGEST_PAUSE_S, Failover
from proxy.upstream.retries.rules import BY_DEFAULT, RetryRules, Suppressed
from proxy.upstream.service import Services
from tests.support.endpoints import cluster_of
from tests.upstream.test_backends import BASE, plan_of
from tests.upstream.test_failing import change


def test_a_wait_for_the_budget_is_why_a_timeout_was_the_last() -> None:
    services = Services()
    change(services, {"c1": {1: {}}, "c2": {2: {}}})
    choice = plan_of(services, Backend(BASE)).pick()
    assert choice is not None
    stalled, second = services.endpoints()
    for endpoint in services.endpoints():
        cluster = cluster_of(services, endpoint)
        while cluster.retries.take(cluster.requests(), 0.0):
            pass

    def stays(failover: Failover) -> bool:
        return failover.leave(choice, stalled, repeatable=True, since=0.0, now=0.0) is None

    over = Failover(BY_DEFAULT)
    assert stays(over)
    assert over.next(choice, stalled, Failure.TIMEOUT, repeatable=True, now=0.0) is None
    assert over.suppressed is Suppressed.BUDGET
    moved = Failover(BY_DEFAULT)
    assert stays(moved)
    assert moved.next(choice, stalled, Failure.REFUSED, repeatable=True, now=0.0) is second
    assert moved.suppressed is None


def test_pauses_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "uniform", lambda _least, most: most)
    services = Services()
    change(services, {"c1": {number: {} for number in range(1, 9)}})
    choice = plan_of(services, Backend(BASE)).pick()
    assert choice is not None
    rules = RetryRules(Retry(tries=8))
    past, endpoint = Failover(rules), choice.first()
    pauses = []
    while endpoint is not None:
        endpoint = past.next(choice, endpoint, Failure.STATUS, repeatable=True, now=0.0)
        pauses.append(past.pause_s / FIRST_PAUSE_S)
    assert pauses == [0, 1, 2, 4, 8, LONGEST_PAUSE_S / FIRST_PAUSE_S, LONGEST_PAUSE_S / FIRST_PAUSE_S, 0]


def test_a_client_that_leaves_in_a_pause_spends_no_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services()
    change(services, {"c1": {number: {} for number in range(1, 9)}})
    choice = plan_of(services, Backend(BASE)).pick()
    assert choice is not None
    first = choice.first()
    assert first is not None
    cluster = cluster_of(services, first)

    def left() -> bool:
        return cluster.retries.has_left(cluster.requests(), 0.0)

    while left():
        past = Failover(RetryRules(Retry(tries=8)))
        assert past.next(choice, first, Failure.STATUS, repeatable=True, now=0.0) is not None
    past.cancel()
    assert left()
    past.cancel()
    assert past.next(choice, first, Failure.STATUS, repeatable=True, now=0.0) is not None
    assert not left()  # one came back, not two
