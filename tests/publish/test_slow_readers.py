"""What a worker that does not read for a while is sent when it reads again."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controlplane.publish.dispatch import Dispatcher
from controlplane.publish.session import Session
from proxy.model.channel import (
    Apply,
    EndpointsChanged,
    FromWorker,
    Hello,
    Part,
    ToWorker,
    decode_services,
    to_worker_framer,
)
from proxy.model.snapshot import SCHEMA, ClusterEndpoints, Endpoint, Service, Snapshot

ENDPOINTS = 5000
CHANGES = 100


class Deaf:
    """Owner of a session whose worker says nothing."""

    def received(self, session: Session, message: FromWorker) -> None:
        raise AssertionError(message)

    def closed(self, session: Session) -> None: ...


@asynccontextmanager
async def session() -> AsyncIterator[tuple[Session, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    made = Session(Deaf())
    made.hello = Hello(0, 1, SCHEMA, "now")
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: made, sock=ours)
    try:
        yield made, theirs
    finally:
        transport.abort()
        theirs.close()


def with_endpoints(version: int, name: str = "shop/web:80") -> Service:
    endpoints = tuple(Endpoint(f"10.{version}.{n // 250}.{n % 250}", 8080) for n in range(ENDPOINTS))
    return Service(name, (ClusterEndpoints("cluster-1", endpoints),))


def snapshot(version: int) -> Snapshot:
    return Snapshot(version, services=(with_endpoints(version), with_endpoints(version, "shop/other:80")))


async def read_until(theirs: socket.socket, version: int) -> tuple[dict[str, Service], list[ToWorker]]:
    """Return the services that a worker has when it has read this version, and what it was sent."""
    services: dict[str, Service] = {}
    messages: list[ToWorker] = []
    framer = to_worker_framer()
    async with asyncio.timeout(10):
        while True:
            for message in framer.feed(await asyncio.get_running_loop().sock_recv(theirs, 1 << 16)):
                messages.append(message)
                match message:
                    case Part():
                        services.update((service.id, service) for service in decode_services(message))
                    case EndpointsChanged(reached, changed):
                        services.update((service.id, service) for service in changed)
                        if reached == version:
                            return services, messages


def buffered(reader: Session) -> int:
    assert reader._transport is not None
    return reader._transport.get_write_buffer_size()


async def test_a_worker_that_does_not_read_gets_only_the_newest_endpoints_in_the_end() -> None:
    async with session() as (slow, theirs):
        dispatcher = Dispatcher(lambda: None)
        dispatcher.resume(snapshot(1))
        dispatcher.joined(0, slow)
        first = buffered(slow)
        for version in range(2, 2 + CHANGES):
            dispatcher.publish(snapshot(version))
        assert buffered(slow) == first
        services, messages = await read_until(theirs, 1 + CHANGES)
        assert services == {service.id: service for service in snapshot(1 + CHANGES).services}
        assert sum(isinstance(message, EndpointsChanged) for message in messages) == 1


async def test_a_worker_that_does_not_read_gets_the_newest_rules_and_then_newer_endpoints() -> None:
    async with session() as (slow, theirs):
        dispatcher = Dispatcher(lambda: None)
        dispatcher.resume(snapshot(1))
        dispatcher.joined(0, slow)
        for version in range(2, 50):
            dispatcher.publish(snapshot(version))
            dispatcher.repeat()
        dispatcher.publish(snapshot(50))
        services, messages = await read_until(theirs, 50)
        assert services == {service.id: service for service in snapshot(50).services}
        assert [message.snapshot.version for message in messages if isinstance(message, Apply)] == [1, 49]


async def test_a_trial_goes_to_a_worker_that_reads() -> None:
    async with session() as (slow, _), session() as (quick, theirs):
        dispatcher = Dispatcher(lambda: None)
        dispatcher.resume(Snapshot(1))
        dispatcher.joined(0, slow)
        dispatcher.joined(1, quick)
        slow.is_behind = True
        dispatcher.publish(Snapshot(2, trusted_proxies=("10.0.0.0/8",)))
        framer = to_worker_framer()
        seen: list[ToWorker] = []
        async with asyncio.timeout(10):
            while not any(isinstance(each, Apply) and each.snapshot.version == 2 for each in seen):
                seen += framer.feed(await asyncio.get_running_loop().sock_recv(theirs, 1 << 16))
        assert dispatcher._canaries == {quick}
        dispatcher.close()
