"""No question to the admin API holds the control plane's loop up, however many routes there are."""

import subprocess
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

from controlplane.admin.server import AdminServer
from controlplane.admin.state import State
from controlplane.observe.failovers import FailoverWatch
from controlplane.proposal.job import Basis
from controlplane.publish import Certificates, Held, Publisher, SnapshotStore
from controlplane.publish.session import Session
from proxy.model.channel import Ack, Hello
from proxy.model.codec import decode_snapshot, encode_snapshot
from proxy.model.snapshot import SCHEMA, Snapshot
from proxy.model.statistics import DurationHistogram, RequestCount, Stats
from tests.admin.test_api import Fixed
from tests.support.admintoken import BEARER, token_file
from tests.support.dataplane import snapshot
from tests.support.states import LISTENER, SERVICE, serving
from tests.support.translation import fleet_of, gateway
from tests.support.turns import turns

ROUTES = 8_000
LONGEST_S = 0.05


def many_routes() -> Snapshot:
    base = snapshot(1, 8001)
    (route,) = base.routes
    hosts = [f"h{number}.example.com" for number in range(ROUTES)]
    routes = (msgspec.structs.replace(route, id=f"shop/web/{host}/", host=host) for host in hosts)
    return msgspec.structs.replace(base, routes=tuple(routes))


def report(served: Snapshot) -> Stats:
    ids = [route.id for route in served.routes]
    return Stats(
        version=1,
        requests=tuple(RequestCount(LISTENER, each, SERVICE, "cluster-1", "2xx", "-", 1) for each in ids),
        durations=tuple(DurationHistogram(each, "cluster-1", (1,) + (0,) * 14, 0.5, 10, 20) for each in ids),
        attempts=(),
        endpoints=(),
        connections=(),
        loop_lag_s=0.0,
        log_lines_dropped=0,
    )


class Busy(Fixed):
    """A gateway whose two workers have served each of its routes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(serving())
        store, held = SnapshotStore(directory / "snapshot.json"), Held(directory / "held.json")
        self._publisher = Publisher(
            directory / "socket", "mine", 2, store, held, Certificates(directory / "certificates")
        )
        self._publisher.publish(many_routes())
        for worker in range(2):
            session = Session(self._publisher)
            for message in (Hello(worker, worker, SCHEMA, "mine"), Ack(1), report(many_routes())):
                self._publisher.received(session, message)
        self._failovers = FailoverWatch(self._publisher)

    def state(self) -> State:
        return serving(
            workers=self._publisher.workers(),
            snapshot=self._publisher.snapshot,
            tally=cache(self._publisher.tally()),
            failovers=self._failovers.latest(),
        )

    def basis(self) -> Basis | None:
        running = self._publisher.snapshot
        assert running is not None
        return Basis(running, fleet_of(gateway(8001)))

    async def refresh(self) -> None:
        self._failovers.look()

    async def close(self) -> None:
        self._publisher._dispatcher.close()
        await self._publisher.held.close()
        await self._publisher._store.close()


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    source = Busy(tmp_path)
    server = AdminServer("127.0.0.1", 0, ())
    await server.start(source, token_file())
    yield server.address
    await server.stop()
    await source.close()


@pytest.mark.parametrize(
    "path",
    [
        "/livez", "/readyz?verbose", "/metrics", "/api/v1/overview", "/api/v1/routes",
        "/api/v1/routes?host=h1.example.com", "/api/v1/clusters", "/api/v1/endpoints", "/api/v1/failovers",
        "/api/v1/diagnostics", "/api/v1/snapshot", "POST /api/v1/explain", "POST /api/v1/diff",
    ],
)  # fmt: skip
async def test_a_question_leaves_the_loop_to_others(address: str, path: str) -> None:
    asked = {
        "POST /api/v1/explain": '{"url": "http://h5.example.com:8001/"}',
        "POST /api/v1/diff": '{"objects": []}',
    }.get(path)
    bearer = f"Authorization: {BEARER['Authorization']}"
    body = ("-H", bearer, "-H", "Content-Type: application/json", "-d", asked) if asked is not None else ()
    url = f"http://{address}{path.removeprefix('POST ')}"
    async with turns() as watched:
        curl = await create_subprocess_exec(
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            *body,
            url,
            stdout=PIPE,
            stderr=subprocess.DEVNULL,
        )
        status, _ = await curl.communicate()
    assert status == b"200"
    assert watched.longest_s < LONGEST_S


def test_a_snapshot_in_slices_is_the_same_document() -> None:
    many = many_routes()
    assert encode_snapshot(many) == msgspec.json.encode(many) + b"\n"
    assert decode_snapshot(encode_snapshot(many)) == many
