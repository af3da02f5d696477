"""When an endpoint is taken for stalled: by its own answers, its route's, and what its peers do."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.connections.connection import UpstreamConnection
from proxy.upstream.connections.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.health.latencies import WINDOW, Latencies
from proxy.upstream.health.stalls import StallWatch, has_stalled, longest_wait
from proxy.upstream.service import Services

NOW = 1000.0


def latencies(*took_s: float, times: int = 1, last: float = 0.0) -> Latencies:
    found = Latencies()
    for _ in range(times):
        for each in took_s:
            found.note(each, last)
    return found


@pytest.mark.parametrize(
    ("known", "low", "high"),
    [
        (latencies(), 0.01, 0.01),
        (latencies(0.001, times=5000), 0.01, 0.01),
        (latencies(0.03, times=200), 0.03, 0.04),
        (latencies(*[0.001] * 199, 0.5), 0.01, 0.01),  # one of 200: not in the 99th percentile
        (latencies(*[0.001] * 49, 0.5, times=10), 0.5, 0.65),  # two of a hundred
        (latencies(*[0.001] * 20, 0.5), 0.01, 0.01),  # one of few may be an accident
        (latencies(*[0.001] * 20, 0.5, 0.5), 0.5, 0.65),
        (latencies(0.001, 0.5), 0.5, 0.65),  # of very few the longest
        (latencies(1000.0, times=9), 60.0, 100.0),
    ],
)
def test_the_99th_percentile_is_known_to_a_quarter(known: Latencies, low: float, high: float) -> None:
    assert low <= known.p99() <= high


def test_old_answers_are_forgotten() -> None:
    known = latencies(2.0, times=200)
    for _ in range(WINDOW * 9):
        known.note(0.001, NOW)
    assert known.p99() == 0.01


FAST, SLOW, NEW = latencies(0.001, times=50), latencies(0.1, times=50), latencies(0.001)


@pytest.mark.parametrize(
    ("endpoint", "route", "since", "low", "high"),
    [
        (FAST, FAST, 5.0, 0.1, 0.1),
        (FAST, SLOW, 5.0, 1.0, 1.25),  # a slow route on a fast endpoint
        (SLOW, FAST, 5.0, 1.0, 1.25),
        (NEW, FAST, 5.0, float("inf"), float("inf")),  # nobody answered since
        (NEW, latencies(0.001, times=50, last=6.0), 5.0, 0.2, 0.2),
        (FAST, latencies(0.05, last=6.0), 5.0, 0.5, 0.65),  # a route of which one answer is known
    ],
)
def test_how_long_a_request_may_wait(
    endpoint: Latencies, route: Latencies, since: float, low: float, high: float
) -> None:
    assert low <= longest_wait(endpoint, route, since) <= high


@pytest.fixture
def pods() -> dict[int, LiveEndpoint]:
    services = Services()
    groups = [ClusterEndpoints(c, (Endpoint("::1", p),)) for c, p in (("c1", 1), ("c2", 2))]
    services.change(Service("demo/s:80", tuple(groups)))
    found = {endpoint.port: endpoint for endpoint in services.endpoints()}
    for endpoint in found.values():
        endpoint.answers = latencies(0.001, times=50)
    return found


def wait(endpoint: LiveEndpoint, since: float, route: Latencies | None = FAST) -> None:
    waiting = SimpleNamespace(since=since, is_waiting=lambda: True, awaits=lambda: route)
    endpoint.connections.add(cast(UpstreamConnection, Waiting(waiting)))
    endpoint.in_flight += 1


class Waiting:
    """A connection with a request that nothing has come of; hashable, as connections are."""

    def __init__(self, what: SimpleNamespace) -> None:
        self.since, self.is_waiting, self.awaits = what.since, what.is_waiting, what.awaits


@pytest.mark.parametrize(
    ("waited_s", "heard_ago_s", "expected"),
    [(0.09, 5.0, False), (0.11, 5.0, True), (5.0, 0.05, False), (5.0, 0.11, True)],
)
def test_it_has_stalled_when_nothing_came_of_it_for_long(
    pods: dict[int, LiveEndpoint], waited_s: float, heard_ago_s: float, expected: bool
) -> None:
    wait(pods[1], NOW - waited_s)
    pods[1].heard = NOW - heard_ago_s
    assert has_stalled(pods[1], NOW) is expected


@pytest.mark.parametrize(("peer_waited_s", "expected"), [(0.04, True), (0.06, False), (9.0, False)])
def test_it_has_not_when_its_peers_wait_as_well(
    pods: dict[int, LiveEndpoint], peer_waited_s: float, expected: bool
) -> None:
    wait(pods[1], NOW - 0.2)
    wait(pods[2], NOW - peer_waited_s)
    assert has_stalled(pods[1], NOW) is expected


def test_a_peer_that_goes_on_answering_counts_whatever_else_waits_there(
    pods: dict[int, LiveEndpoint],
) -> None:
    wait(pods[1], NOW - 0.2)
    wait(pods[2], NOW - 9.0)
    pods[2].heard = NOW - 0.01
    assert has_stalled(pods[1], NOW)


def test_without_another_endpoint_there_is_nothing_to_be_gained(pods: dict[int, LiveEndpoint]) -> None:
    wait(pods[1], NOW - 5.0)
    pods[2].stall(NOW)
    assert not has_stalled(pods[1], NOW)


def test_requests_that_are_still_being_sent_say_nothing(pods: dict[int, LiveEndpoint]) -> None:
    wait(pods[1], NOW - 5.0, None)
    assert not has_stalled(pods[1], NOW)
    wait(pods[1], NOW - 5.0)
    assert has_stalled(pods[1], NOW)


def test_the_slow_route_does_not_hide_the_fast_one(pods: dict[int, LiveEndpoint]) -> None:
    wait(pods[1], NOW - 0.5, SLOW)
    assert not has_stalled(pods[1], NOW)
    wait(pods[1], NOW - 0.2, FAST)
    assert has_stalled(pods[1], NOW)


def test_a_stalled_endpoint_serves_only_when_no_other_can(pods: dict[int, LiveEndpoint]) -> None:
    group = pods[1].group
    pods[1].stall(NOW)
    assert (group.live, group.ejected, group.usable.is_only_ejected) == ([], [pods[1]], True)
    pods[1].revive()
    assert (group.live, group.ejected) == ([pods[1]], [])


@pytest.mark.parametrize("state", [State.STALLED, State.EJECTED])
async def test_a_request_that_was_on_its_way_there_waits_in_vain_as_well(
    pods: dict[int, LiveEndpoint], state: State
) -> None:
    watch = StallWatch(asyncio.get_running_loop(), cast(Connector, None))
    watch.watch(pods[1])
    pods[1].state = state
    pods[1].heard, pods[1].stalled_at = NOW - 2, NOW - 1
    wait(pods[1], NOW - 0.09)
    assert watch.look(NOW) == []
    assert watch.look(NOW + 0.02) == [pods[1]]
    watch.stop()
