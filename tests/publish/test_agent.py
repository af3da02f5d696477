"""A worker's end of the control channel, in this process: errors, and long messages beside other work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.agent import Agent
from proxy.configuration import SnapshotChange
from proxy.dataplane import DataPlane
from proxy.downstream.guards.descriptors import DescriptorBudget
from proxy.downstream.listener import Listeners
from proxy.model.channel import (
    Ack,
    Apply,
    EndpointsChanged,
    FromWorker,
    Hello,
    UseSessionKey,
    encode,
    from_worker_framer,
)
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot
from proxy.upstream.growth import MOST_STEPS
from tests.support.waiting import until

SERVICES = 2000


class ControlPlane:
    """A Unix socket that an agent connects to: every connection is in `connections`, messages in `heard`."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.heard: asyncio.Queue[FromWorker] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.put_nowait(writer)
        framer = from_worker_framer()
        while data := await reader.read(65536):
            for message in framer.feed(data):
                self.heard.put_nowait(message)
        writer.close()

    async def next(self, kind: type[FromWorker]) -> FromWorker:
        async with asyncio.timeout(10):
            while not isinstance(message := await self.heard.get(), kind):
                pass
            return message


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[ControlPlane, DataPlane]]:
    control = ControlPlane()
    server = await asyncio.start_unix_server(control.serve, path)
    plane = DataPlane(asyncio.get_running_loop(), None)
    listeners = Listeners(plane, DescriptorBudget(1024), opens_sockets=False)
    agent = Agent(0, "mine", plane, listeners, lambda _: None, None)
    running = asyncio.create_task(agent.run(str(path)))
    try:
        yield control, plane
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plane.upstream.stalls.stop()
        server.close()


async def test_a_worker_that_meets_an_unexpected_error_connects_again_and_serves_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(tmp_path / "socket") as (control, _):
        with monkeypatch.context() as broken:

            async def apply(_plane: DataPlane, _change: SnapshotChange) -> None:
                raise KeyError("a defect")

            broken.setattr(DataPlane, "apply", apply)
            await control.next(Hello)
            (await control.connections.get()).write(encode(Apply(Snapshot(1))))
            await control.next(Hello)
        (await control.connections.get()).write(encode(Apply(Snapshot(2))))
        assert await control.next(Ack) == Ack(2)
        assert "a defect" in caplog.text


def many_services() -> tuple[Service, ...]:
    pods = tuple(Endpoint(f"10.0.0.{pod}", 8080) for pod in range(5))
    return tuple(Service(f"demo/s{number}:80", (ClusterEndpoints("c1", pods),)) for number in range(SERVICES))


def one_service() -> tuple[Service, ...]:
    pods = tuple(Endpoint(f"10.0.{pod // 250}.{pod % 250}", 8080) for pod in range(5 * SERVICES))
    return (Service("demo/s:80", (ClusterEndpoints("c1", pods),)),)


@pytest.mark.parametrize(("services", "at_least"), [(many_services(), 100), (one_service(), MOST_STEPS)])
async def test_a_long_change_of_endpoints_leaves_turns_of_the_loop_to_others(
    services: tuple[Service, ...], at_least: int, tmp_path: Path
) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += any(plane.upstream.services.endpoints())

    async with connected(tmp_path / "socket") as (control, plane):
        await control.next(Hello)
        writer = await control.connections.get()
        counting = asyncio.create_task(count_turns())
        writer.write(encode(EndpointsChanged(1, services)))
        await control.next(Ack)
        counting.cancel()
        assert sum(service.size for service in plane.upstream.services.all()) == 5 * SERVICES
        assert turns >= at_least


async def test_workers_name_endpoints_by_the_key_that_they_are_told(tmp_path: Path) -> None:
    async with (
        connected(tmp_path / "one.sock") as (one, first),
        connected(tmp_path / "two.sock") as (
            two,
            second,
        ),
    ):
        names = [plane.upstream.services.session_key.name("demo/web:80") for plane in (first, second)]
        assert names[0] != names[1]
        for control in (one, two):
            writer = await control.connections.get()
            writer.write(encode(UseSessionKey(b"k" * 32)))
        services = first.upstream.services, second.upstream.services
        await until(lambda: len({each.session_key.name("demo/web:80") for each in services}) == 1)


def test_a_session_key_is_not_shown() -> None:
    assert "k" * 8 not in repr(UseSessionKey(b"k" * 32))
