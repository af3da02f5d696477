"""What is refused at the door is in the access log: one line for many, and every one of them counted."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.downstream.guards import overload
from proxy.model.limits import Limits
from proxy.telemetry.access_log import AccessLog
from tests.dataplane.conftest import Connect
from tests.dataplane.test_connection_limits import limited, works
from tests.dataplane.test_overload import LIMIT_S, statuses
from tests.support.inprocess import serving
from tests.support.origin import Origin
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess


def lines(path: Path) -> list[Any]:
    """Return those about refusals that have been written so far."""
    written = path.read_bytes().splitlines() if path.exists() else []
    return [line for line in map(json.loads, written) if "refused" in line]


async def test_connections_beyond_the_limit(port: int, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker, Origin() as origin:
        await worker.apply(limited(snapshot(port, {"c1": [origin.address]}), max_connections=1))
        assert await works(await connect())
        for _ in range(20):
            late = await connect()
            assert (await late.response())[0] == 503
        await until(lambda: sum(line["refused"] for line in lines(path)) == 20)
    found = lines(path)
    assert len(found) < 20
    assert {(line["status"], line["flag"], line["cause"]) for line in found} == {(503, "OC", "worker")}
    assert {line["listener"] for line in found} == {f"http-{port}"}


async def test_requests_that_have_waited_too_long(
    port: int, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(overload, "MIN_CROWD", 0)
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        rules = msgspec.structs.replace(plain, limits=Limits(max_wait_s=LIMIT_S))
        async with serving(rules) as plane:
            plane.log = log
            plane.wheel.schedule(log, plane.wheel.now)
            assert (await statuses(await connect(), 50))[-1] == 503
            await until(lambda: lines(path))
    log.close()
    (line,) = lines(path)
    assert (line["flag"], line["cause"], line["refused"]) == ("OM", "waited", 1)
