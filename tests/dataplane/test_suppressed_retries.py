"""A failed request that was not tried again says why, in the log and in a metric."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from proxy.model.policies import Policies, Retry
from tests.dataplane.test_failover import failing
from tests.dataplane.test_hedged_connects import TO_C1
from tests.support.inprocess import serving
from tests.support.origin import Connection, Origin
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

SERVICE = "demo/service1:80"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Logged(WorkerProcess):
    """A worker whose access log is read."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def log(self) -> bytes:
        return self._path.read_bytes() if self._path.exists() else b""

    async def line(self) -> Any:
        """Return the last line of the log, once there is one."""
        await until(lambda: self.log().endswith(b"\n"))
        return json.loads(self.log().splitlines()[-1])

    async def suppressed(self) -> dict[tuple[str, str], int]:
        counts = (await self.stats()).suppressed
        assert {count.service for count in counts} <= {SERVICE}
        return {(count.cluster, count.cause): count.count for count in counts}


@pytest_asyncio.fixture
async def logged(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path / "access.log") as process:
        yield process


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (request(method="POST", body=b"order=1"), "method"),
        (request(extra="X-Fleetgate-Attempt: 1\r\n"), "gateway"),
        (request(extra=UPGRADE), "upgrade"),
        (request(method="PUT", body=b"x" * 1_000_000), "body"),
    ],
)
async def test_the_kind_of_request_is_the_cause(logged: Logged, port: int, raw: bytes, cause: str) -> None:
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await logged.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        assert await tally(port, 1, raw) == {"502": 1}
        assert await logged.suppressed() == {("c1", cause): 1}
        assert (await logged.line())["suppressed"] == cause


async def test_as_many_tries_as_there_may_be(logged: Logged, port: int) -> None:
    origins = [Origin(lambda _c, _r: failing(503)) for _ in range(4)]
    a, b, c, d = origins
    async with a, b, c, d:
        clusters = {"c1": [a.address, b.address], "c2": [c.address, d.address]}
        await logged.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        assert await tally(port, 1) == {"503": 1}
        assert await logged.suppressed() == {("c2", "tries"): 1}
        line = await logged.line()
        assert (line["flag"], line["suppressed"], len(line["failed"])) == ("CF", "tries", 3)


async def test_the_lack_of_another_endpoint_is_the_cause(logged: Logged, port: int) -> None:
    async with Origin(lambda _c, _r: failing(503)) as alone:
        await logged.apply(snapshot(port, {"c1": [alone.address]}))
        assert await tally(port, 1) == {"503": 1}
        assert await logged.suppressed() == {("c1", "endpoints"): 1}


async def test_a_third_cluster(logged: Logged, port: int) -> None:
    a, b, c = [Origin(lambda _c, _r: failing(503)) for _ in range(3)]
    async with a, b, c:
        clusters = {"c1": [a.address], "c2": [b.address], "c3": [c.address]}
        weights = {"c1": 100, "c2": 0, "c3": 0}
        await logged.apply(snapshot(port, clusters, route(port, weights=weights)))
        assert await tally(port, 1) == {"503": 1}
        assert await logged.suppressed() == {("c2", "clusters"): 1}


async def test_the_budget(logged: Logged, port: int) -> None:
    async with Origin(lambda _c, _r: failing(503)) as one, Origin(lambda _c, _r: failing(503)) as two:
        await logged.apply(snapshot(port, {"c1": [one.address], "c2": [two.address]}))
        assert await tally(port, 400) == {"503": 400}
        causes = await logged.suppressed()
        assert {cause for _, cause in causes} == {"budget", "endpoints"}
        assert sum(causes.values()) == 400
        # It fills up as time goes by: any of the later ones may have got another attempt
        await until(lambda: b'"suppressed":"budget"' in logged.log(), what="a line that says so")


async def test_the_time_for_all_of_them(port: int) -> None:
    def end_late(connection: Connection, _got: object) -> bytes:
        asyncio.get_running_loop().call_later(0.5, connection.close)
        return b""

    async with Origin(end_late) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        rule = replace(route(port, weights=TO_C1), policies=Policies(response_timeout_s=1.0))
        async with serving(snapshot(port, clusters, rule)) as plane:
            for endpoint in plane.upstream.services.endpoints():
                endpoint.limits.times.hedge_s = 0.8  # so long may a connect take
            assert await tally(port, 1) == {"502": 1}
            assert [(c.cluster, c.cause) for c in plane.upstream.suppressed.counts()] == [("c1", "deadline")]


async def test_one_try_is_all_tries(logged: Logged, port: int) -> None:
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        rule = replace(route(port, weights=TO_C1), policies=Policies(retry=Retry(tries=1)))
        await logged.apply(snapshot(port, clusters, rule))
        assert await tally(port, 1) == {"502": 1}
        assert await logged.suppressed() == {("c1", "tries"): 1}


async def test_a_failure_that_is_never_repeated_needs_no_other_cause(logged: Logged, port: int) -> None:
    async with Origin(lambda _c, _r: b"SSH-2.0\r\n\r\n") as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await logged.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        assert await tally(port, 1) == {"502": 1}
        assert await logged.suppressed() == {}
        assert "suppressed" not in await logged.line()


async def test_a_request_that_was_tried_again_was_not_suppressed(logged: Logged, port: int) -> None:
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await logged.apply(snapshot(port, clusters, route(port, weights=TO_C1)))
        assert await tally(port, 1) == {"/": 1}
        assert await logged.suppressed() == {}
        assert "suppressed" not in await logged.line()


async def test_the_memory_for_bodies(port: int) -> None:
    raw = request(method="PUT", body=b"x" * 30_000)
    async with Origin(lambda _c, _r: None) as bad, Origin() as good:
        clusters = {"c1": [bad.address], "c2": [good.address]}
        async with serving(snapshot(port, clusters, route(port, weights=TO_C1))) as plane:
            plane.upstream.replay.most = 20_000
            assert await tally(port, 1, raw) == {"502": 1}
            assert [(c.cluster, c.cause) for c in plane.upstream.suppressed.counts()] == [("c1", "memory")]
