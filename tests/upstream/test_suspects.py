"""What makes an endpoint suspect, what ends that, and which endpoint serves in its place."""

from typing import cast

import pytest

from proxy.model.actions import Algorithm, Backend, Balance, HashKey, HashSource, Split, Sticky
from proxy.model.policies import RetryScope
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.kinds import Kind
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services
from proxy.upstream.suspects import SIGN_S, is_suspect
from tests.support.endpoints import cluster_of, fail, readmit
from tests.support.snapshots import split
from tests.upstream.test_backends import BASE, CANARY, describe, plan_of
from tests.upstream.test_stalls import NEW, NOW, Request, kind
from tests.upstream.test_sticky import choose, id_of

FAST, SLOW = kind(0.001, times=50), kind(0.1, times=50)
EQUAL, STANDBY = split({"c1": 50, "c2": 50}), split({"c1": 100, "c2": 0})


@pytest.fixture
def services() -> Services:
    found = Services()
    describe(found, {BASE: {"c1": [1, 2], "c2": [3]}, CANARY: {"c1": [11]}})
    return found


def wait(endpoint: LiveEndpoint, since: float, of: Kind | None) -> None:
    endpoint.pool.streams().add(cast(UpstreamConnection, Request(endpoint, since, of, may_move=True)))
    endpoint.in_flight += 1


def pod(services: Services, port: int) -> LiveEndpoint:
    (found,) = [endpoint for endpoint in services.endpoints() if endpoint.port == port]
    return found


@pytest.mark.parametrize("failure", list(Failure))
def test_a_failure_is_a_sign_where_it_is_the_endpoints(services: Services, failure: Failure) -> None:
    endpoint = pod(services, 1)
    fail(services, endpoint, failure)
    ours = {Failure.OVERFLOW, Failure.HEDGED, Failure.LOCAL, Failure.STALE, Failure.UNSEEN}
    assert is_suspect(endpoint, endpoint.suspected) is (failure not in ours)


def test_an_endpoint_is_suspect_until_it_is_heard_or_for_half_a_second(services: Services) -> None:
    endpoint = pod(services, 1)
    endpoint.heard, endpoint.suspected = NOW - 1.0, NOW
    assert is_suspect(endpoint, NOW + SIGN_S / 2)
    assert not is_suspect(endpoint, NOW + SIGN_S)
    endpoint.heard = NOW + 0.01
    assert not is_suspect(endpoint, NOW + 0.02)


@pytest.mark.parametrize("answers", [False, True])
def test_an_endpoint_let_in_again_is_suspect_from_when_it_is_asked_for(
    services: Services, answers: bool
) -> None:
    endpoint = pod(services, 1)
    fail(services, endpoint)
    readmit(services, endpoint)
    if answers:
        cluster_of(services, endpoint).succeeded(endpoint)
    late = NOW + 100.0  # its cluster was held open
    found = [is_suspect(endpoint, late + after) for after in (0.0, SIGN_S / 2, SIGN_S)]
    assert found == ([False] * 3 if answers else [True, True, False])


@pytest.mark.parametrize(
    ("of", "waited_s", "heard_ago_s", "expected"),
    [
        (FAST, 0.019, 5.0, False),
        (FAST, 0.021, 5.0, True),
        (FAST, 5.0, 0.019, False),
        (FAST, 5.0, 0.021, True),
        (SLOW, 0.19, 5.0, False),
        (SLOW, 0.26, 5.0, True),
        (NEW, 5.0, 5.0, False),  # too little is known of its kind
        (None, 5.0, 5.0, False),  # a request that is still being sent
    ],
)
def test_silence_is_a_sign_when_it_is_longer_than_usual(
    services: Services, of: Kind | None, waited_s: float, heard_ago_s: float, expected: bool
) -> None:
    suspect = pod(services, 1)
    suspect.heard = NOW - heard_ago_s
    wait(suspect, NOW - waited_s, of)
    assert is_suspect(suspect, NOW) is expected


def test_a_slow_request_does_not_hide_a_fast_one(services: Services) -> None:
    suspect = pod(services, 1)
    wait(suspect, NOW - 0.1, SLOW)
    assert not is_suspect(suspect, NOW)
    wait(suspect, NOW - 0.05, FAST)
    assert is_suspect(suspect, NOW)


def instead_of(plan: RoutePlan, *suspects: LiveEndpoint) -> int:
    for each in suspects:
        each.suspected = NOW
    choice = plan.pick()
    assert choice is not None
    found = choice.instead(suspects[0], NOW)
    return found.port if found is not None else 0


