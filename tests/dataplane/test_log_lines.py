"""Whatever names the members of a line have, it is JSON."""

import asyncio
import json
from pathlib import Path

from loadtest.ports import free_port
from proxy.model.actions import Backend, Forward
from proxy.model.snapshot import Listener, PathKind, PathMatch, Route, Snapshot, Source
from tests.dataplane.test_failover import failing
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot, source, split
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

ODD = 'a"b\\c\né'


async def test_names_with_quotes_and_control_characters(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker, Origin() as origin:
        rule = Route(
            ODD, Source("Ingress", ODD, ODD), (port,), "", PathMatch(PathKind.PREFIX, "/"),
            Forward((Backend(ODD),), split({ODD: 100, "c2": 0})),
        )  # fmt: skip
        services = (service({ODD: [("127.0.0.1", free_port())], "c2": [origin.address]}, ODD),)
        await worker.apply(Snapshot(1, (Listener(port, source(), address="127.0.0.1"),), (rule,), services))
        await tally(port, 1, request(extra='User-Agent: \x7e"\\\t"\r\n'))
        async with asyncio.timeout(5):
            while not path.exists() or not path.read_bytes():
                await asyncio.sleep(0.02)
    (line,) = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert (line["route"], line["ingress"], line["service"]) == (ODD, f"{ODD}/{ODD}", ODD)
    assert (line["failed"][0]["cluster"], line["failed"][0]["reason"]) == (ODD, "refused")
    assert line["ua"] == '~"\\\t"'


async def test_attempts_are_those_that_were_begun(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with (
        WorkerProcess(str(path)) as worker,
        Origin(lambda _c, _r: failing(503)) as bad,
        Origin() as good,
    ):
        clusters = {"c1": [bad.address], "c2": [good.address]}
        to_bad = route(port, weights={"c1": 100, "c2": 0})
        await worker.apply(snapshot(port, clusters, to_bad))
        await tally(port, 1)  # again in c2
        await tally(port, 1, request(method="POST"))  # relayed
        await worker.apply(snapshot(port, {"c1": [("127.0.0.1", free_port())]}, to_bad, version=2))
        await tally(port, 1)  # refused, and nowhere else to go
        await until(lambda: path.exists() and len(path.read_bytes().splitlines()) == 3)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(line["status"], line["attempts"], len(line["failed"])) for line in lines] == [
        (200, 2, 1), (503, 1, 1), (502, 1, 1),
    ]  # fmt: skip
