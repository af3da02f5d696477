"""When nobody serves, an endpoint that has just stopped answering is worth more than one that fails."""

import pytest

from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.retries.retry import Failure
from tests.upstream.test_failback import MANUAL, Gateway, part


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return Gateway(monkeypatch)


def endpoint(gateway: Gateway, port: int) -> LiveEndpoint:
    (found,) = [each for each in gateway.services.endpoints() if each.port == port]
    return found


def test_requests_wait_where_it_may_be_a_pause(gateway: Gateway) -> None:
    plan = gateway.want(None)
    endpoint(gateway, 1).failed(Failure.REFUSED)
    endpoint(gateway, 2).stall(gateway.now)
    assert part(plan, 2) == 1.0
    gateway.pass_time(1.8)
    assert part(plan, 2) == 1.0
    gateway.pass_time(0.4)
    assert part(plan, 2) == 0.5  # by now it is as bad as the other one


def test_who_serves_comes_first(gateway: Gateway) -> None:
    plan = gateway.want(None)
    endpoint(gateway, 2).stall(gateway.now)
    assert part(plan, 1) == 1.0


def test_inside_a_cluster_too(gateway: Gateway) -> None:
    gateway.endpoints(1, 3)
    plan = gateway.want(None)
    endpoint(gateway, 3).failed(Failure.REFUSED)
    endpoint(gateway, 1).stall(gateway.now)
    assert part(plan, 1) == 1.0
    gateway.pass_time(2.2)
    assert part(plan, 1) == 0.5


def test_a_cluster_that_is_held_out_serves_before_one_that_pauses(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.away_for(1.0)
    endpoint(gateway, 2).stall(gateway.now)
    assert part(plan, 1) == 1.0
