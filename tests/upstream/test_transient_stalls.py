"""When nobody serves, an endpoint that has just stopped answering is worth more than one that fails."""

import pytest

from proxy.upstream.endpoint import LiveEndpoint
from tests.support.endpoints import cluster_of, fail, readmit
from tests.upstream.test_failback import MANUAL, Gateway, part


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def endpoint(gateway: Gateway, port: int) -> LiveEndpoint:
    (found,) = [each for each in gateway.services.endpoints() if each.port == port]
    return found


def stall(gateway: Gateway, port: int) -> None:
    pod = endpoint(gateway, port)
    cluster_of(gateway.services, pod).stall(pod, gateway.clock.time)


def test_requests_wait_where_it_may_be_a_pause(gateway: Gateway) -> None:
    plan = gateway.want(None)
    fail(gateway.services, endpoint(gateway, 1))
    stall(gateway, 2)
    assert part(plan, 2) == 1.0
    gateway.pass_time(1.8)
    assert part(plan, 2) == 1.0
    gateway.pass_time(0.4)
    assert part(plan, 2) == 0.5  # by now it is as bad as the other one


def test_endpoints_that_serve_come_first(gateway: Gateway) -> None:
    plan = gateway.want(None)
    stall(gateway, 2)
    assert part(plan, 1) == 1.0


def test_inside_a_cluster_too(gateway: Gateway) -> None:
    gateway.endpoints(1, 3)
    plan = gateway.want(None)
    fail(gateway.services, endpoint(gateway, 3))
    stall(gateway, 1)
    assert part(plan, 1) == 1.0
    gateway.pass_time(2.2)
    assert part(plan, 1) == 0.5


def test_a_cluster_that_is_held_out_serves_before_one_that_pauses(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.away_for(1.0)
    stall(gateway, 2)
    assert part(plan, 1) == 1.0


def out_for(gateway: Gateway, pod: LiveEndpoint, *, stalls: bool) -> float:
    """Take it out, as where a worker has no requests of its own there; return for how long that is."""
    pod.must_answer = stalls
    pod.stalled_at = gateway.clock.time
    return cluster_of(gateway.services, pod).give_up(pod)


@pytest.mark.parametrize("stalls", [True, False])
def test_an_endpoint_that_was_back_for_long_enough_is_ejected_as_briefly_again(
    gateway: Gateway, stalls: bool
) -> None:
    pod = endpoint(gateway, 1)
    for _ in range(5):
        assert out_for(gateway, pod, stalls=stalls) == 0.5
        gateway.pass_time(0.5)
        readmit(gateway.services, pod)
        assert pod.ejections  # nothing has answered
        gateway.pass_time(1.1)


@pytest.mark.parametrize("stalls", [True, False])
def test_an_endpoint_that_was_back_briefly_is_ejected_for_longer(gateway: Gateway, stalls: bool) -> None:
    pod = endpoint(gateway, 1)
    seconds = []
    for _ in range(4):
        seconds.append(out_for(gateway, pod, stalls=stalls))
        gateway.pass_time(seconds[-1])
        readmit(gateway.services, pod)
        gateway.pass_time(0.9)
    assert seconds == [0.5, 1.0, 2.0, 4.0]


def test_an_endpoint_that_fails_again_and_again_is_ejected_for_longer(gateway: Gateway) -> None:
    pod = endpoint(gateway, 1)
    seconds = []
    for _ in range(4):
        seconds.append(fail(gateway.services, pod))
        gateway.pass_time(seconds[-1])
        readmit(gateway.services, pod)
    gateway.pass_time(8.1)
    assert seconds == [0.5, 1.0, 2.0, 4.0]
    assert fail(gateway.services, pod) == 0.5
