"""Connects of one request beside each other: when the next one starts, who serves, what the others become."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from proxy.clock import Clock
from proxy.model.actions import Algorithm, Backend, Balance, HashKey, HashSource, Sticky
from proxy.model.policies import RetryScope
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.connections.carrier import Carrier
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.hedge import HedgedConnect, Opener, Waiter
from proxy.upstream.endpoint import LiveEndpoint, endpoint_of
from proxy.upstream.evidence.connect_times import FIRST_DELAY_S, LEAST_DELAY_S, MOST_DELAY_S, ConnectTimes
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.retries.failover import Failover
from proxy.upstream.retries.rules import BY_DEFAULT
from proxy.upstream.service import Services
from tests.support.endpoints import fail
from tests.support.snapshots import split
from tests.support.waiting import until
from tests.upstream.test_backends import BASE, describe, plan_of
from tests.upstream.test_keyed import LINE
from tests.upstream.test_sticky import choose, id_of


class FakeConnector(Opener):
    """Connects are answered by the test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.connects: list[int] = []
        self.full: set[int] = set()

    def connect(self, endpoint: LiveEndpoint, waiter: Waiter) -> None:
        self.connects.append(endpoint.port)

    def has_capacity(self, endpoint: LiveEndpoint) -> bool:
        return endpoint.port not in self.full

    def later(self, delay_s: float, work: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, work)


class FakeConnection:
    def __init__(self, endpoint: LiveEndpoint) -> None:
        self.endpoint = endpoint
        self.transport = self

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def give_back(self) -> None:
        self.endpoint.pool.release(cast(Carrier, self))


