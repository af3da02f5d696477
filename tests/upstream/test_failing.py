"""Endpoints that fail their health checks: which ones serve instead, and which do when all fail."""

from collections import Counter

import pytest

from proxy.model.actions import Backend, Balance, Destination, Sticky
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.service import Services
from tests.support.endpoints import fail, readmit
from tests.support.snapshots import split
from tests.upstream.test_backends import BASE, SPARE, attempts, plan_of, tally
from tests.upstream.test_sticky import choose, id_of
from tests.upstream.test_sticky import port as port_of

FAILING, DRAINING = {"failing": True}, {"draining": True}
Pods = dict[str, dict[int, dict[str, bool]]]


def change(services: Services, clusters: Pods, name: str = BASE) -> None:
    groups = [
        ClusterEndpoints(cluster, tuple(Endpoint("::1", number, **told) for number, told in pods.items()))
        for cluster, pods in clusters.items()
    ]
    services.change(Service(name, tuple(groups)))


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        ({"c1": {1: {}, 2: FAILING}, "c2": {3: {}}}, {1: 41, 3: 59}),  # 0.7 of its half
        ({"c1": {1: FAILING, 2: FAILING}, "c2": {3: {}}}, {3: 100}),
        ({"c1": {1: FAILING}, "c2": {3: DRAINING}}, {3: 100}),
        ({"c1": {1: FAILING, 2: DRAINING}, "c2": {3: FAILING}}, {2: 100}),
        ({"c1": {1: FAILING}, "c2": {3: FAILING}}, {1: 50, 3: 50}),
        ({"c1": {1: FAILING | DRAINING}, "c2": {3: FAILING}}, {1: 50, 3: 50}),
    ],
    ids=["one", "its cluster", "before it what drains", "in its cluster too", "all", "all, one draining"],
)
def test_a_failing_endpoint_serves_when_nothing_else_is_left(clusters: Pods, expected: Counter[int]) -> None:
    services = Services()
    change(services, clusters)
    assert tally(plan_of(services, Backend(BASE)), 100) == expected


def test_an_endpoint_serves_again_as_soon_as_it_passes() -> None:
    services = Services()
    change(services, {"c1": {1: {}, 2: FAILING}})
    plan = plan_of(services, Backend(BASE))
    assert tally(plan, 10) == {1: 10}
    change(services, {"c1": {1: {}, 2: {}}})
    assert tally(plan, 10) == {1: 5, 2: 5}


def test_a_failing_base_is_replaced_by_its_fallback() -> None:
    services = Services()
    change(services, {"c1": {1: FAILING}})
    change(services, {"c3": {23: {}}}, SPARE)
    base = Backend(BASE, fallbacks=(Destination(SPARE, split({"c3": 100})),))
    assert tally(plan_of(services, base), 10) == {23: 10}
    change(services, {"c3": {23: FAILING}}, SPARE)
    assert tally(plan_of(services, base), 10) == {1: 10}


def test_a_failed_request_goes_to_it_last() -> None:
    services = Services()
    change(services, {"c1": {1: FAILING, 2: {}}, "c2": {3: {}}})
    assert set(attempts(plan_of(services, Backend(BASE)))[:2]) == {2, 3}


def test_a_session_ends_when_its_endpoint_fails() -> None:
    services = Services()
    change(services, {"c1": {1: {}, 2: {}}})
    plan = plan_of(services, Backend(BASE), balance=Balance(sticky=Sticky("SRV")))
    cookie = b"SRV=%b" % id_of(services, 2)
    assert {port_of(choose(plan, cookie)) for _ in range(4)} == {2}
    change(services, {"c1": {1: {}, 2: FAILING}})
    assert {port_of(choose(plan, cookie)) for _ in range(4)} == {1}


def test_breaker_and_checks_are_told_apart() -> None:
    services = Services()
    change(services, {"c1": {1: {}, 2: FAILING, 3: FAILING | DRAINING, 4: DRAINING}})
    by_port = {endpoint.port: endpoint for endpoint in services.endpoints()}
    fail(services, by_port[2])
    assert [by_port[number].stats().state for number in (1, 2, 3, 4)] == [
        "healthy", "ejected", "unhealthy", "draining",
    ]  # fmt: skip
    readmit(services, by_port[2])
    assert by_port[2].stats().state == "unhealthy"
    assert not by_port[2].serves()
