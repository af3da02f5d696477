"""X-Forwarded-* count only from trusted proxies; then endpoints and the log hear of the client."""

import json
from pathlib import Path

import h11
import msgspec
import pytest

from proxy.model.channel import Nack
from proxy.model.limits import Limits
from tests.dataplane.conftest import Connect
from tests.support.origin import Origin, header
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

SAID = "X-Forwarded-For: 1.1.1.1, 198.51.100.9\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 1.1.1.1\r\n"


def told(request: h11.Request) -> dict[str, list[bytes]]:
    names = ("x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded")
    return {name: values for name in names if (values := header(request, name.encode()))}


async def ask(client: RawClient, extra: str) -> None:
    await client.send(request(extra=extra))
    assert (await client.response())[0] == 200


async def test_only_trusted_proxies_are_believed(tmp_path: Path, port: int, connect: Connect) -> None:
    log = tmp_path / "access.log"
    async with WorkerProcess(str(log)) as worker, Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        await worker.apply(msgspec.structs.replace(plain, trusted_proxies=("127.0.0.2", "10.0.0.0/8")))
        proxy, stranger = await connect(source="127.0.0.2"), await connect(source="127.0.0.3")
        for client, extra in ((proxy, SAID), (proxy, ""), (stranger, SAID), (proxy, SAID)):
            await ask(client, extra)
        behind = {"x-forwarded-for": [b"198.51.100.9, 127.0.0.2"], "x-forwarded-proto": [b"https"]}
        assert [told(request) for request, _ in origin.requests] == [
            behind,
            {"x-forwarded-for": [b"127.0.0.2"], "x-forwarded-proto": [b"http"]},
            {"x-forwarded-for": [b"127.0.0.3"], "x-forwarded-proto": [b"http"]},
            behind,
        ]
        await until(lambda: log.read_text().count("\n") == 4)
        clients = [json.loads(line)["client"] for line in log.read_text().splitlines()]
        assert clients == ["198.51.100.9", "127.0.0.2", "127.0.0.3", "198.51.100.9"]


async def test_proxies_are_not_counted_by_address(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        limits = Limits(max_connections_per_address=1)
        await worker.apply(msgspec.structs.replace(plain, limits=limits, trusted_proxies=("127.0.0.2",)))
        for _ in range(3):
            await ask(await connect(source="127.0.0.2"), "")
        await ask(await connect(source="127.0.0.3"), "")
        assert (await (await connect(source="127.0.0.3")).response())[0] == 503


@pytest.mark.parametrize("network", ["10.0.0.0/33", "proxies"])
async def test_what_is_no_network_is_not_applied(worker: WorkerProcess, port: int, network: str) -> None:
    plain = snapshot(port, {})
    answer = await worker.apply(msgspec.structs.replace(plain, trusted_proxies=(network,)))
    assert isinstance(answer, Nack)
    assert network in answer.reason
