"""TLS towards endpoints: whom the gateway speaks to, and what a handshake that fails costs a request."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from proxy.model.tls import BackendTls
from tests.dataplane.test_failover import state_of
from tests.dataplane.test_hedged_connects import TO_C1, hedges, timed
from tests.support.certificates import Authority, serving
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.secured import AUTHORITY, NAME, UNVERIFIED, VERIFIED, secured, secured_origin
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

POST = request(method="POST", body=b"order=1")
UNTRUSTED = b"No endpoint has a certificate that is trusted, or trusts ours.\n"
NO_TLS = b"No endpoint could be reached by TLS.\n"


async def reasons(worker: WorkerProcess) -> dict[str, int]:
    found: dict[str, int] = {}
    for attempt in (await worker.stats()).attempts:
        found[attempt.reason] = found.get(attempt.reason, 0) + attempt.count
    return found


@pytest.mark.parametrize("tls", [UNVERIFIED, VERIFIED, BackendTls(server_name="other.example")])
async def test_an_endpoint_is_spoken_to_over_tls(worker: WorkerProcess, port: int, tls: BackendTls) -> None:
    async with secured_origin() as origin:
        worker.use_certificates(AUTHORITY.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]}), tls))
        assert await tally(port, 20, POST) == {"/": 20}
        assert len(origin.connections) == 1
        assert origin.received.startswith(b"POST / HTTP/1.1\r\n")


async def test_the_name_is_told_by_sni(worker: WorkerProcess, port: int) -> None:
    names: list[str | None] = []
    context = serving(AUTHORITY.issue(NAME))
    context.sni_callback = lambda _tls, name, _context: names.append(name)
    async with Origin(tls=context) as origin:
        worker.use_certificates(AUTHORITY.bundle)
        for version, tls in enumerate((UNVERIFIED, VERIFIED, BackendTls(server_name="a.example")), 1):
            await worker.apply(secured(snapshot(port, {"c1": [origin.address]}, version=version), tls))
            assert await tally(port, 1) == {"/": 1}
    assert names == [None, NAME, "a.example"]


@pytest.mark.parametrize(
    ("name", "days", "tls"),
    [
        (NAME, 90.0, BackendTls(verify=True, server_name=NAME, trust="other")),
        (NAME, 90.0, BackendTls(verify=True, server_name=NAME, trust="missing")),
        (NAME, 90.0, BackendTls(verify=True, server_name=NAME)),  # the system trusts it as little
        (NAME, 90.0, BackendTls(verify=True, trust=AUTHORITY.bundle.id)),
        (NAME, 90.0, BackendTls(client="missing")),
        (NAME, -0.5, VERIFIED),
        ("other.demo.svc", 90.0, VERIFIED),
    ],
)
async def test_nothing_is_sent_to_an_endpoint_that_cannot_be_trusted(
    port: int, name: str, days: float, tls: BackendTls
) -> None:
    complains = "tls to endpoints fails" if tls.trust in ("missing", "other") or tls.client else ""
    if tls.verify and not tls.server_name:
        complains = "there is no name"
    async with WorkerProcess(complains=complains) as worker, secured_origin(name=name, days=days) as origin:
        worker.use_certificates(AUTHORITY.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]}), tls))
        status, body, _ = await timed(port, POST)
        assert status == 502
        assert UNTRUSTED in body
        assert origin.received == b""
        assert await reasons(worker) == {"tls_certificate": 1}


async def test_another_authority_is_not_trusted(worker: WorkerProcess, port: int) -> None:
    other = Authority("another")
    tls = BackendTls(verify=True, server_name=NAME, trust=other.bundle.id)
    async with secured_origin() as origin:
        worker.use_certificates(AUTHORITY.bundle, other.bundle)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]}), tls))
        status, body, _ = await timed(port, POST)
        assert status == 502
        assert UNTRUSTED in body
        assert origin.received == b""


@pytest.mark.parametrize("raw", [request(), POST])
@pytest.mark.parametrize("fault", ["certificate", "plain", "closes"])
async def test_any_method_goes_to_another_cluster(
    worker: WorkerProcess, port: int, raw: bytes, fault: str
) -> None:
    if fault == "certificate":
        bad = secured_origin(name="other.demo.svc")
    else:
        bad = Origin(lambda _connection, _request: None if fault == "closes" else b"")
    async with bad, secured_origin() as good:
        worker.use_certificates(AUTHORITY.bundle)
        clusters = {"c1": [bad.address], "c2": [good.address]}
        await worker.apply(secured(snapshot(port, clusters, route(port, weights=TO_C1))))
        assert await tally(port, 5, raw) == {"/": 5}
        assert bad.requests == []
        assert len(good.requests) == 5
        await state_of(worker, bad.port, "ejected")
        assert list(await reasons(worker)) == [
            "tls_certificate" if fault == "certificate" else "tls_handshake"
        ]


async def test_no_tls_on_the_port(port: int, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with WorkerProcess(str(path)) as worker, Origin() as plain:
        await worker.apply(secured(snapshot(port, {"c1": [plain.address]}), UNVERIFIED))
        status, body, _ = await timed(port, POST)
        assert status == 502
        assert NO_TLS in body
        await until(lambda: path.exists() and path.read_bytes())
    line = json.loads(path.read_bytes().splitlines()[0])
    assert line["flag"] == "UF"
    assert {failed["reason"] for failed in line["failed"]} == {"tls_handshake"}


@pytest.mark.parametrize("raw", [request(), POST])
async def test_a_handshake_that_hangs_is_hedged_like_a_connect(
    worker: WorkerProcess, port: int, raw: bytes
) -> None:
    """The kernel of the endpoint accepts, and its program answers no hello."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        async with secured_origin() as alive:
            worker.use_certificates(AUTHORITY.bundle)
            address = hanging.getsockname()
            clusters = {"c1": [address], "c2": [alive.address]}
            await worker.apply(secured(snapshot(port, clusters, route(port, weights=TO_C1))))
            status, _, elapsed = await timed(port, raw)
            assert status == 200
            assert elapsed < 0.8
            assert await hedges(worker) == {("c1", "c2"): 1}
            await state_of(worker, address[1], "ejected")


