"""One worker process per test, with the test as its control plane."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.wire import free_port
from tests.support.worker import WorkerProcess


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    async with WorkerProcess() as process:
        yield process


@pytest_asyncio.fixture
async def port() -> int:
    return free_port()