@pytest.mark.parametrize(
    ("own", "scope", "suspects", "expected"),
    [
        (EQUAL, RetryScope.ANY, (1,), 2),
        (EQUAL, RetryScope.ANY, (1, 2), 3),
        (EQUAL, RetryScope.ANY, (3,), 1),
        (EQUAL, RetryScope.ANY, (1, 2, 3), 0),
        (EQUAL, RetryScope.SAME_CLUSTER, (1, 2), 0),
        (EQUAL, RetryScope.SAME_CLUSTER, (1,), 2),
        (EQUAL, RetryScope.NONE, (1, 2), 0),
        (STANDBY, RetryScope.ANY, (1,), 2),
        (STANDBY, RetryScope.ANY, (1, 2), 0),
        (split({"c1": 100}), RetryScope.ANY, (1, 2), 0),
    ],
)
def test_a_peer_with_a_share_serves_instead(
    services: Services, own: Split, scope: RetryScope, suspects: tuple[int, ...], expected: int
) -> None:
    plan = plan_of(services, Backend(BASE), own=own, scope=scope)
    found = instead_of(plan, *[pod(services, port) for port in suspects])
    assert found in (1, 2) if expected == 1 else found == expected


def test_an_ejected_endpoint_replaces_no_suspect(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), own=EQUAL)
    fail(services, pod(services, 2))
    assert instead_of(plan, pod(services, 1)) == 3


def test_keys_and_sessions_are_not_moved_by_a_sign(services: Services) -> None:
    by_client = Balance(Algorithm.HASH, HashKey(HashSource.CLIENT))
    keyed = choose(plan_of(services, Backend(BASE), balance=by_client))
    sticky = plan_of(services, Backend(BASE), balance=Balance(sticky=Sticky("SRV")))
    named = choose(sticky, b"SRV=" + id_of(services, 1))
    assert keyed.instead(pod(services, 1), NOW) is None
    assert named.instead(pod(services, 1), NOW) is None
    begins = choose(sticky)
    assert begins.instead(pod(services, 1), NOW) is not None


@pytest.mark.parametrize(
    ("every", "failures", "then", "later_s", "expected"),
    [
        (10, 4, 5, 0.0, True),
        (10, 3, 5, 0.0, False),  # three may be an accident
        (30, 30, 5, 0.0, True),
        (70, 30, 5, 0.0, False),  # one or two of a hundred
        (10, 30, 39, 0.0, True),
        (10, 30, 45, 0.0, False),  # so many well in a row: it is over
        (1, 30, 5, 0.0, False),
        (10, 30, 5, 4.9, True),
        (10, 30, 5, 5.1, False),
    ],
)
def test_an_endpoint_that_fails_often_is_a_suspect_between_failures_as_well(
    services: Services, every: int, failures: int, then: int, later_s: float, expected: bool
) -> None:
    endpoint = pod(services, 1)
    endpoint.requests = 1000
    for _ in range(failures):
        endpoint.requests += every
        endpoint.failure_rate.add(endpoint.requests, NOW)
    endpoint.heard = NOW
    endpoint.requests += then
    assert is_suspect(endpoint, NOW + later_s) is expected


def test_silence_that_goes_on_is_a_sign_for_as_long(services: Services) -> None:
    suspect = pod(services, 1)
    suspect.heard = NOW - 5.0
    wait(suspect, NOW - 1.0, FAST)
    assert is_suspect(suspect, NOW)
    assert is_suspect(suspect, NOW + SIGN_S + 0.1)


def test_gets_stay_in_the_cluster_of_a_quiet_endpoint(services: Services) -> None:
    choice = plan_of(services, Backend(BASE), own=EQUAL).pick()
    assert choice is not None
    one, two, three = (pod(services, port) for port in (1, 2, 3))
    one.is_quiet = three.is_quiet = True
    assert choice.beside_quiet(one) is two
    assert choice.beside_quiet(three) is three  # alone in its cluster
    two.is_quiet = True
    assert choice.beside_quiet(one) is one


def test_keys_and_sessions_stay_with_a_quiet_endpoint(services: Services) -> None:
    by_client = Balance(Algorithm.HASH, HashKey(HashSource.CLIENT))
    keyed = choose(plan_of(services, Backend(BASE), balance=by_client))
    sticky = plan_of(services, Backend(BASE), balance=Balance(sticky=Sticky("SRV")))
    named = choose(sticky, b"SRV=" + id_of(services, 1))
    pod(services, 1).is_quiet = True
    assert keyed.beside_quiet(pod(services, 1)) is pod(services, 1)
    assert named.beside_quiet(pod(services, 1)) is pod(services, 1)
