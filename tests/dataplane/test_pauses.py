"""A third attempt where the second one failed waits a moment; what can do better elsewhere does not."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.dataplane import DataPlane
from proxy.model.policies import Policies
from proxy.upstream.retries import failover
from tests.dataplane.test_failover import failing
from tests.support.inprocess import serving
from tests.support.origin import Connection, Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient

PAUSE_S = 0.4


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The limits that pauses are drawn below; each of them is PAUSE_S."""
    limits: list[float] = []

    def draw(_least: float, most: float) -> float:
        limits.append(most)
        return PAUSE_S

    monkeypatch.setattr(failover, "uniform", draw)
    return limits


class Overloaded:
    """Endpoints that answer 503, and note when they were asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, _connection: Connection, _got: object) -> bytes:
        self.asked.append(time.monotonic())
        return failing(503)

    def waits(self) -> list[bool]:
        """Return before which of the attempts there was a pause."""
        gaps = [later - earlier for earlier, later in zip(self.asked, self.asked[1:], strict=False)]
        return [gap > PAUSE_S * 0.9 for gap in gaps]


@pytest.mark.parametrize(
    ("clusters", "waits"),
    [
        ({"c1": 3}, [False, True]),
        ({"c1": 2, "c2": 1}, [False, False]),
        ({"c1": 1, "c2": 2}, [False, True]),
    ],
)
async def test_the_first_repetition_and_a_fresh_cluster_are_tried_at_once(
    port: int, drawn: list[float], clusters: dict[str, int], waits: list[bool]
) -> None:
    overloaded = Overloaded()
    a, b, c = [Origin(overloaded) for _ in range(3)]
    async with a, b, c:
        addresses = iter((a.address, b.address, c.address))
        where = {cluster: [next(addresses) for _ in range(count)] for cluster, count in clusters.items()}
        weights = {cluster: 100 if cluster == "c1" else 0 for cluster in clusters}
        async with serving(snapshot(port, where, route(port, weights=weights))):
            assert await tally(port, 1) == {"503": 1}
    assert overloaded.waits() == waits
    assert drawn == [failover.FIRST_PAUSE_S] * any(waits)


async def test_a_request_that_no_endpoint_has_seen_moves_at_once(port: int, drawn: list[float]) -> None:
    async with Origin() as alive:
        dead = [("127.0.0.1", free_port()) for _ in range(3)]
        async with serving(snapshot(port, {"c1": [*dead, alive.address]})):
            assert await tally(port, 5) == {"/": 5}
    assert drawn == []


async def paused(plane: DataPlane, port: int, overloaded: Overloaded) -> RawClient:
    """Return a client whose request is between its second attempt and the third."""
    client = await RawClient.connect(port)
    await client.send(request())
    await until(
        lambda: (
            len(overloaded.asked) == 2 and not any(e.in_flight for e in plane.upstream.services.endpoints())
        )
    )
    return client


async def test_a_client_that_leaves_meanwhile_costs_no_endpoint_a_request(
    port: int, drawn: list[float]
) -> None:
    overloaded = Overloaded()
    a, b, c = [Origin(overloaded) for _ in range(3)]
    async with a, b, c, serving(snapshot(port, {"c1": [a.address, b.address, c.address]})) as plane:
        client = await paused(plane, port, overloaded)
        client.reset()
        await asyncio.sleep(PAUSE_S * 1.5)
        assert len(overloaded.asked) == 2
        assert sorted(len(origin.connections) for origin in (a, b, c)) == [0, 1, 1]
        assert not any(endpoint.in_flight for endpoint in plane.upstream.services.endpoints())
        assert drawn


@pytest.mark.parametrize(("is_replaced", "status"), [(True, 200), (False, 502)])
async def test_an_endpoint_that_leaves_meanwhile_is_not_asked(
    port: int, drawn: list[float], is_replaced: bool, status: int
) -> None:
    overloaded = Overloaded()
    a, b, c = origins = [Origin(overloaded) for _ in range(3)]
    async with a, b, c, Origin() as fresh:
        rules = snapshot(port, {"c1": [origin.address for origin in origins]})
        async with serving(rules) as plane:
            client = await paused(plane, port, overloaded)
            (planned,) = [origin for origin in origins if not origin.requests]
            left = [origin.address for origin in origins if origin is not planned]
            plane.change_endpoints((service({"c1": [*left, fresh.address] if is_replaced else left}),))
            assert (await client.final_response())[0] == status
            await client.close()
            assert planned.connections == []
            assert drawn


async def test_no_attempt_begins_that_could_not_be_answered_in_time(port: int, drawn: list[float]) -> None:
    overloaded = Overloaded()
    a, b, c = [Origin(overloaded) for _ in range(3)]
    async with a, b, c:
        clusters = {"c1": [a.address, b.address, c.address]}
        rule = replace(route(port), policies=Policies(response_timeout_s=PAUSE_S))
        async with serving(snapshot(port, clusters, rule)) as plane:
            assert await tally(port, 1) == {"503": 1}
            assert len(overloaded.asked) == 2
            assert [count.cause for count in plane.upstream.suppressed.counts()] == ["deadline"]
            assert drawn
