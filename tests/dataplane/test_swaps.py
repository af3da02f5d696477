"""Snapshots of ten thousand routes, beside requests and endpoint changes."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from proxy.model.channel import (
    Ack,
    Apply,
    EndpointsChanged,
    Nack,
    Part,
    Report,
)
from proxy.model.snapshot import ClusterEndpoints, Endpoint, PathKind, Service, Snapshot
from proxy.model.statistics import Stats
from tests.dataplane.test_shares import named
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

ROUTES = 10_000
NOWHERE = ("127.0.0.1", 1)


def big(port: int, version: int, to: Service) -> Snapshot:
    base = snapshot(port, {})
    routes = tuple(route(port, host=f"{n}.demo.example", name=str(n), to=to.id) for n in range(ROUTES))
    return replace(base, version=version, routes=routes, services=(to,))


async def keep_asking(port: int, number: int, stop: asyncio.Event) -> Counter[str]:
    answers: Counter[str] = Counter()
    while not stop.is_set():
        answers += await tally(port, 20, request(host=f"{number}.demo.example"))
    return answers


async def test_ten_thousand_routes_are_swapped_without_a_failed_request(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(named("old")) as old, Origin(named("new")) as new:
        services = (
            service({"c1": [old.address]}, "demo/old:80"),
            service({"c1": [new.address]}, "demo/new:80"),
        )
        await worker.apply(big(port, 1, services[0]))
        stop = asyncio.Event()
        asking = [
            asyncio.create_task(keep_asking(port, number, stop)) for number in (0, 1, ROUTES // 2, ROUTES - 1)
        ]
        for version in range(2, 8):  # each time all routes change, and a service leaves the snapshot
            assert await worker.apply(big(port, version, services[(version + 1) % 2])) == Ack(version)
            expected = "new" if version % 2 == 0 else "old"
            for number in (0, ROUTES - 1):
                assert await tally(port, 5, request(host=f"{number}.demo.example")) == {expected: 5}
        stop.set()
        for answers in await asyncio.gather(*asking):
            assert answers.keys() == {"old", "new"}


async def test_a_route_that_stays_keeps_its_place_in_the_schedule(worker: WorkerProcess, port: int) -> None:
    async with Origin(named("c1")) as one, Origin(named("c2")) as two:
        clusters = {"c1": [one.address], "c2": [two.address]}
        weighted = route(port, weights={"c1": 20, "c2": 80})
        answers: Counter[str] = Counter()
        for version in range(1, 11):  # the other route changes each time
            other = route(port, "/other", name=str(version))
            await worker.apply(snapshot(port, clusters, weighted, other, version=version))
            answers += await tally(port, 1)
        assert answers == {"c1": 2, "c2": 8}


async def test_endpoints_change_while_a_snapshot_is_compiled_and_stay_changed(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin:
        dead, alive = service({"c1": [NOWHERE]}), service({"c1": [origin.address]})
        await worker.apply(replace(snapshot(port, {}), services=(dead,)))
        worker.send(Apply(big(port, 2, dead)))
        worker.send(EndpointsChanged(1, (alive,)))
        worker.send(Report())
        assert await worker.message() == Ack(1)
        stats = await worker.message()
        assert isinstance(stats, Stats)  # before the snapshot is acknowledged
        assert stats.version == 1
        assert [endpoint.port for endpoint in stats.endpoints] == [origin.port]
        assert await worker.message() == Ack(2)
        stats = await worker.stats()
        assert [endpoint.port for endpoint in stats.endpoints] == [origin.port]
        assert await tally(port, 5, request(host="1.demo.example")) == {"/": 5}


async def test_a_worker_says_which_version_it_serves_with_endpoints_that_changed(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin:
        dead, alive = service({"c1": [NOWHERE]}), service({"c1": [origin.address]})
        await worker.apply(replace(snapshot(port, {}), services=(dead,)))
        worker.change_endpoints(2, alive)
        assert await worker.message() == Ack(2)
        assert (await worker.stats()).version == 2
        # Endpoints that are newer than rules on their way: their version is reached with the rules.
        worker.send(Apply(big(port, 3, dead)))
        worker.send(EndpointsChanged(4, (alive,)))
        assert [await worker.message() for _ in range(3)] == [Ack(2), Ack(3), Ack(4)]
        assert (await worker.stats()).version == 4


async def test_the_access_log_names_the_version_with_endpoints_that_changed(
    tmp_path: Path, port: int
) -> None:
    log = tmp_path / "access.log"
    async with Origin() as origin, WorkerProcess(str(log)) as worker:
        await worker.apply(snapshot(port, {"c1": [NOWHERE]}))
        worker.change_endpoints(2, service({"c1": [origin.address]}))
        assert await worker.message() == Ack(2)
        assert await tally(port, 1) == {"/": 1}
        await until(lambda: log.exists() and log.read_text().endswith("\n"))
        assert json.loads(log.read_text())["snapshot"] == 2


async def test_every_snapshot_is_answered_in_its_turn_and_the_last_good_one_stays(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin() as origin:
        live = service({"c1": [origin.address]})
        good = big(port, 1, live)
        bad = big(port, 2, service({"c1": [NOWHERE]}))
        bad = replace(bad, routes=(*bad.routes, route(port, "/(", kind=PathKind.REGEX)))
        for sent in (good, bad, replace(good, version=3), replace(bad, version=4)):
            worker.send(Apply(sent))
        answers: list[Any] = [await worker.message() for _ in range(4)]
        assert [(type(answer), answer.version) for answer in answers] == [
            (Ack, 1), (Nack, 2), (Ack, 3), (Nack, 4),
        ]  # fmt: skip
        stats = await worker.stats()
        assert (stats.version, [endpoint.port for endpoint in stats.endpoints]) == (3, [origin.port])
        assert await tally(port, 5, request(host="1.demo.example")) == {"/": 5}


async def test_a_part_that_is_no_part_is_refused(worker: WorkerProcess, port: int) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        worker.send(Part(b"\x91\x01", b"\x90"))
        answer = await worker.apply(snapshot(port, {}, version=2))
        assert isinstance(answer, Nack)
        assert "Expected" in answer.reason
        assert await tally(port, 5) == {"/": 5}


async def test_a_service_with_thousands_of_endpoints_arrives_whole(worker: WorkerProcess, port: int) -> None:
    many = tuple(Endpoint(f"127.0.{n // 250}.{n % 250 + 1}", 9) for n in range(3000))
    crowd = Service(
        "demo/crowd:80", (ClusterEndpoints("c1", many[:1000]), ClusterEndpoints("c2", many[1000:]))
    )
    few = tuple(service({"c1": [NOWHERE]}, f"demo/few-{n}:80") for n in range(300))
    await worker.apply(replace(snapshot(port, {}), services=(*few, crowd)))
    stats = await worker.stats()
    found = Counter(endpoint.service for endpoint in stats.endpoints)
    assert found == {"demo/crowd:80": 3000, **{s.id: 1 for s in few}}
