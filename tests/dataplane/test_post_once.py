"""A POST that an endpoint has read is never sent again, however fast the endpoint dies of it."""

import asyncio
import signal

from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.snapshots import route, snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess


async def test_a_reset_before_the_kernel_acknowledged_is_no_proof(worker: WorkerProcess, port: int) -> None:
    """On a connection in use the kernel acknowledges late: what was read already looks undelivered."""
    posts = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal posts
        while data := await reader.read(65536):
            if data.startswith(b"POST"):
                posts += 1
                RawClient(reader, writer).reset()
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with Origin() as other:
        clusters = {"c1": [server.sockets[0].getsockname()], "c2": [other.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        client = await RawClient.connect(port)
        for _ in range(3):
            await client.send(request())
            assert (await client.response())[2] == b"ok"
        await client.send(request(method="POST", body=b"order=1"))
        assert (await client.response())[0] == 502
        assert (posts, other.requests) == (1, [])
        await client.close()
    server.close()


async def test_a_connection_that_was_reset_before_the_post_was_sent_carried_nothing(
    worker: WorkerProcess, port: int
) -> None:
    """The worker finds the reset when it writes, as a rule: TCP counts no byte as sent."""
    async with Origin() as one, Origin() as other:
        clusters = {"c1": [one.address], "c2": [other.address]}
        await worker.apply(snapshot(port, clusters, route(port, weights={"c1": 100, "c2": 0})))
        client = await RawClient.connect(port)
        await client.send(request())
        await client.response()
        assert worker.process is not None
        worker.process.send_signal(signal.SIGSTOP)
        try:
            await client.send(request(method="POST", body=b"order=1"))
            await asyncio.sleep(0.05)  # it reaches the worker's kernel before the reset does
            one.stop()
            await asyncio.sleep(0.05)
        finally:
            worker.process.send_signal(signal.SIGCONT)
        assert (await client.response())[0] == 200
        assert [body for _, body in other.requests] == [b"order=1"]
        await client.close()
