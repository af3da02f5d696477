"""Nothing a worker lets go of waits for the garbage collector: swaps put what is alive out of its sight."""

import asyncio
import gc
import socket
import ssl
import threading
from collections import Counter
from contextlib import ExitStack, suppress

import pytest
import uvloop
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.configuration import SnapshotChange
from proxy.dataplane import DataPlane
from proxy.downstream.h1.connection import ClientConnection
from proxy.downstream.h1.inbox import Inbox
from proxy.downstream.h1.stream import Http1Stream
from proxy.downstream.h2.connection import Http2Connection
from proxy.downstream.h2.stream import Http2Stream, Sending
from proxy.downstream.tls.transport import TlsTransport
from proxy.model.channel import parts_of
from proxy.model.snapshot import Snapshot
from proxy.model.tls import Certificate, HostTls, ListenerTls
from proxy.request.exchange import Exchange
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.connections.h1.tls_connection import TlsConnection
from proxy.upstream.connections.h1.tls_transport import EndpointTransport
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import LiveService
from tests.support.certificates import Authority
from tests.support.certificates import serving as speaking
from tests.support.http2client import PREFACE, Kind, data, headers, reset, settings
from tests.support.inprocess import serving
from tests.support.requests import request
from tests.support.secured import AUTHORITY, NAME, secured
from tests.support.snapshots import Address, route, service, snapshot
from tests.support.waiting import until
from tests.support.wire import DEADLINE_S

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSING = ("127.0.0.1", 1)
HOST = "garbage.example"
KINDS = (
    ClientConnection, Http1Stream, Inbox, Http2Connection, Http2Stream, Sending, TlsTransport, Exchange,
    LiveEndpoint, LiveService, RoutePlan, UpstreamConnection,
)  # fmt: skip


class ThreadedOrigin:
    """An endpoint outside the event loop, whose own garbage is none of the worker's."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = self._listening.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            secured = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with secured:
                while secured.recv(65536):
                    secured.sendall(ANSWER)


def ask(
    port: int, raw: bytes, connections: int, requests: int, tls: ssl.SSLContext | None = None
) -> Counter[bytes]:
    statuses: Counter[bytes] = Counter()
    for _ in range(connections):
        with ExitStack() as stack:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
            if tls is not None:
                client = stack.enter_context(tls.wrap_socket(client, server_hostname=HOST))
            for _ in range(requests):
                client.sendall(raw)
                statuses[client.recv(65536)[9:12]] += 1
    return statuses


def ask_http2(port: int, connections: int, tls: ssl.SSLContext | None = None) -> int:
    """Return how many responses came to three requests on each connection, beside a fault and a reset."""
    responses = 0
    fields = ((":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/"))
    raw = PREFACE + settings() + b"".join(headers(stream, fields) for stream in (1, 3))
    raw += headers(5, fields, ends=False) + reset(5) + headers(7, fields[:1])
    raw += headers(9, ((":method", "POST"), *fields[1:]), ends=False) + data(9, b"abc")
    for _ in range(connections):
        with ExitStack() as stack:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
            if tls is not None:
                client = stack.enter_context(tls.wrap_socket(client, server_hostname=HOST))
            client.sendall(raw)
            received = b""
            while len(ended(received)) < 3:
                piece = client.recv(65536)
                assert piece, received
                received += piece
            responses += 3
    return responses


def ended(received: bytes) -> list[int]:
    """Return the streams whose response is complete."""
    streams = []
    while len(received) >= 9:
        size, kind, flags = int.from_bytes(received[:3]), received[3], received[4]
        if kind == Kind.DATA and flags & 1:
            streams.append(int.from_bytes(received[5:9]))
        received = received[9 + size :]
    return streams


def over_tls(plain: Snapshot) -> tuple[Snapshot, ssl.SSLContext, Certificate]:
    """Return the snapshot with an HTTPS listener beside, and the certificate with a client's context."""
    authority = Authority()
    certificate = authority.issue(HOST)
    (listener,), (only,) = plain.listeners, plain.routes
    secured = replace(
        listener, port=free_port(), tls=ListenerTls(http2=True, hosts=(HostTls(HOST, certificate.id),))
    )
    both = replace(only, ports=(listener.port, secured.port))
    found = replace(plain, listeners=(listener, secured), routes=(both,))
    return found, authority.trusting(), certificate


async def swap(plane: DataPlane, snapshot: Snapshot) -> None:
    await plane.apply(SnapshotChange(snapshot, parts_of(snapshot)))


