"""Contexts of hosts: which protocols they offer, and when two connections share one."""

import ssl

import pytest

from proxy.model.tls import HostTls, ListenerTls
from proxy.tls.contexts import HTTP2_IS_SERVED, Contexts, NamedTls, TlsError
from proxy.tls.hosts import TlsHosts
from tests.support.certificates import Authority

NAME = "a.example"
AUTHORITY = Authority()
CERTIFICATE = AUTHORITY.issue(NAME)
HOST = HostTls(NAME, CERTIFICATE.id)
OFFERED = "h2" if HTTP2_IS_SERVED else "http/1.1"
"""What a client that prefers HTTP/2 gets from a listener that offers it."""


@pytest.fixture
def contexts() -> Contexts:
    made = Contexts()
    made.use((CERTIFICATE,), ())
    return made


class Pair:
    """Both ends of a connection, which only memory joins."""

    def __init__(self, contexts: Contexts, client: ssl.SSLContext, *, http2: bool) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server: NamedTls = contexts.wrap(HOST, NAME, to_server, to_client, http2=http2)
        self.client = client.wrap_bio(to_client, to_server, server_hostname=NAME)

    def shake_hands(self) -> None:
        waiting: list[ssl.SSLObject] = [self.client, self.server]
        for _ in range(4):  # TLS 1.2 has two round trips
            for side in tuple(waiting):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                waiting.remove(side)
        assert not waiting


def client_of(*protocols: str, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = AUTHORITY.trusting()
    context.maximum_version = newest
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("http2", "asked", "agreed"),
    [
        (True, ("h2", "http/1.1"), OFFERED),
        (True, ("http/1.1", "h2"), OFFERED),
        (True, ("http/1.1",), "http/1.1"),
        (True, (), None),
        (False, ("h2", "http/1.1"), "http/1.1"),
        (False, ("h2",), None),
    ],
)
def test_http2_is_agreed_on_where_both_sides_offer_it(
    contexts: Contexts, newest: ssl.TLSVersion, http2: bool, asked: tuple[str, ...], agreed: str | None
) -> None:
    pair = Pair(contexts, client_of(*asked, newest=newest), http2=http2)
    pair.shake_hands()
    assert pair.server.selected_alpn_protocol() == agreed
    assert pair.client.selected_alpn_protocol() == agreed


def test_listeners_that_differ_in_http2_have_contexts_of_their_own_for_a_host(contexts: Contexts) -> None:
    client = client_of("h2", "http/1.1")
    made = [Pair(contexts, client, http2=http2).server.context for http2 in (True, False, True, False)]
    assert made[0] is made[2]
    assert made[1] is made[3]
    assert made[0] is not made[1]


def test_a_certificate_that_nobody_names_any_more_is_forgotten_with_its_contexts(contexts: Contexts) -> None:
    for http2 in (True, False):
        Pair(contexts, client_of(), http2=http2)
    contexts.use((), (CERTIFICATE.id,))
    for http2 in (True, False):
        with pytest.raises(TlsError, match="is not here"):
            Pair(contexts, client_of(), http2=http2)


def test_every_cipher_of_tls_1_2_may_carry_http2(contexts: Contexts) -> None:
    """RFC 9113, Appendix A prohibits all that lack an ephemeral key exchange or authenticated encryption."""
    ciphers = Pair(contexts, client_of(), http2=True).server.context.get_ciphers()
    older = [cipher["name"] for cipher in ciphers if cipher["protocol"] != "TLSv1.3"]
    assert older
    for name in older:
        assert name.startswith(("ECDHE-ECDSA-", "ECDHE-RSA-"))
        assert "-GCM-" in name or name.endswith("-CHACHA20-POLY1305")


@pytest.mark.parametrize("http2", [True, False])
def test_the_hosts_of_a_listener_know_whether_it_offers_http2(http2: bool) -> None:
    assert TlsHosts(ListenerTls(http2=http2)).http2 is http2
