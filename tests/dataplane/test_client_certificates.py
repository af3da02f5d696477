"""Hosts that demand certificates of their clients: who gets in, and what endpoints learn of them."""

import ssl
from hashlib import sha256

import pytest
from msgspec.structs import replace

from proxy.model.tls import NO_AUTHORITY, Certificate, HostTls
from tests.dataplane.test_tls import A, B, Site, site
from tests.support.certificates import Authority
from tests.support.http2client import Http2Client, headers
from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.worker import WorkerProcess

__all__ = ["site"]

NAME = "spiffe://example.org/ns/shop/sa/till"
FORGED = 'X-Forwarded-Client-Cert: Hash=00;Subject="CN=admin"\r\n'
TRUST = Authority("clients")
OTHER = Authority("others")


def demanding(made: Site, name: str = A, bundle: Certificate | None = None) -> tuple[HostTls, Certificate]:
    host, certificate = made.host(name, A, B, owner="shop")
    return replace(host, client_ca=(bundle or TRUST.bundle).id), certificate


def knowing(made: Site, own: Certificate) -> ssl.SSLContext:
    return made.authority.knowing(own)


def said(made: Site) -> list[str]:
    """Return the values of X-Forwarded-Client-Cert that the endpoint has got."""
    return [
        value.decode()
        for asked, _ in made.origin.requests
        for name, value in asked.headers
        if name == b"x-forwarded-client-cert"
    ]


async def refused(made: Site, name: str, context: ssl.SSLContext) -> None:
    """Ask, and get no answer: with TLS 1.3 a client learns after its own handshake that it is not let in."""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        await made.ask(name, context=context)


async def test_only_clients_with_a_certificate_of_the_authorities_get_in(site: Site) -> None:
    site.worker.use_certificates(TRUST.bundle)
    await site.serve(demanding(site))
    await refused(site, A, site.authority.trusting())
    await refused(site, A, knowing(site, OTHER.issue("till")))
    await refused(site, A, knowing(site, TRUST.issue("till", days=-0.5)))
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = knowing(site, TRUST.issue("till"))
        context.maximum_version = newest
        assert (await site.ask(A, context=context))[0] == 200
    assert await site.handshakes() == {
        "certificate_required": 1, "certificate_refused": 2, "TLSv1.2": 1, "TLSv1.3": 1,
    }  # fmt: skip


async def test_endpoints_learn_who_the_client_is_and_no_client_can_say_so_itself(site: Site) -> None:
    site.worker.use_certificates(TRUST.bundle)
    await site.serve(demanding(site), site.host(B))
    own = TRUST.issue("till.example", NAME, common_name="till 7")
    client = await site.connect(A, knowing(site, own))
    for extra in ("", FORGED):
        await client.send(request(host=A, extra=extra))
        assert (await client.response())[0] == 200
    digest = sha256(ssl.PEM_cert_to_DER_cert(own.chain.decode())).hexdigest()
    assert said(site) == [f'Hash={digest};Subject="CN=till 7";DNS=till.example;URI={NAME}'] * 2
    client = await site.connect(B)
    await client.send(request(host=B, extra=FORGED))
    assert (await client.response())[0] == 200
    assert len(said(site)) == 2


async def test_streams_of_http2_say_who_the_client_is(site: Site) -> None:
    site.worker.use_certificates(TRUST.bundle)
    host, certificate = demanding(site)
    site.worker.use_certificates(certificate)
    made = site.snapshot(host)
    (listener,) = made.listeners
    assert listener.tls is not None
    listener = replace(listener, tls=replace(listener.tls, http2=True))
    await site.worker.apply(replace(made, listeners=(listener,)))
    context = knowing(site, TRUST.issue("till.example"))
    context.set_alpn_protocols(["h2"])
    client = await Http2Client.connect(site.port, tls=context, server_name=A)
    for stream in (1, 3):
        fields = client.request("/", "GET", ("x-forwarded-client-cert", "Hash=00"), authority=A)
        await client.send(headers(stream, fields))
        assert (await client.response(stream)).status == 200
    names = [value.partition(";")[2] for value in said(site)]
    assert names == ['Subject="CN=till.example";DNS=till.example'] * 2
    await client.send(headers(5, client.request(authority=B)))
    assert (await client.response(5)).status == 421
    await client.close()