async def traffic_and_swaps(plane: DataPlane, first: Snapshot, endpoints: dict[str, list[Address]]) -> None:
    """Each new snapshot drops the service that the one before it brought."""
    port = first.listeners[0].port
    assert await asyncio.to_thread(ask, port, request(), 20, 10) == {b"200": 200}
    assert await asyncio.to_thread(ask, port, b"GET / HTTP/1.1\r\n\r\n", 20, 1) == {b"400": 20}
    for version in range(2, 12):
        other = service(endpoints, f"demo/other-{version}:80")
        changed = route(port, "/other", name=str(version), to=other.id)
        both = {"routes": (*first.routes, changed), "services": (*first.services, other)}
        await swap(plane, replace(first, version=version, **both))
        assert await asyncio.to_thread(ask, port, request("/other"), 1, 2) == {b"200": 2}


def alive() -> list[object]:
    return [each for each in gc.get_objects() if type(each) in KINDS]


def count(found: list[object], left: list[object]) -> dict[str, int]:
    """Count by kind what was found beyond what had been left before."""
    counts = Counter(map(type, found)) - Counter(map(type, left))
    return {kind.__name__: counts[kind] for kind in KINDS}


async def serve_and_swap(origin: ThreadedOrigin) -> None:
    # By other tests of this process: timers of a loop that was closed hold on to some
    left = alive()
    port = free_port()
    endpoints = {"c1": [origin.address], "c2": [REFUSING]}
    first, trusting, certificate = over_tls(
        snapshot(port, endpoints, route(port, weights={"c1": 50, "c2": 50}))
    )
    async with serving(first) as plane:
        plane.contexts.use((certificate,), ())
        await traffic_and_swaps(plane, first, endpoints)
        tls_port = first.listeners[1].port
        assert await asyncio.to_thread(ask, tls_port, request(host=HOST), 20, 5, trusting) == {b"200": 100}
        assert await asyncio.to_thread(ask, tls_port, request(), 20, 1) == {b"400": 20}
        assert await asyncio.to_thread(ask_http2, port, 20) == 60
        trusting.set_alpn_protocols(["h2"])
        assert await asyncio.to_thread(ask_http2, tls_port, 20, trusting) == 60
        plane.wheel.stop()  # it lets go of a connection that is closed only when its time comes
        plane.wheel.start()
        plane.wheel.schedule(plane.upstream.services.recovery, plane.wheel.now)
        expected = {
            "ClientConnection": 0,
            "Http1Stream": 0,
            "Inbox": 0,
            "Http2Connection": 0,
            "Http2Stream": 0,
            "Sending": 0,
            "TlsTransport": 0,
            "Exchange": 0,
            "LiveEndpoint": 4,  # two of each service
            "LiveService": 2,
            "RoutePlan": 2,
            "UpstreamConnection": sum(
                endpoint.pool.idle() for endpoint in plane.upstream.services.endpoints()
            ),
        }
        try:
            await until(lambda: count(alive(), left) == expected, 5)
        except AssertionError:
            pytest.fail(f"alive are {count(alive(), left)}, in use are {expected}")


def test_requests_failures_and_swaps_leave_nothing_to_the_collector() -> None:
    gc.collect()
    gc.disable()
    origin = ThreadedOrigin()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_and_swap(origin))
    finally:
        origin.close()
        gc.enable()


async def serve_and_forget(trusted: ThreadedOrigin, stranger: ThreadedOrigin, plain: ThreadedOrigin) -> None:
    """Endpoints over TLS, two of which fail the handshake; then other settings, which end all connections."""
    kinds = (UpstreamConnection, TlsConnection, EndpointTransport)
    left = Counter(type(each) for each in gc.get_objects() if type(each) in kinds)
    port = free_port()
    endpoints = {"c1": [stranger.address], "c2": [plain.address], "c3": [trusted.address]}
    first = secured(snapshot(port, endpoints, route(port, weights={"c1": 40, "c2": 40, "c3": 20})))

    def count() -> Counter[type]:
        return Counter(type(each) for each in gc.get_objects() if type(each) in kinds) - left

    async with serving(first) as plane:
        plane.upstream.connector.tls.use((AUTHORITY.bundle,), ())
        assert await asyncio.to_thread(ask, port, request(), 20, 5) == {b"200": 100}
        assert count()[TlsConnection] == count()[EndpointTransport] > 0
        await swap(plane, replace(first, version=2, services=(replace(first.services[0], tls=None),)))
        plane.wheel.stop()
        plane.wheel.start()
        await until(lambda: not count()[TlsConnection] and not count()[EndpointTransport], 5)


def test_tls_to_endpoints_leaves_nothing_to_the_collector() -> None:
    gc.collect()
    gc.disable()
    trusted = ThreadedOrigin(speaking(AUTHORITY.issue(NAME)))
    stranger = ThreadedOrigin(speaking(AUTHORITY.issue("other.example")))
    plain = ThreadedOrigin()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_and_forget(trusted, stranger, plain))
    finally:
        for origin in (trusted, stranger, plain):
            origin.close()
        gc.enable()
