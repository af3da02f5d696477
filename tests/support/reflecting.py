"""A reflector under test, and the answers a fake API server is told to give it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from controlplane.kube.client import ApiClient
from controlplane.kube.reflector import Reflector, Timing
from controlplane.resources.endpointslice import EndpointSlice
from controlplane.resources.kinds import ENDPOINT_SLICES
from tests.support.clock import FakeClock
from tests.support.fakeapi import Exchange, FakeApi
from tests.support.waiting import until

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
LIST, WATCH = "list endpointslices", "watch endpointslices"


class Watched:
    """A reflector on EndpointSlices and how often it reported a change."""

    def __init__(self, client: ApiClient, clock: FakeClock, **timing: Any) -> None:
        self.changes = 0
        self.reflector: Reflector[EndpointSlice] = Reflector(
            client, ENDPOINT_SLICES, self._changed, timing=Timing(**timing), clock=clock.clock
        )

    def _changed(self) -> None:
        self.changes += 1

    @property
    def keys(self) -> set[str]:
        return set(self.reflector.objects)

    async def streaming(self) -> None:
        await until(lambda: self.reflector.health.streaming)


async def hang(exchange: Exchange) -> None:
    await exchange.begin()
    await asyncio.sleep(3600)


def failing(status: int, reason: str = "", message: str = "", **headers: str) -> Callable[[Exchange], Any]:
    async def step(exchange: Exchange) -> None:
        await exchange.fail(status, reason, message, **headers)

    return step


def saying(*chunks: bytes, cut: bool = False) -> Callable[[Exchange], Any]:
    """A watch that sends these chunks and ends, cleanly or not."""

    async def step(exchange: Exchange) -> None:
        await exchange.begin()
        for chunk in chunks:
            await exchange.raw(chunk)
        if cut:
            exchange.cut()
        else:
            await exchange.end()

    return step


def line(kind: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def listed(api: FakeApi) -> Callable[[Exchange], Any]:
    async def step(exchange: Exchange) -> None:
        await exchange.answer(*api.store.list("endpointslices", exchange.query))

    return step
