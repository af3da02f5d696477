"""Every response vector: what is not valid never reaches the client as a whole response."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import h11
import pytest
import pytest_asyncio

from loadtest.ports import free_port
from tests.support.origin import Connection, Origin, ok
from tests.support.snapshots import snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

TESTED_ELSEWHERE = {"J52"}  # test_relay.py: an early answer ends the connection and never poisons the pool
VECTORS = [
    vector
    for name in ("vectors.jsonl", "further.jsonl")  # the reference, and what it left out
    for line in (Path(__file__).parent / name).read_text().splitlines()
    if (vector := json.loads(line))["kind"] == "response" and vector["id"] not in TESTED_ELSEWHERE
]
DELIVERIES = ("whole", "bytes")
MAX_BYTEWISE = 4096
ENDS_THERE = {"J25", "J26", "J27", "J28", "J40", "J54"}  # the endpoint closes after these bytes
TO_UPGRADE = {"J22"}
TO_HEAD = {"J11"}


class Scripted:
    """Answers /vector with the bytes of a vector, everything else with 200."""

    def __init__(self) -> None:
        self.raw = b""
        self.bytewise = False
        self.ends = False
        self.tasks: set[asyncio.Task[None]] = set()

    def __call__(self, connection: Connection, request: h11.Request) -> bytes | None:
        if request.target != b"/vector":
            return ok(connection, request)
        task = asyncio.create_task(self._send(connection, self.raw, self.bytewise, self.ends))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return b""

    async def _send(self, connection: Connection, raw: bytes, bytewise: bool, ends: bool) -> None:
        assert connection.transport is not None
        step = 1 if bytewise else max(len(raw), 1)
        for at in range(0, len(raw), step):
            connection.transport.write(raw[at : at + step])
            await asyncio.sleep(0)
        if ends:
            connection.close()


class Lane:
    def __init__(self, port: int, origin: Origin, script: Scripted) -> None:
        self.port = port
        self.origin = origin
        self.script = script


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lane() -> AsyncIterator[Lane]:
    script = Scripted()
    async with Origin(script) as origin, WorkerProcess() as worker:
        port = free_port()
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        yield Lane(port, origin, script)


def cases() -> list[Any]:
    return [
        pytest.param(vector, delivery, id=f"{vector['id']}-{delivery}")
        for vector in VECTORS
        for delivery in DELIVERIES
        if delivery == "whole" or len(vector["raw_latin1"]) <= MAX_BYTEWISE
    ]


def request_for(vector_id: str) -> bytes:
    if vector_id in TO_HEAD:
        return b"HEAD /vector HTTP/1.1\r\nHost: a\r\n\r\n"
    if vector_id in TO_UPGRADE:
        return (
            b"GET /vector HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    return b"GET /vector HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(("vector", "delivery"), cases())
async def test_response_vector(lane: Lane, vector: dict[str, Any], delivery: str) -> None:
    lane.script.raw = vector["raw_latin1"].encode("latin-1")
    lane.script.bytewise = delivery == "bytes"
    lane.script.ends = vector["id"] in ENDS_THERE
    lane.origin.forget()
    client = await RawClient.connect(lane.port)
    try:
        await client.send(request_for(vector["id"]))
        await VERDICTS[vector["verdict"]](lane, client, vector)
    finally:
        await client.close()


def vector_connection(lane: Lane) -> Connection:
    return next(c for c in reversed(lane.origin.connections) if b" /vector " in c.received)


async def canary_goes_over(lane: Lane, client: RawClient, *, same: bool) -> None:
    """The next request is answered properly, over the same connection to the endpoint or not."""
    before = vector_connection(lane)
    await client.send(b"GET /canary HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.final_response())[2] == b"/canary"
    after = next(c for c in reversed(lane.origin.connections) if c.received.find(b" /canary ") >= 0)
    carried = b" /canary " in before.received.split(b" /vector ")[-1]
    assert carried == same, after


async def bad_gateway(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    status, _, _ = await client.final_response()
    assert status == 502
    await canary_goes_over(lane, client, same=False)


async def relayed(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    raw = vector["raw_latin1"]
    if vector["id"] in TO_HEAD:
        status, fields, _ = await client.response(head=True)
        assert fields["content-length"] == "10"
    else:
        status, fields, _ = await client.final_response()
    assert status == 200
    assert "keep-alive" not in fields
    assert raw.count("HTTP/1.1 200") == 1
    await canary_goes_over(lane, client, same=True)


async def relayed_then_discarded(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    status, _, _ = await client.final_response()
    assert status == 200
    await canary_goes_over(lane, client, same=False)


async def bodiless(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    status, fields, _ = await client.final_response()
    assert status in (204, 304)
    assert "transfer-encoding" not in fields
    assert status == 304 or "content-length" not in fields
    await canary_goes_over(lane, client, same=False)


async def cut(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    answer = await client.until_closed()
    _, _, body = answer.partition(b"\r\n\r\n")
    assert not body.endswith(b"0\r\n\r\n")
    if b"Content-Length: 10" in answer:
        assert len(body) < 10


async def unasked(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    """Here the vector itself is the first, proper answer; it then comes once more, on the idle connection."""
    assert (await client.final_response())[2] == b"evil"
    connection = vector_connection(lane)
    assert connection.transport is not None
    connection.lost.clear()
    connection.transport.write(vector["raw_latin1"].encode())
    async with asyncio.timeout(5):
        await connection.lost.wait()
    await canary_goes_over(lane, client, same=False)


async def relayed_or_refused(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    status, _, _ = await client.final_response()
    assert status in (200, 502)


async def incomplete(lane: Lane, client: RawClient, vector: dict[str, Any]) -> None:
    assert await client.silent_for(0.05)
    connection = vector_connection(lane)
    assert connection.transport is not None
    connection.transport.write(b"P/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (await client.final_response())[2] == b"ok"


VERDICTS = {
    "502": bad_gateway,
    "FWD": relayed,
    "FWD-strip": relayed,
    "FWD-nobody": relayed,
    "FWD+DISCARD": relayed_then_discarded,
    "TE-only+DISCARD": relayed_then_discarded,
    "DISCARD": unasked,
    "FWD-nobody+DISCARD": bodiless,
    "ABORT": cut,
    "FWD-sp|502": relayed_or_refused,
    "FWD|502": relayed_or_refused,
    "RETRY|502": relayed_or_refused,
    "WAIT": incomplete,
}
