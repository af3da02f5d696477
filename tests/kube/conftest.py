"""A fake API server and what is needed to talk to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from controlplane.kube.client import ApiClient, open_client
from tests.support.clock import FakeClock
from tests.support.fakeapi import FakeApi
from tests.support.reflecting import Watched


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def client(api: FakeApi, clock: FakeClock) -> AsyncIterator[ApiClient]:
    api.now = lambda: clock.now_s
    opened = await open_client(api.kubeconfig(), clock=clock.clock)
    yield opened
    await opened.close()


@pytest.fixture
def watched(client: ApiClient, clock: FakeClock) -> Watched:
    return Watched(client, clock)


@pytest.fixture
async def spawn() -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]]:
    """Start tasks that end with the test; one that failed fails it."""
    tasks: list[asyncio.Task[None]] = []

    def start(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        tasks.append(asyncio.create_task(work))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is None or isinstance(result, asyncio.CancelledError), result