async def test_a_handshake_has_the_time_of_a_connect(worker: WorkerProcess, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        clusters = {"c1": [hanging.getsockname()]}
        await worker.apply(secured(snapshot(port, clusters), UNVERIFIED))
        started = time.monotonic()
        assert (await timed(port, POST))[0] == 502
        assert time.monotonic() - started < 3.0
        assert set(await reasons(worker)) <= {"connect_timeout"}


CLIENTS = Authority("clients")


@contextmanager
def strict(newest: ssl.TLSVersion) -> Iterator[tuple[str, int]]:
    """An endpoint that demands a certificate, and sends its alert: asyncio's servers hang up without."""
    context = serving(AUTHORITY.issue(NAME), CLIENTS.pem)
    context.maximum_version = newest
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepted_strangers: list[ssl.SSLSocket] = []

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                secured = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
                with suppress(ssl.SSLError):
                    secured.do_handshake()
                    accepted_strangers.append(secured)
                with socket.socket(fileno=secured.detach()) as refused:
                    refused.settimeout(0.5)  # with bytes unread, a RST would overtake the alert
                    with suppress(OSError):
                        while refused.recv(1 << 16):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
        assert not accepted_strangers


async def test_an_endpoint_that_demands_a_certificate_gets_it(worker: WorkerProcess, port: int) -> None:
    certificate = CLIENTS.issue("gateway")
    tls = BackendTls(verify=True, server_name=NAME, trust=AUTHORITY.bundle.id, client=certificate.id)
    async with secured_origin(clients=CLIENTS.pem) as origin:
        worker.use_certificates(AUTHORITY.bundle, certificate)
        await worker.apply(secured(snapshot(port, {"c1": [origin.address]}), tls))
        assert await tally(port, 3, POST) == {"/": 3}


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", [None, "stranger"])
async def test_a_refused_certificate_sends_a_post_elsewhere(
    worker: WorkerProcess, port: int, newest: ssl.TLSVersion, shown: str | None
) -> None:
    """TLS 1.3 refuses it after the handshake: nobody has read the request by then."""
    certificate = Authority(shown or "none").issue("gateway")
    tls = BackendTls(verify=True, server_name=NAME, trust=AUTHORITY.bundle.id)
    if shown:
        tls = BackendTls(verify=True, server_name=NAME, trust=AUTHORITY.bundle.id, client=certificate.id)
    with strict(newest) as address:
        async with secured_origin() as good:
            worker.use_certificates(AUTHORITY.bundle, certificate)
            clusters = {"c1": [address], "c2": [good.address]}
            await worker.apply(secured(snapshot(port, clusters, route(port, weights=TO_C1)), tls))
            assert await tally(port, 3, POST) == {"/": 3}
            by_certificate = shown or newest == ssl.TLSVersion.TLSv1_3
            assert set(await reasons(worker)) == {"tls_certificate" if by_certificate else "tls_handshake"}


async def test_other_settings_use_other_connections(worker: WorkerProcess, port: int) -> None:
    """A certificate that is trusted no more serves no request, though its connection is open."""
    other = Authority("another")
    async with secured_origin() as origin:
        worker.use_certificates(AUTHORITY.bundle, other.bundle)
        clusters = {"c1": [origin.address]}
        await worker.apply(secured(snapshot(port, clusters)))
        assert await tally(port, 2) == {"/": 2}
        await worker.apply(secured(snapshot(port, clusters, version=2), UNVERIFIED))
        assert await tally(port, 2) == {"/": 2}
        assert len(origin.connections) == 2
        strict = BackendTls(verify=True, server_name=NAME, trust=other.bundle.id)
        await worker.apply(secured(snapshot(port, clusters, version=3), strict))
        assert await tally(port, 1) == {"502": 1}
        async with asyncio.timeout(5):
            await asyncio.gather(*[connection.lost.wait() for connection in origin.connections])
