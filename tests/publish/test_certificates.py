"""Certificates and bundles on disk: kept while a listener names them, and forgotten then."""

from pathlib import Path

import msgspec
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.snapshot import Snapshot
from proxy.model.tls import Certificate, HostTls, ListenerTls
from tests.support.dataplane import applied, running, snapshot
from tests.support.waiting import until

PAIR, BUNDLE = Certificate("1", b"chain", b"key"), Certificate("2", b"authorities", b"")


def kept(directory: Path) -> set[str]:
    path = directory / "certificates.msgpack"
    found = path.read_bytes() if path.exists() else msgspec.msgpack.encode(())
    return {each.id for each in msgspec.msgpack.decode(found, type=tuple[Certificate, ...])}


def secured(made: Snapshot, *hosts: HostTls) -> Snapshot:
    (listener,) = made.listeners
    return replace(made, listeners=(replace(listener, tls=ListenerTls(hosts=hosts)),))


async def test_what_no_listener_names_any_more_is_forgotten(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publisher.use_certificates({each.id: each for each in (PAIR, BUNDLE)})
        plane.publish(secured(snapshot(1, port), HostTls("", PAIR.id, client_ca=BUNDLE.id)))
        await applied(plane, 1)
        await until(lambda: kept(tmp_path) == {PAIR.id, BUNDLE.id})
        plane.publish(secured(snapshot(2, port), HostTls("", PAIR.id)))
        await applied(plane, 2)
        await until(lambda: kept(tmp_path) == {PAIR.id})
