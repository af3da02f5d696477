"""Messages over TLS to endpoints: they arrive as over TCP, and a cut answer is no whole one."""

import asyncio

import h11
import pytest

from tests.dataplane.test_long_bodies import SIZE, body, read_slowly
from tests.dataplane.test_long_bodies import answer as long_answer
from tests.support.origin import Connection, header
from tests.support.requests import request, tally
from tests.support.secured import AUTHORITY, secured, secured_origin
from tests.support.snapshots import snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess


def echo(connection: Connection, _request: h11.Request) -> bytes:
    sent = connection._body
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(sent), sent)


def in_chunks(connection: Connection, _request: h11.Request) -> bytes:
    pieces = [connection._body[at : at + 50_000] for at in range(0, len(connection._body), 50_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks


@pytest.mark.parametrize("answer", [echo, in_chunks])
@pytest.mark.parametrize("size", [0, 1, 16_384, 100_000, 3_000_000])
async def test_bodies_go_both_ways(worker: WorkerProcess, port: int, answer: object, size: int) -> None:
    sent = body(b"up")[:size]
    async with secured_origin(answer) as origin:  # type: ignore[arg-type]
        worker.use_certificates(AUTHORITY.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]})))
        client = await RawClient.connect(port)
        for _ in range(3):
            await client.send(request(method="POST", body=sent))
            status, _, received = await client.final_response()
            assert (status, received == sent) == (200, True)
        await client.close()
        # A slow machine makes the endpoint silent for long enough to be probed, over another connection
        assert sum(connection.received.startswith(b"POST") for connection in origin.connections) == 1


async def test_long_bodies_of_slow_and_fast_clients(worker: WorkerProcess, port: int) -> None:
    async with secured_origin(long_answer) as origin:
        worker.use_certificates(AUTHORITY.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]})))
        names = [f"/slow-{number}" for number in range(3)]
        slow = [asyncio.create_task(read_slowly(port, name)) for name in names]
        client = await RawClient.connect(port)
        for number in range(5):
            await client.send(request(f"/fast-{number}"))
            assert (await client.final_response())[2] == body(f"/fast-{number}".encode())
        await client.close()
        for name, received in zip(names, await asyncio.gather(*slow), strict=True):
            assert len(received) == SIZE
            assert received == body(name.encode())


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_body_until_the_end_is_whole_only_with_close_notify(
    worker: WorkerProcess, port: int, is_told: bool
) -> None:
    """RFC 9112 §9.8: an attacker on the way can end TCP, and not TLS."""

    def answer(connection: Connection, _request: h11.Request) -> bytes | None:
        assert connection.transport is not None
        connection.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole")
        if is_told:
            return None
        loop = asyncio.get_running_loop()
        raw = connection.transport.get_extra_info("socket")
        loop.call_later(0.1, raw.shutdown, 1)  # SHUT_WR: FIN without close_notify
        return b"?"

    async with secured_origin(answer) as origin:
        worker.use_certificates(AUTHORITY.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]})))
        client = await RawClient.connect(port)
        await client.send(request())
        if is_told:
            assert (await client.final_response())[2] == b"whole"
        else:
            received = await client.until_closed()
            assert b"whole" in received
            assert not received.endswith(b"\r\n0\r\n\r\n")  # the client sees that it is cut
        await client.close()


async def test_endpoints_may_close_idle_connections(worker: WorkerProcess, port: int) -> None:
    async with secured_origin() as origin:
        worker.use_certificates(AUTHORITY.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]})))
        for number in range(1, 4):
            assert await tally(port, 1, request(method="POST", body=b"x")) == {"/": 1}
            assert len(origin.connections) == number
            origin.connections[-1].close()
            await asyncio.wait_for(origin.connections[-1].lost.wait(), 5)
        assert (await worker.stats()).attempts == ()


async def test_a_tunnel(worker: WorkerProcess, port: int) -> None:
    def switch(_connection: Connection, asked: h11.Request) -> bytes:
        assert header(asked, b"upgrade") == [b"websocket"]
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello"
        )

    async with secured_origin(switch) as origin:
        worker.use_certificates(AUTHORITY.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]})))
        client = await RawClient.connect(port)
        extra = (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        await client.send(request(extra=extra))
        assert (await client.response())[0] == 101
        assert await client.exactly(5) == b"hello"
        await client.close()
