"""Slow start: a new endpoint's part of the traffic grows; that of the first endpoints need not."""

import pytest

from proxy.model.actions import Algorithm, Backend, Balance
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services
from tests.support.snapshots import split
from tests.support.still_clock import StillClock
from tests.upstream.test_backends import BASE, describe, plan_of, tally


@pytest.fixture
def clock() -> StillClock:
    return StillClock(5.0)


@pytest.fixture
def services(clock: StillClock) -> Services:
    return Services(clock=clock)


@pytest.fixture(params=[Algorithm.LEAST_REQUEST, Algorithm.ROUND_ROBIN])
def plan(services: Services, request: pytest.FixtureRequest) -> RoutePlan:
    return plan_of(
        services, Backend(BASE), own=split({"c1": 1}), balance=Balance(request.param, slow_start_s=100.0)
    )


def test_endpoints_of_the_first_snapshot_are_warm(
    clock: StillClock, services: Services, plan: RoutePlan
) -> None:
    describe(services, {BASE: {"c1": [1, 2]}})
    assert tally(plan, 100) == {1: 50, 2: 50}


def test_the_part_grows_linearly(clock: StillClock, services: Services, plan: RoutePlan) -> None:
    describe(services, {BASE: {"c1": [1]}})
    describe(services, {BASE: {"c1": [1, 2]}})
    counts = []
    for age_s in (0, 25, 50, 75, 100):
        clock.time = 5.0 + age_s
        counts.append(tally(plan, 1000)[2])
    # of its turns it takes the part a: a / (2 - (1 - a)) of all, for the others' turns come sooner
    expected = [1000 * part / (1 + part) for part in (0, 0.25, 0.5, 0.75, 1)]
    assert counts == pytest.approx(expected, abs=2)


def test_when_all_are_new_they_share_evenly(clock: StillClock, services: Services, plan: RoutePlan) -> None:
    describe(services, {BASE: {"c1": []}})
    describe(services, {BASE: {"c1": [1, 2]}})
    assert tally(plan, 100) == pytest.approx({1: 50, 2: 50}, abs=1)


def test_a_failed_request_may_go_to_a_cold_endpoint(
    clock: StillClock, services: Services, plan: RoutePlan
) -> None:
    describe(services, {BASE: {"c1": [1]}})
    describe(services, {BASE: {"c1": [1, 2]}})
    choice = plan.pick()
    assert choice is not None
    one = choice.first()
    assert one is not None
    assert one.port == 1
    other = choice.following([one], attempts=1, stay=True)
    assert other is not None
    assert other.port == 2
