"""Which backend, cluster and endpoint a request goes to, and where it turns to next."""

from collections import Counter

import pytest

from proxy.model.actions import (
    Algorithm,
    Backend,
    Balance,
    Destination,
    Forward,
    HashKey,
    HashSource,
    Share,
    Split,
    SplitMode,
)
from proxy.model.policies import Policies, Retry, RetryScope
from proxy.model.snapshot import ClusterEndpoints, Endpoint, PathKind, PathMatch, Route, Service
from proxy.policies.limits import Limiters
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services
from tests.support.endpoints import fail
from tests.support.policies import asked
from tests.support.snapshots import source, split

BASE, CANARY, SPARE = "demo/base:80", "demo/canary:80", "demo/spare:80"
Ports = dict[str, dict[str, list[int]]]
"""Of the endpoints, by service and cluster."""

ALL: Ports = {BASE: {"c1": [1], "c2": [2]}, CANARY: {"c1": [11], "c2": [12]}, SPARE: {"c3": [23]}}
IN_C3 = split({"c3": 100})
BACKED = Backend(CANARY, fallbacks=(Destination(BASE), Destination(SPARE, IN_C3)))


def describe(services: Services, ports: Ports) -> None:
    for name, clusters in ports.items():
        groups = [
            ClusterEndpoints(c, tuple(Endpoint("::1", p) for p in pods)) for c, pods in clusters.items()
        ]
        services.change(Service(name, tuple(groups)))


def plan_of(
    services: Services,
    *backends: Backend,
    own: Split | None = None,
    balance: Balance | None = None,
    scope: RetryScope = RetryScope.ANY,
) -> RoutePlan:
    action = Forward(backends, own or split({"c1": 50, "c2": 50}), balance)
    policies = Policies(retry=Retry(scope=scope)) if scope is not RetryScope.ANY else None
    route = Route("demo/r", source(), (80,), "", PathMatch(PathKind.PREFIX, "/"), action, policies=policies)
    return RoutePlan(route, services, RouteCounters(route.id), Limiters())


def first(plan: RoutePlan) -> LiveEndpoint | None:
    choice = plan.pick()
    return choice.first() if choice is not None else None


def tally(plan: RoutePlan, count: int) -> Counter[int]:
    found = [first(plan) for _ in range(count)]
    return Counter(endpoint.port if endpoint is not None else 0 for endpoint in found)


def attempts(plan: RoutePlan, *, stay: bool = True, client: bytes = b"") -> list[int]:
    """The ports a request goes to when every attempt fails; `client` for a route that wants to know it."""
    one = asked()
    choice = plan.pick_for(client, one.line, one.headers) if client else plan.pick()
    assert choice is not None
    tried: list[LiveEndpoint] = []
    endpoint = choice.first()
    while endpoint is not None:
        tried.append(endpoint)
        endpoint = choice.following(tried, attempts=len(tried), stay=stay)
    return [endpoint.port for endpoint in tried]


@pytest.fixture
def services() -> Services:
    found = Services()
    describe(found, ALL)
    return found


def eject(services: Services, service: str) -> None:
    for endpoint in services.get(service).endpoints():
        fail(services, endpoint)


def test_a_backend_has_a_split_of_its_own(services: Services) -> None:
    plan = plan_of(services, Backend(BASE, 80), Backend(CANARY, 20, split({"c1": 25, "c2": 75})))
    assert tally(plan, 200) == {1: 80, 2: 80, 11: 10, 12: 30}


def test_fallbacks_serve_in_their_order_and_split(services: Services) -> None:
    plan = plan_of(services, BACKED)
    assert tally(plan, 10) == {11: 5, 12: 5}
    describe(services, {CANARY: {}})
    assert tally(plan, 10) == {1: 5, 2: 5}
    describe(services, {BASE: {}})
    assert tally(plan, 10) == {23: 10}
    describe(services, {SPARE: {}})
    assert tally(plan, 10) == {0: 10}
    describe(services, ALL)
    assert tally(plan, 10) == {11: 5, 12: 5}


def test_endpoints_that_are_ejected_give_way_to_the_fallback(services: Services) -> None:
    plan = plan_of(services, BACKED)
    eject(services, CANARY)
    assert tally(plan, 10) == {1: 5, 2: 5}
    for name in (BASE, SPARE):
        eject(services, name)
    assert tally(plan, 10) == {11: 5, 12: 5}


