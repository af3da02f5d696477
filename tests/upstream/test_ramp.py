"""How the share of a cluster falls and rises with its endpoints."""

import pytest

from proxy.model.actions import Backend
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.cluster import LiveCluster
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.ramp import Ramp
from proxy.upstream.service import Services
from tests.support.snapshots import split
from tests.support.still_clock import StillClock
from tests.upstream.test_backends import BASE, plan_of, tally

HALVES = split({"c1": 50, "c2": 50})


def parts(ramp: Ramp, times: list[float]) -> list[float]:
    found = []
    for now in times:
        ramp.rise(now)
        found.append(ramp.part)
    return found


def test_a_share_falls_at_once_and_rises_by_an_eighth_each_second() -> None:
    ramp = Ramp()
    ramp.aim(0.7, 10.0)
    assert ramp.part == 0.7
    assert not ramp.is_rising
    ramp.aim(1.0, 100.0)  # whenever that is: the time before does not count
    assert parts(ramp, [100.0, 100.9, 101.0, 101.9, 102.0, 103.0]) == [0.7, 0.7, 0.825, 0.825, 0.95, 1.0]
    assert not ramp.is_rising


def test_the_share_of_a_cluster_that_flaps_does_not_swing() -> None:
    ramp = Ramp()
    seen = set()
    for tenth in range(600):
        ramp.aim(0.5 if tenth % 10 < 5 else 1.0, tenth / 10)
        ramp.rise(tenth / 10)
        seen.add(ramp.part)
    assert seen == {0.5}


def test_a_late_look_makes_up_for_the_steps_it_missed() -> None:
    ramp = Ramp()
    ramp.aim(0.25, 0.0)
    ramp.aim(1.0, 0.0)
    assert parts(ramp, [4.0, 60.0]) == [0.75, 1.0]


def test_the_target_can_change_on_the_way() -> None:
    ramp = Ramp()
    ramp.aim(0.25, 0.0)
    ramp.aim(1.0, 0.0)
    ramp.rise(2.0)
    ramp.aim(0.625, 2.5)
    assert parts(ramp, [3.0, 4.0]) == [0.625, 0.625]
    ramp.aim(0.25, 5.0)
    assert ramp.part == 0.25


class Cluster:
    """`c1` with so many endpoints, beside one endpoint in `c2`; time stands still."""

    def __init__(self, count: int) -> None:
        self.clock = StillClock()
        self.services = Services(clock=self.clock)
        self.change(count)
        self.plan = plan_of(self.services, Backend(BASE), own=HALVES)

    def change(self, count: int, **told: bool) -> None:
        first = [Endpoint("::1", number + 1) for number in range(count)]
        if told and first:
            first[0] = Endpoint("::1", 1, **told)
        groups = (ClusterEndpoints("c1", tuple(first)), ClusterEndpoints("c2", (Endpoint("::1", 99),)))
        self.services.change(Service(BASE, groups))

    @property
    def live(self) -> LiveCluster:
        return self.services.get(BASE).clusters["c1"]

    def endpoints(self) -> list[LiveEndpoint]:
        return list(self.live.endpoints.values())

    def fail(self, endpoint: LiveEndpoint) -> None:
        self.live.failed(endpoint, Failure.REFUSED)

    def readmit(self, endpoint: LiveEndpoint) -> None:
        self.live.readmit(endpoint)

    def part(self) -> float:
        """Of a hundred requests, those of `c1`."""
        return 100 - tally(self.plan, 1000)[99] / 10

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.time += 0.1
            self.services.recovery.expire(self.clock.time)


def test_the_share_follows_the_endpoints() -> None:
    cluster = Cluster(4)
    assert cluster.part() == 50.0
    first, second, *_ = cluster.endpoints()
    cluster.fail(first)
    assert cluster.part() == 50.0  # three of four are enough
    cluster.fail(second)
    assert cluster.part() == pytest.approx(41.2, abs=0.2)  # 0.7 to 1
    cluster.readmit(second)
    assert cluster.part() == pytest.approx(41.2, abs=0.2)
    cluster.pass_time(1.1)
    assert cluster.part() == pytest.approx(45.2, abs=0.2)
    cluster.pass_time(2.0)
    assert cluster.part() == 50.0
    assert not cluster.live.ramp.is_rising


def test_a_service_that_is_scaled_down_keeps_its_share() -> None:
    cluster = Cluster(4)
    cluster.change(1)
    assert cluster.part() == 50.0
    cluster.change(2, draining=True)
    assert cluster.part() == 50.0
    cluster.change(2, failing=True)
    assert cluster.part() == pytest.approx(41.2, abs=0.2)


def test_when_all_are_gone_it_comes_back_as_its_breaker_says() -> None:
    cluster = Cluster(2)
    for endpoint in cluster.endpoints():
        cluster.fail(endpoint)
    assert cluster.part() == 0.0
    cluster.pass_time(0.5)
    first, second = cluster.endpoints()
    cluster.readmit(first)
    assert cluster.part() == pytest.approx(41.2, abs=0.2)  # at once what one can carry
    cluster.readmit(second)
    cluster.pass_time(3.1)
    assert cluster.part() == 50.0


def test_a_cluster_that_was_away_forgets_its_ramp() -> None:
    cluster = Cluster(2)
    cluster.change(2, failing=True)
    assert cluster.part() == pytest.approx(41.2, abs=0.2)
    cluster.change(0)
    assert cluster.part() == 0.0
    cluster.change(2)
    assert cluster.part() == 50.0
