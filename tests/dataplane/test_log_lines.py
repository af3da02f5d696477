"""Whatever names the members of a line have, it is JSON."""

import asyncio
import json
from pathlib import Path

from loadtest.ports import free_port
from proxy.model.actions import Backend, Forward
from proxy.model.snapshot import Listener, PathKind, PathMatch, Route, Snapshot, Source
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.snapshots import service, source, split
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