def test_a_failed_request_turns_to_the_fallbacks(services: Services) -> None:
    assert attempts(plan_of(services, BACKED)) == [11, 12, 1, 2, 23]
    eject(services, CANARY)
    assert attempts(plan_of(services, BACKED))[:3] == [1, 2, 23]


def test_the_second_attempt_stays_in_the_cluster(services: Services) -> None:
    describe(services, {CANARY: {"c1": [11, 12, 13], "c2": [14]}})
    tried = attempts(plan_of(services, BACKED))
    assert set(tried[:2]) < {11, 12, 13}
    assert tried[2:5] == [14, 1, 2]
    assert tried[5] == 23
    assert attempts(plan_of(services, BACKED), stay=False)[1] == 14


def test_where_there_is_no_room_the_fallback_is_next(services: Services) -> None:
    describe(services, {CANARY: {"c1": [11, 12]}})
    assert attempts(plan_of(services, BACKED), stay=False)[1:] == [1, 2, 23]


def test_the_part_of_an_empty_backend_goes_to_the_others_in_proportion(services: Services) -> None:
    one = split({"c1": 100})
    plan = plan_of(services, Backend(BASE, 60, one), Backend(CANARY, 20, one), Backend(SPARE, 20, IN_C3))
    assert tally(plan, 100) == {1: 60, 11: 20, 23: 20}
    describe(services, {CANARY: {"c2": [12]}})
    assert tally(plan, 80) == {1: 60, 23: 20}
    eject(services, SPARE)
    assert tally(plan, 10) == {1: 10}
    describe(services, {BASE: {}, SPARE: {}})
    assert tally(plan, 10) == {0: 10}
    describe(services, ALL)
    assert tally(plan, 100) == {1: 60, 11: 20, 23: 20}


def test_a_backend_without_a_weight_gets_nothing_not_even_when_others_are_dead(services: Services) -> None:
    plan = plan_of(services, Backend(BASE, 100), Backend(CANARY, 0))
    assert tally(plan, 10) == {1: 5, 2: 5}
    assert attempts(plan) in ([1, 2], [2, 1])
    describe(services, {BASE: {}})
    assert tally(plan, 10) == {0: 10}


def test_a_failed_request_turns_to_the_other_backends(services: Services) -> None:
    plan = plan_of(services, Backend(BASE, 1), Backend(SPARE, 1, IN_C3))
    assert attempts(plan) == [1, 2, 23]
    assert attempts(plan)[0] == 23


def test_residency_holds_for_fallbacks(services: Services) -> None:
    pinned = Split(SplitMode.WEIGHTS, (Share("c1", 100), Share("c2")), failover=False)
    plan = plan_of(services, Backend(CANARY, fallbacks=(Destination(BASE),)), own=pinned)
    assert attempts(plan) == [11, 1]
    describe(services, {CANARY: {"c2": [12]}, BASE: {"c2": [2]}})
    assert tally(plan, 5) == {0: 5}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (RetryScope.ANY, [11, 12, 1, 2, 23]),
        (RetryScope.SAME_CLUSTER, [11, 1]),  # of the fallback too only what is in c1
        (RetryScope.NONE, [11]),
    ],
)
def test_the_scope_of_retries(services: Services, scope: RetryScope, expected: list[int]) -> None:
    assert attempts(plan_of(services, BACKED, own=split({"c1": 100, "c2": 0}), scope=scope)) == expected


def test_without_a_second_attempt_no_peer_is_asked_either(services: Services) -> None:
    describe(services, {BASE: {"c1": [1, 3]}})
    assert len(attempts(plan_of(services, Backend(BASE), scope=RetryScope.NONE))) == 1


def test_the_scope_of_retries_is_that_of_the_cluster_that_was_tried(services: Services) -> None:
    plan = plan_of(services, BACKED, own=split({"c1": 100, "c2": 0}), scope=RetryScope.SAME_CLUSTER)
    assert attempts(plan) == [11, 1]
    describe(services, {CANARY: {"c2": [12]}, BASE: {"c1": [], "c2": [2]}})
    assert attempts(plan) == [12, 2]  # the share of c1 was healed: this is no retry
    describe(services, {CANARY: {"c1": [11], "c2": [12]}, BASE: {"c1": [1], "c2": [2]}})
    assert attempts(plan, stay=False) == [11, 1]  # no room for the one service in c1


