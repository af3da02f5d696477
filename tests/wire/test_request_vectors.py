"""Every request vector, in every delivery: what is refused reaches no endpoint, the rest does once."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.origin import Origin
from tests.support.snapshots import route, service
from tests.support.twoports import serve_two_ports
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

VECTORS = [
    vector
    for name in ("vectors.jsonl", "further.jsonl")  # the reference, and what it left out
    for line in (Path(__file__).parent / name).read_text().splitlines()
    if (vector := json.loads(line))["kind"] == "request"
]
DELIVERIES = ("whole", "bytes", "lines", "tls")  # the last: whole, to an HTTPS listener
HALF_CLOSED = "WAIT"  # asyncio's TLS cannot close its side alone
NOT_HTTPS = ("F35", "E-own-29")  # targets that are https URLs: an HTTPS listener accepts them
MAX_BYTEWISE = 8192  # byte by byte through the loopback, longer ones only take time
CANARY = b"GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"


class Lane:
    """A listener with an endpoint of its own, so that vectors can run side by side."""

    def __init__(self, port: int, tls_port: int, context: ssl.SSLContext, origin: Origin) -> None:
        self.port = port
        self.tls_port = tls_port
        self.context = context  # of clients of that port
        self.origin = origin

    async def connect(self, delivery: str) -> RawClient:
        if delivery == "tls":
            return await RawClient.connect(self.tls_port, tls=self.context, server_name="a")
        return await RawClient.connect(self.port)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lane() -> AsyncIterator[Lane]:
    async with Origin() as origin, WorkerProcess() as worker:
        ports = await serve_two_ports(worker, (route(0),), (service({"c1": [origin.address]}),))
        yield Lane(ports.plain, ports.tls, ports.trusting(), origin)


def pieces(raw: bytes, delivery: str) -> list[bytes]:
    if delivery == "bytes":
        return [raw[i : i + 1] for i in range(len(raw))]
    if delivery == "lines":
        return [line + b"\r\n" for line in raw.split(b"\r\n")[:-1]] + [raw.split(b"\r\n")[-1]]
    return [raw]


def cases() -> list[Any]:
    return [
        pytest.param(vector, delivery, id=f"{vector['id']}-{delivery}")
        for vector in VECTORS
        for delivery in DELIVERIES
        if delivery != "bytes" or len(vector["raw_latin1"]) <= MAX_BYTEWISE
        if delivery != "tls" or not (vector["verdict"] == HALF_CLOSED or vector["id"] in NOT_HTTPS)
    ]


@pytest.mark.parametrize(("vector", "delivery"), cases())
async def test_request_vector(lane: Lane, vector: dict[str, Any], delivery: str) -> None:
    raw = vector["raw_latin1"].encode("latin-1")
    verdict = vector["verdict"]
    lane.origin.forget()
    client = await lane.connect(delivery)
    try:
        await client.send(*pieces(raw, delivery))
        await VERDICTS.get(verdict.rstrip("0123456789"), refused)(lane, client, vector, raw)
    finally:
        await client.close()
    assert not any(connection.broken for connection in lane.origin.connections)


async def refused(lane: Lane, client: RawClient, vector: dict[str, Any], raw: bytes) -> None:
    allowed = {int(status) for status in vector["verdict"].split("|")}
    status, fields, _ = await client.response()
    assert status in allowed
    assert fields["connection"] == "close"
    assert await client.until_closed() == b""
    assert lane.origin.requests == []  # never a complete request
    if vector["group"] not in "CD":  # a fault in the head: not one byte
        assert lane.origin.received == b""


async def forwarded(lane: Lane, client: RawClient, vector: dict[str, Any], raw: bytes) -> None:
    if vector["id"] == "H29":  # the upgrade is not taken up, so what follows is the next request
        await pipelined(lane, client, {**vector, "verdict": "PIPE2"}, raw)
        return
    status, _, _ = await client.final_response()
    assert status == 200
    assert len(lane.origin.requests) == 1
    await client.send(CANARY)
    assert (await client.response())[2] == b"/canary"


async def forwarded_then_closed(lane: Lane, client: RawClient, vector: dict[str, Any], raw: bytes) -> None:
    status, fields, _ = await client.response()
    assert (status, fields["connection"]) == (200, "close")
    assert await client.until_closed() == b""
    assert len(lane.origin.requests) == 1


async def pipelined(lane: Lane, client: RawClient, vector: dict[str, Any], raw: bytes) -> None:
    verdict = vector["verdict"].removeprefix("PIPE")
    count = int(verdict.split("+")[0])
    for _ in range(count):
        assert (await client.response())[0] == 200
    if "+400" in verdict:
        assert (await client.response())[0] == 400
        assert await client.until_closed() == b""
    assert len(lane.origin.requests) == count


async def waited_for(lane: Lane, client: RawClient, vector: dict[str, Any], raw: bytes) -> None:
    if b"100-continue" in raw:
        assert (await client.response())[0] == 100
    assert await client.silent_for(0.05)
    client.finish()
    answer = await client.until_closed()
    assert not answer or answer.split(b" ")[1] in (b"400", b"408")
    assert lane.origin.requests == []


async def answered_locally(lane: Lane, client: RawClient, vector: dict[str, Any], raw: bytes) -> None:
    assert (await client.response())[0] == 200
    assert lane.origin.received == b""


VERDICTS = {
    "FWD": forwarded,
    "FWD-drop": forwarded,
    "FWD+CLOSE": forwarded_then_closed,
    "PIPE": pipelined,
    "PIPE1+": pipelined,
    "WAIT": waited_for,
    "local": answered_locally,
}