async def test_a_trusted_proxy_passes_a_certificate_on_unless_it_shows_its_own(site: Site) -> None:
    site.worker.use_certificates(TRUST.bundle)
    hosts = demanding(site), site.host(B)
    site.worker.use_certificates(*(certificate for _, certificate in hosts))
    made = site.snapshot(*(host for host, _ in hosts))
    await site.worker.apply(replace(made, trusted_proxies=("127.0.0.1",)))
    client = await site.connect(B)
    await client.send(request(host=B, extra=FORGED))
    assert (await client.response())[0] == 200
    client = await site.connect(A, knowing(site, TRUST.issue("proxy.example")))
    await client.send(request(host=A, extra=FORGED + "X-Client-Cert: MII\r\n"))
    assert (await client.response())[0] == 200
    passed, own = said(site)
    assert passed == 'Hash=00;Subject="CN=admin"'
    assert own.endswith(';Subject="CN=proxy.example";DNS=proxy.example')
    assert (b"x-client-cert", b"MII") in site.origin.requests[-1][0].headers


async def test_without_authorities_nobody_gets_in(site: Site) -> None:
    host, certificate = demanding(site)
    await site.serve((replace(host, client_ca=NO_AUTHORITY), certificate))
    await refused(site, A, site.authority.trusting())
    await refused(site, A, knowing(site, TRUST.issue("till")))
    assert await site.handshakes() == {"certificate_required": 1, "certificate_refused": 1}


async def test_a_bundle_that_is_not_here_fails_its_host(port: int) -> None:
    async with WorkerProcess(complains="the authorities for clients of host") as worker, Origin() as origin:
        made = Site(worker, port, origin)
        await made.serve(demanding(made), made.host(B))
        for context in (made.authority.trusting(), knowing(made, TRUST.issue("till"))):
            await refused(made, A, context)
        assert (await made.ask(B))[0] == 200
        assert await made.handshakes() == {"certificate": 2, "TLSv1.3": 1}


async def test_hosts_with_other_authorities_share_no_connection(site: Site) -> None:
    site.worker.use_certificates(TRUST.bundle, OTHER.bundle)
    open_host, certificate = site.host("", "127.0.0.1", A, B, owner="shop")
    await site.serve(demanding(site), demanding(site, B, OTHER.bundle), (open_host, certificate))
    one = await site.connect(A, knowing(site, TRUST.issue("till")))
    for name, expected in ((A, 200), (B, 421)):
        await one.send(request(host=name))
        assert (await one.response())[0] == expected
    for context in (site.authority.trusting(), knowing(site, TRUST.issue("till"))):
        nameless = await site.connect("127.0.0.1", context)
        for name, expected in (("127.0.0.1", 200), (A, 421)):
            await nameless.send(request(host=name))
            assert (await nameless.response())[0] == expected


async def test_a_renewed_bundle_holds_for_the_next_handshake_and_open_connections_stay(site: Site) -> None:
    site.worker.use_certificates(TRUST.bundle)
    host, certificate = demanding(site)
    await site.serve((host, certificate))
    old = await site.connect(A, knowing(site, TRUST.issue("till")))
    await old.send(request(host=A))
    assert (await old.response())[0] == 200
    site.worker.use_certificates(OTHER.bundle)
    await site.apply(replace(host, client_ca=OTHER.bundle.id))
    site.worker.use_certificates(removed=(TRUST.bundle.id,))
    await refused(site, A, knowing(site, TRUST.issue("till")))
    assert (await site.ask(A, context=knowing(site, OTHER.issue("till"))))[0] == 200
    await old.send(request(host=A))
    assert (await old.response())[0] == 200


async def test_a_connection_from_before_the_demand_serves_no_longer(site: Site) -> None:
    host, certificate = demanding(site)
    site.worker.use_certificates(TRUST.bundle)
    await site.serve((replace(host, client_ca=""), certificate))
    old = await site.connect(A)
    await old.send(request(host=A))
    assert (await old.response())[0] == 200
    await site.apply(host)
    await old.send(request(host=A))
    assert (await old.response())[0] == 421