class FakeRequest:
    """Notes what it is told."""

    def __init__(self, others: list[LiveEndpoint]) -> None:
        self.is_done = False
        self.others = others
        self.hedging = self
        self.told: list[tuple[Any, ...]] = []

    def on_connected(self, stream: UpstreamStream) -> None:
        self.told.append(("connected", endpoint_of(stream).port))

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self.told.append((failure.value, endpoint.port))

    def beside(self, tried: list[LiveEndpoint]) -> LiveEndpoint | None:
        return next((other for other in self.others if other not in tried), None)

    def on_hedged(self, waiting: list[LiveEndpoint], tried: list[LiveEndpoint], winner: LiveEndpoint) -> None:
        self.told.append(("hedged", [e.port for e in waiting], [e.port for e in tried], winner.port))

    def on_connect_lost(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self.told.append(("lost", endpoint.port, failure.value))


class Race:
    """A request whose first connect, to port 1, has begun."""

    def __init__(self, *others: int) -> None:
        services = Services()
        describe(services, {BASE: {"c1": [1], "c2": [2], "c3": [3], "c4": [4]}})
        self.endpoints = {endpoint.port: endpoint for endpoint in services.endpoints()}
        self.connector = FakeConnector()
        self.request = FakeRequest([self.endpoints[port] for port in others])
        for endpoint in self.endpoints.values():
            endpoint.limits.times.learn(0.001)
        self.connect = HedgedConnect(self.connector, self.request)
        self.connect.start(self.endpoints[1])

    def connected(self, port: int) -> None:
        self.connect.on_connected(self.connection(port))

    def connection(self, port: int) -> Carrier:
        return cast(Carrier, FakeConnection(self.endpoints[port]))

    def failed(self, port: int, failure: Failure) -> None:
        self.connect.on_connect_failed(self.endpoints[port], failure)

    async def begun(self, *ports: int) -> None:
        await until(lambda: self.connector.connects == list(ports))


async def test_an_answer_in_time_is_all_there_is() -> None:
    race = Race(2)
    race.connected(1)
    await asyncio.sleep(3 * LEAST_DELAY_S)  # nothing may happen, so there is nothing to wait for
    assert race.connector.connects == [1]
    assert race.request.told == [("connected", 1)]


async def test_a_failure_in_time_is_the_requests_own_affair() -> None:
    race = Race(2)
    race.failed(1, Failure.REFUSED)
    await asyncio.sleep(3 * LEAST_DELAY_S)
    assert race.connector.connects == [1]
    assert race.request.told == [("refused", 1)]


async def test_the_first_to_answer_serves_and_the_other_goes_to_its_pool() -> None:
    race = Race(2)
    await race.begun(1, 2)
    race.connected(2)
    race.connected(1)
    assert race.request.told == [("hedged", [1], [1, 2], 2), ("connected", 2)]
    assert [e.port for e in race.endpoints.values() if e.pool.idle()] == [1]


async def test_the_first_connect_may_still_win() -> None:
    race = Race(2)
    await race.begun(1, 2)
    race.connected(1)
    race.failed(2, Failure.CONNECT_TIMEOUT)
    assert race.request.told == [
        ("hedged", [2], [1, 2], 1),
        ("connected", 1),
        ("lost", 2, "connect_timeout"),
    ]


async def test_three_at_a_time_and_no_more() -> None:
    race = Race(2, 3, 4)
    await race.begun(1, 2, 3)
    await asyncio.sleep(3 * LEAST_DELAY_S)
    assert race.connector.connects == [1, 2, 3]
    race.failed(1, Failure.CONNECT_TIMEOUT)
    race.failed(3, Failure.REFUSED)
    race.failed(2, Failure.CONNECT_TIMEOUT)
    assert race.request.told == [
        ("lost", 1, "connect_timeout"),
        ("lost", 3, "refused"),
        ("connect_timeout", 2),
    ]


async def test_a_hedge_that_is_refused_is_followed_by_another_at_once() -> None:
    race = Race(2, 3)
    await race.begun(1, 2)
    race.failed(2, Failure.REFUSED)
    assert race.connector.connects == [1, 2, 3]


async def test_a_pooled_connection_wins_on_the_spot() -> None:
    race = Race(2)
    race.endpoints[2].pool.release(race.connection(2))
    await until(lambda: race.request.told)
    assert race.connector.connects == [1]
    assert race.request.told == [("hedged", [1], [1, 2], 2), ("connected", 2)]


@pytest.mark.parametrize("why", ["nowhere else to go", "no room there", "the client has gone"])
async def test_no_hedge(why: str) -> None:
    race = Race(*([] if why == "nowhere else to go" else [2]))
    race.connector.full = {2} if why == "no room there" else set()
    race.request.is_done = why == "the client has gone"
    await asyncio.sleep(3 * LEAST_DELAY_S)
    assert race.connector.connects == [1]
    race.failed(1, Failure.CONNECT_TIMEOUT)
    assert race.request.told == [("connect_timeout", 1)]


async def test_a_loop_that_was_busy_is_no_reason_to_hedge() -> None:
    race = Race(2)
    loop = asyncio.get_running_loop()
    end = loop.time() + 5 * LEAST_DELAY_S
    while loop.time() < end:
        pass
    # As an answer is that lay there unread: it goes through a future and a task
    loop.call_soon(loop.call_soon, race.connected, 1)
    await until(lambda: race.request.told)
    await asyncio.sleep(LEAST_DELAY_S)
    assert race.request.told == [("connected", 1)]


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [
        ((), FIRST_DELAY_S, FIRST_DELAY_S),
        ((0.0002,) * 9, LEAST_DELAY_S, LEAST_DELAY_S),
        ((0.02,) * 20, 0.03, 0.031),
        ((0.02, 0.03) * 20, 0.05, 0.07),
        ((0.4,), MOST_DELAY_S, MOST_DELAY_S),
        ((0.4, *(0.001,) * 60), LEAST_DELAY_S, LEAST_DELAY_S),
    ],
)
def test_the_delay_follows_the_connects(seconds: tuple[float, ...], least: float, most: float) -> None:
    times = ConnectTimes()
    for second in seconds:
        times.learn(second)
    assert least <= times.hedge_s <= most


