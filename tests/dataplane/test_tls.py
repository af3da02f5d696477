"""HTTPS listeners: the certificate of each host, its versions, and requests over TLS as without it."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.actions import FixedResponse
from proxy.model.policies import Policies
from proxy.model.snapshot import Snapshot
from proxy.model.tls import Certificate, HostTls, ListenerTls
from tests.support.certificates import Authority
from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.snapshots import route, snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

A, B, C = "a.example", "b.example", "c.shop.example"


class Site:
    """A worker with an HTTPS listener, its certificates, and one endpoint."""

    def __init__(self, worker: WorkerProcess, port: int, origin: Origin) -> None:
        self.worker = worker
        self.port = port
        self.origin = origin
        self.authority = Authority()
        self.version = 0
        self.clients: list[RawClient] = []

    async def serve(self, *hosts: tuple[HostTls, Certificate]) -> None:
        self.worker.use_certificates(*(certificate for _, certificate in hosts))
        await self.apply(*(host for host, _ in hosts))

    async def apply(self, *hosts: HostTls) -> None:
        await self.worker.apply(self.snapshot(*hosts))

    def snapshot(self, *hosts: HostTls) -> Snapshot:
        self.version += 1
        plain = snapshot(self.port, {"c1": [self.origin.address]}, route(self.port), version=self.version)
        (listener,) = plain.listeners
        return replace(plain, listeners=(replace(listener, tls=ListenerTls(hosts=hosts)),))

    def host(
        self, name: str, *names: str, owner: str = "", min_version: str = "TLSv1.2"
    ) -> tuple[HostTls, Certificate]:
        certificate = self.authority.issue(*(names or (name,)))
        return HostTls(name, certificate.id, owner, min_version), certificate

    async def connect(self, name: str, context: ssl.SSLContext | None = None) -> RawClient:
        trusting = context or self.authority.trusting()
        self.clients.append(await RawClient.connect(self.port, tls=trusting, server_name=name))
        return self.clients[-1]

    async def connect_plainly(self) -> RawClient:
        self.clients.append(await RawClient.connect(self.port))
        return self.clients[-1]

    async def ask(
        self, name: str, path: str = "/", context: ssl.SSLContext | None = None
    ) -> tuple[int, bytes]:
        client = await self.connect(name, context)
        await client.send(request(path, host=name))
        status, _, body = await client.final_response()
        return status, body

    async def handshakes(self) -> dict[str, int]:
        stats = await self.worker.stats()
        return {count.outcome: count.count for count in stats.handshakes}


@pytest_asyncio.fixture
async def site(worker: WorkerProcess, port: int) -> AsyncIterator[Site]:
    async with Origin() as origin:
        made = Site(worker, port, origin)
        yield made
        for client in made.clients:
            await client.close()


async def test_each_host_is_served_with_its_own_certificate(site: Site) -> None:
    await site.serve(site.host(A), site.host(B), site.host("*.shop.example"))
    for name in (A, B, C):
        assert await site.ask(name, f"/{name}") == (200, f"/{name}".encode())
    assert await site.handshakes() == {"TLSv1.3": 3}


async def test_endpoints_learn_that_the_client_used_https(site: Site) -> None:
    await site.serve(site.host(A))
    await site.ask(A)
    (received,) = [connection.received for connection in site.origin.connections]
    assert b"X-Forwarded-Proto: https\r\n" in received


async def test_an_https_url_is_a_target_here(site: Site) -> None:
    await site.serve(site.host(A))
    client = await site.connect(A)
    await client.send(b"GET https://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert (await client.response())[::2] == (200, b"/x")


@pytest.mark.parametrize("name", ["other.example", "x.y.shop.example", "shop.example"])
async def test_a_host_without_certificate_gets_the_alert_for_it(site: Site, name: str) -> None:
    await site.serve(site.host(A), site.host("*.shop.example"))
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        await site.connect(name)
    assert await site.handshakes() == {"unknown_host": 1}


async def test_a_host_without_certificate_gets_the_default(site: Site) -> None:
    await site.serve(site.host(A), site.host("", "other.example", "127.0.0.1"))
    assert (await site.ask("other.example"))[0] == 200
    assert (await site.ask(A))[0] == 200
    # Clients send no name for an address (RFC 6066 §3)
    assert (await site.ask("127.0.0.1"))[0] == 200


async def test_the_lowest_version_is_that_of_the_host_whatever_others_accept(site: Site) -> None:
    await site.serve(site.host(A), site.host(B, min_version="TLSv1.3"))
    older = site.authority.trusting()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await site.ask(A, context=older))[0] == 200
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await site.connect(B, older)
    assert (await site.ask(B))[0] == 200
    assert await site.handshakes() == {"TLSv1.2": 1, "protocol": 1, "TLSv1.3": 1}


async def test_a_new_certificate_serves_the_next_handshake_and_open_connections_stay(site: Site) -> None:
    host, certificate = site.host(A)
    await site.serve((host, certificate))
    old = await site.connect(A)
    await old.send(request(host=A))
    assert (await old.response())[0] == 200
    renewed = site.host(A)
    await site.serve(renewed)
    site.worker.use_certificates(removed=(certificate.id,))
    new = await site.connect(A)
    assert new.certificate() == ssl.PEM_cert_to_DER_cert(renewed[1].chain.decode())
    assert old.certificate() == ssl.PEM_cert_to_DER_cert(certificate.chain.decode())
    for client in (old, new):
        await client.send(request(host=A))
        assert (await client.response())[0] == 200


async def test_a_missing_or_broken_certificate_fails_its_host_alone(port: int) -> None:
    async with WorkerProcess(complains="tls handshakes fail") as worker, Origin() as origin:
        site = Site(worker, port, origin)
        good, missing, broken = site.host(A), site.host(B), site.host(C)
        mixed = replace(broken[1], key=missing[1].key)
        worker.use_certificates(good[1], mixed)
        await site.apply(good[0], missing[0], broken[0])
        for name in (B, C, C):
            with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
                await site.connect(name)
        assert (await site.ask(A))[0] == 200


async def test_requests_for_a_host_of_other_rules_are_misdirected(site: Site) -> None:
    await site.serve(site.host(A, A, B, C, owner="one"), site.host(B, owner="one"), site.host(C, owner="two"))
    client = await site.connect(A)
    for name, expected in ((A, 200), (B, 200), (C, 421)):
        await client.send(request(host=name))
        assert (await client.response())[0] == expected
    assert await client.until_closed() == b""


async def test_a_client_that_speaks_plain_http_is_told(site: Site) -> None:
    await site.serve(site.host(A))
    client = await site.connect_plainly()
    await client.send(request(host=A))
    status, _, body = await client.response()
    assert (status, b"HTTPS" in body) == (400, True)
    assert await client.until_closed() == b""
    assert await site.handshakes() == {"plaintext": 1}


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\x00" * 40, b"\x16\x02\x00"],
)
async def test_bytes_that_are_no_hello_are_refused_with_an_alert(site: Site, garbage: bytes) -> None:
    await site.serve(site.host(A))
    client = await site.connect_plainly()
    await client.send(garbage)
    assert (await client.until_closed())[:2] == b"\x15\x03"
    assert await site.handshakes() == {"hello": 1}


async def test_a_client_that_leaves_in_the_middle_of_a_handshake_is_counted(site: Site) -> None:
    await site.serve(site.host(A))
    client = await site.connect_plainly()
    await client.send(b"\x16\x03\x01\x00")
    client.reset()
    async with asyncio.timeout(5):
        while await site.handshakes() != {"abandoned": 1}:
            await asyncio.sleep(0.02)


async def test_long_bodies_go_both_ways(site: Site) -> None:
    await site.serve(site.host(A))
    body = b"0123456789abcdef" * 65536
    site.origin.answer = lambda connection, _: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    client = await site.connect(A)
    await client.send(request("/", "POST", body, host=A))
    status, _, answered = await client.response()
    assert (status, answered == body) == (200, True)


async def test_pipelined_requests_in_one_record_are_all_answered(site: Site) -> None:
    await site.serve(site.host(A))
    client = await site.connect(A)
    await client.send(b"".join(request(f"/{n}", host=A) for n in range(50)))
    assert [(await client.response())[2] for _ in range(50)] == [b"/%d" % n for n in range(50)]


async def test_the_connection_ends_with_close_notify(site: Site) -> None:
    await site.serve(site.host(A))
    client = await site.connect(A)
    await client.send(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
    assert (await client.until_closed()).endswith(b"/")  # asyncio raises where close_notify is missing


async def test_a_session_is_resumed(site: Site) -> None:
    await site.serve(site.host(A))
    context = site.authority.trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose tickets the client has with the handshake
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=context, server_hostname=A)
    session = writer.get_extra_info("ssl_object").session
    writer.close()
    read, written = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(read, written, server_hostname=A, session=session)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(written.read())
            read.write(await reader.read(65536))
    assert tls.session_reused
    writer.close()


async def test_a_port_changes_from_http_to_https(site: Site) -> None:
    plain = snapshot(site.port, {"c1": [site.origin.address]}, route(site.port))
    site.version = 1
    await site.worker.apply(plain)
    client = await site.connect_plainly()
    await client.send(request(host=A))
    assert (await client.response())[0] == 200
    await site.serve(site.host(A))
    assert (await site.ask(A))[0] == 200
    await client.send(request(host=A))
    status, fields, _ = await client.response()
    assert (status, fields["connection"]) == (200, "close")


async def test_browsers_are_told_over_https_alone_to_come_over_nothing_else(site: Site) -> None:
    host, certificate = site.host(A)
    site.worker.use_certificates(certificate)
    value = "max-age=60; includeSubDomains"
    made = site.snapshot(host)
    (served,) = made.routes
    served = replace(served, policies=Policies(hsts=value))
    refused = replace(route(site.port, "/no", name="no"), action=FixedResponse(403), policies=served.policies)
    plain = replace(made.listeners[0], port=free_port(), tls=None)
    ports = (site.port, plain.port)
    routes = tuple(replace(each, ports=ports) for each in (refused, served))
    await site.worker.apply(replace(made, listeners=(*made.listeners, plain), routes=routes))
    own = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n"
    none = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    site.origin.answer = lambda _, asked: own if asked.target == b"/own" else none
    secured, open_ = await site.connect(A), await RawClient.connect(plain.port)
    site.clients.append(open_)
    for client, expected in ((secured, value), (open_, None)):
        for path, status in (("/", 200), ("/", 200), ("/no", 403)):
            await client.send(request(path, host=A))
            answered, fields, _ = await client.response()
            assert (answered, fields.get("strict-transport-security")) == (status, expected)
    await secured.send(request("/own", host=A))
    assert (await secured.response())[1]["strict-transport-security"] == "max-age=1"