def test_keyed_requests_have_the_same_scope(services: Services) -> None:
    describe(services, {BASE: {"c1": [1, 2, 3], "c2": [4]}})
    balance = Balance(key=HashKey(HashSource.CLIENT))
    for scope, expected in ((RetryScope.SAME_CLUSTER, [1, 2, 3]), (RetryScope.ANY, [1, 2, 3, 4])):
        plan = plan_of(services, Backend(BASE), own=split({"c1": 100, "c2": 0}), balance=balance, scope=scope)
        assert sorted(port for port in attempts(plan, client=b"192.0.2.1")) == expected


def test_tiers(services: Services) -> None:
    shares = (Share("c1"), Share("c2", priority=1), Share("c3", priority=2))
    describe(services, {BASE: {"c1": [1], "c2": [2], "c3": [3]}})
    plan = plan_of(services, Backend(BASE), own=Split(SplitMode.ENDPOINTS, shares))
    assert tally(plan, 10) == {1: 10}
    assert attempts(plan) == [1, 2, 3]
    describe(services, {BASE: {"c1": [], "c2": [2], "c3": [3]}})
    assert tally(plan, 10) == {2: 10}
    eject(services, BASE)
    assert tally(plan, 10) == {2: 10}


def balanced(services: Services, algorithm: Algorithm, slow_start_s: float = 0.0) -> RoutePlan:
    return plan_of(
        services, Backend(BASE), own=split({"c1": 1}), balance=Balance(algorithm, slow_start_s=slow_start_s)
    )


def busy(services: Services, **in_flight: int) -> None:
    for endpoint in services.get(BASE).endpoints():
        endpoint.in_flight = in_flight[f"p{endpoint.port}"]


@pytest.mark.parametrize(
    "algorithm", [Algorithm.ROUND_ROBIN, Algorithm.LEAST_CONNECTION, Algorithm.LEAST_REQUEST]
)
def test_idle_endpoints_take_turns(services: Services, algorithm: Algorithm) -> None:
    describe(services, {BASE: {"c1": [1, 2, 3]}})
    assert tally(balanced(services, algorithm), 30) == {1: 10, 2: 10, 3: 10}


def test_round_robin_disregards_load(services: Services) -> None:
    describe(services, {BASE: {"c1": [1, 2, 3]}})
    busy(services, p1=9, p2=0, p3=0)
    assert tally(balanced(services, Algorithm.ROUND_ROBIN), 30) == {1: 10, 2: 10, 3: 10}


def test_least_connection_takes_the_least_busy_of_all(services: Services) -> None:
    describe(services, {BASE: {"c1": [1, 2, 3, 4]}})
    busy(services, p1=9, p2=3, p3=2, p4=3)
    assert tally(balanced(services, Algorithm.LEAST_CONNECTION), 20) == {3: 20}


def test_random_leaves_no_endpoint_out(services: Services) -> None:
    describe(services, {BASE: {"c1": [1, 2, 3]}})
    assert all(250 < count < 420 for count in tally(balanced(services, Algorithm.RANDOM), 1000).values())


WEIGHTS = (
    ClusterEndpoints(
        "c1", (Endpoint("::1", 1, weight=10), Endpoint("::1", 2, weight=30), Endpoint("::1", 3, weight=0))
    ),
)


@pytest.mark.parametrize("algorithm", [Algorithm.ROUND_ROBIN, Algorithm.LEAST_REQUEST])
def test_weights_are_exact(services: Services, algorithm: Algorithm) -> None:
    services.change(Service(BASE, WEIGHTS))
    assert tally(balanced(services, algorithm), 40) == {1: 10, 2: 30}


def test_random_and_least_connection_heed_weights(services: Services) -> None:
    services.change(Service(BASE, WEIGHTS))
    drawn = tally(balanced(services, Algorithm.RANDOM), 1000)
    assert 650 < drawn[2] < 850
    assert drawn[3] == 0
    busy(services, p1=2, p2=4, p3=0)
    assert tally(balanced(services, Algorithm.LEAST_CONNECTION), 10) == {2: 10}


@pytest.mark.parametrize("algorithm", list(Algorithm)[:4])
def test_every_algorithm_leaves_out_tried_endpoints(services: Services, algorithm: Algorithm) -> None:
    describe(services, {BASE: {"c1": [1, 2, 3], "c2": []}})
    assert sorted(attempts(balanced(services, algorithm))) == [1, 2, 3]
