"""One worker process per test, with the test as its control plane."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from loadtest.ports import free_port
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

Connect = Callable[..., Awaitable[RawClient]]


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    async with WorkerProcess() as process:
        yield process


@pytest_asyncio.fixture
async def port() -> int:
    return free_port()


@pytest_asyncio.fixture
async def connect(port: int) -> AsyncIterator[Connect]:
    """Opens client connections and closes them when the test is over."""
    clients: list[RawClient] = []

    async def one(host: str = "127.0.0.1", *, source: str = "") -> RawClient:
        clients.append(await RawClient.connect(port, host=host, source=source))
        return clients[-1]

    yield one
    for client in clients:
        await client.close()