def beside(choice: Choice, count: int) -> list[int]:
    """Return the ports a request connects to when nobody answers, but `count` at most."""
    endpoint = choice.first()
    tried: list[LiveEndpoint] = []
    while endpoint is not None and len(tried) < count:
        tried.append(endpoint)
        endpoint = choice.beside(tried)
    return [endpoint.port for endpoint in tried]


def choice_of(services: Services, weights: dict[str, int]) -> Choice:
    choice = plan_of(services, Backend(BASE), own=split(weights)).pick()
    assert choice is not None
    return choice


def test_a_request_that_two_clusters_have_seen_connects_to_no_third() -> None:
    services = Services()
    describe(services, {BASE: {"c1": [11], "c2": [21, 22], "c3": [31]}})
    choice = choice_of(services, {"c1": 100, "c2": 0, "c3": 0})
    one, two, other, _ = services.endpoints()
    failover = Failover(BY_DEFAULT)
    assert failover.within("c1") == ()
    failover.next(choice, one, Failure.STATUS, repeatable=True, now=0.0)
    assert set(failover.within("c2")) == {"c1", "c2"}
    failover.next(choice, two, Failure.STATUS, repeatable=True, now=0.0)
    assert choice.beside([one, two], within=failover.within()) is other
    assert choice.beside([one, two, other], within=failover.within()) is None
    assert choice.beside([one, two, other]) is not None


def test_the_other_cluster_first_then_the_same_then_the_standby() -> None:
    services = Services()
    describe(services, {BASE: {"c1": [11, 12], "c2": [21], "c3": [31], "c4": [41]}})
    found = beside(choice_of(services, {"c1": 100, "c2": 1, "c3": 0}), 9)
    assert found[0] in (11, 12)
    assert found[1] == 21
    assert {*found[:1], *found[2:3]} == {11, 12}
    assert found[3:] == [31]  # c4 is none of the clusters that the Ingress allows


def test_an_ejected_endpoint_is_no_alternative() -> None:
    services = Services()
    describe(services, {BASE: {"c1": [11, 12], "c2": [21]}})
    for endpoint in services.endpoints():
        if endpoint.port != 11:
            fail(services, endpoint)
    assert beside(choice_of(services, {"c1": 50, "c2": 50}), 9) == [11]


def test_a_key_is_followed_and_then_its_cluster_left() -> None:
    services = Services()
    describe(services, {BASE: {"c1": [11, 12, 13], "c2": [21]}})
    balance = Balance(Algorithm.HASH, HashKey(HashSource.CLIENT))
    plan = plan_of(services, Backend(BASE), own=split({"c1": 1_000_000, "c2": 1}), balance=balance)
    choice = plan.pick_for(b"::1", LINE, cast(Any, None))
    assert choice is not None
    first, second, third, *_ = beside(choice, 9)
    assert first // 10 == second // 10 == 1
    assert third == 21


def test_a_session_is_waited_for() -> None:
    services = Services()
    describe(services, {BASE: {"c1": [1, 2], "c2": [3]}})
    plan = plan_of(services, Backend(BASE), balance=Balance(sticky=Sticky("SRV", max_age_s=60)))
    session = choose(plan, b"SRV=" + id_of(services, 1))
    assert beside(session, 9) == [1]
    other = session.following([e for e in services.endpoints() if e.port == 1], attempts=1, stay=True)
    assert other is not None
    assert session.beside([other]) is not None  # the session is lost already


def test_the_scope_of_retries_is_that_of_hedges() -> None:
    services = Services()
    describe(services, {BASE: {"c1": [11, 12], "c2": [21]}})
    for scope, expected in ((RetryScope.SAME_CLUSTER, 2), (RetryScope.NONE, 1), (RetryScope.ANY, 3)):
        plan = plan_of(services, Backend(BASE), own=split({"c1": 1, "c2": 0}), scope=scope)
        choice = plan.pick()
        assert choice is not None
        assert len(beside(choice, 9)) == expected
