"""Contexts of hosts: which protocols they offer, and when two connections share one."""

import ssl

import pytest

from proxy.model.tls import Certificate, HostTls, ListenerTls
from proxy.tls.contexts import Contexts, NamedTls, TlsError
from proxy.tls.hosts import TlsHosts
from proxy.tls.identity import identity_of
from tests.support.certificates import Authority

NAME = "a.example"
AUTHORITY = Authority()
CERTIFICATE = AUTHORITY.issue(NAME)
HOST = HostTls(NAME, CERTIFICATE.id)


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
        (True, ("h2", "http/1.1"), "h2"),
        (True, ("http/1.1", "h2"), "h2"),
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


TRUST, OTHERS = Authority("clients"), Authority("others")
V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Resuming:
    """A client with a certificate that keeps its session, and uses it again."""

    def __init__(self, contexts: Contexts, newest: ssl.TLSVersion, own: Certificate | None) -> None:
        self.contexts = contexts
        self.context = AUTHORITY.knowing(own) if own is not None else AUTHORITY.trusting()
        self.context.maximum_version = newest

    def shake_hands(self, host: HostTls, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
        """Return the client's end. Raises ssl.SSLError of the server's end."""
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.contexts.wrap(host, NAME, to_server, to_client, http2=False)
        client = self.context.wrap_bio(to_client, to_server, server_hostname=NAME, session=session)
        waiting: list[ssl.SSLObject] = [client, server]
        for _ in range(4):
            for side in tuple(waiting):
                try:
                    side.do_handshake()
                    waiting.remove(side)
                except ssl.SSLWantReadError:
                    pass
        assert not waiting
        try:
            client.read()  # tickets of TLS 1.3 come behind the handshake
        except ssl.SSLWantReadError:
            pass
        self.identity = identity_of(server)
        return client


def demanding(bundle: Certificate) -> HostTls:
    return HostTls(NAME, CERTIFICATE.id, client_ca=bundle.id)


@pytest.mark.parametrize("newest", [V1_2, V1_3])
def test_a_resumed_session_is_that_of_the_same_client(contexts: Contexts, newest: ssl.TLSVersion) -> None:
    contexts.use((TRUST.bundle,), ())
    client = Resuming(contexts, newest, TRUST.issue("till"))
    session = client.shake_hands(demanding(TRUST.bundle)).session
    first = client.identity
    assert client.shake_hands(demanding(TRUST.bundle), session).session_reused
    assert client.identity == first
    assert b"CN=till" in first


@pytest.mark.parametrize("newest", [V1_2, V1_3])
@pytest.mark.parametrize("earlier", [HOST, demanding(TRUST.bundle)])
def test_no_session_gets_around_the_authorities_of_another_host(
    contexts: Contexts, newest: ssl.TLSVersion, earlier: HostTls
) -> None:
    contexts.use((TRUST.bundle, OTHERS.bundle), ())
    client = Resuming(contexts, newest, TRUST.issue("till"))
    session = client.shake_hands(earlier).session
    with pytest.raises(ssl.SSLCertVerificationError):
        client.shake_hands(demanding(OTHERS.bundle), session)
    anonymous = Resuming(contexts, newest, None)
    session = anonymous.shake_hands(HOST).session
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN"):
        anonymous.shake_hands(demanding(TRUST.bundle), session)


def test_the_contexts_of_a_forgotten_bundle_are_forgotten(contexts: Contexts) -> None:
    contexts.use((TRUST.bundle,), ())
    client = Resuming(contexts, V1_3, TRUST.issue("till"))
    client.shake_hands(demanding(TRUST.bundle))
    contexts.use((), (TRUST.bundle.id,))
    with pytest.raises(TlsError, match="authorities for clients of host"):
        client.shake_hands(demanding(TRUST.bundle))


def test_a_host_may_have_a_highest_version_and_ciphers_of_its_own(contexts: Contexts) -> None:
    cipher = "ECDHE-ECDSA-CHACHA20-POLY1305"
    host = HostTls(NAME, CERTIFICATE.id, max_version="TLSv1.2", ciphers=(cipher,))
    ended = Resuming(contexts, V1_3, None).shake_hands(host)
    assert ended.version() == "TLSv1.2"
    agreed = ended.cipher()
    assert agreed is not None
    assert agreed[0] == cipher
