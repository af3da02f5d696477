"""Session tickets: taken by every worker with the same secret, never by a host with other demands."""

import ssl
import subprocess
import sys

import pytest
from msgspec.structs import replace

from proxy.model.channel import TICKET_SECRET_BYTES
from proxy.model.tls import HostTls
from proxy.tls import tickets
from proxy.tls.contexts import Contexts
from tests.support.certificates import Authority

NAME = "a.example"
AUTHORITY = Authority()
CERTIFICATE = AUTHORITY.issue(NAME)
HOST = HostTls(NAME, CERTIFICATE.id)
SECRET, OTHER_SECRET = b"1" * TICKET_SECRET_BYTES, b"2" * TICKET_SECRET_BYTES
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def worker(secret: bytes = SECRET) -> Contexts:
    made = Contexts()
    made.use((CERTIFICATE,), ())
    made.use_ticket_secret(secret)
    return made


def connect(
    contexts: Contexts, client: ssl.SSLContext, session: ssl.SSLSession | None = None, host: HostTls = HOST,
    *, http2: bool = False,
) -> tuple[bool, ssl.SSLSession | None]:  # fmt: skip
    """Shake hands and read a byte; return whether the session was resumed, and the session of the client."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = contexts.wrap(host, NAME, to_server, to_client, http2=http2)
    mine = client.wrap_bio(to_client, to_server, server_hostname=NAME, session=session)
    for step in (mine.do_handshake, server.do_handshake) * 3:
        try:
            step()
        except ssl.SSLWantReadError:
            pass
    server.write(b"x")
    assert mine.read(1) == b"x"  # in TLS 1.3 the ticket comes before it
    assert mine.session_reused == server.session_reused
    return bool(mine.session_reused), mine.session


def trusting(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = AUTHORITY.trusting()
    context.minimum_version = context.maximum_version = version
    return context


def test_this_interpreter_lets_keys_be_set() -> None:
    assert subprocess.run([sys.executable, "-m", "proxy.tls.tickets"], check=False).returncode == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_goes_on_with_another_worker(version: ssl.TLSVersion) -> None:
    client, first, second = trusting(version), worker(), worker()
    was_resumed, session = connect(first, client)
    assert not was_resumed
    assert connect(second, client, session)[0]
    assert not connect(worker(OTHER_SECRET), client, session)[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_secret_ends_the_sessions_of_the_old_one(version: ssl.TLSVersion) -> None:
    client, contexts = trusting(version), worker()
    _, session = connect(contexts, client)
    contexts.use_ticket_secret(OTHER_SECRET)
    was_resumed, session = connect(contexts, client, session)
    assert not was_resumed
    assert connect(contexts, client, session)[0]


@pytest.mark.parametrize(
    "other",
    [
        replace(HOST, host="b.example"),
        replace(HOST, owner="team-b"),
        replace(HOST, min_version="TLSv1.3"),
        replace(HOST, max_version="TLSv1.3"),
        replace(HOST, ciphers=("ECDHE-ECDSA-AES256-GCM-SHA384",)),
    ],
)
def test_a_session_does_not_go_on_with_a_host_of_other_demands(other: HostTls) -> None:
    client, contexts = trusting(ssl.TLSVersion.TLSv1_3), worker()
    _, session = connect(contexts, client)
    assert not connect(contexts, client, session, other)[0]
    assert connect(contexts, client, session)[0]


def test_hosts_that_demand_certificates_have_keys_of_their_own() -> None:
    demanding = replace(HOST, client_ca="bundle")
    keys = {
        tickets.keys_for(SECRET, host, http2=http2) for host in (HOST, demanding) for http2 in (True, False)
    }
    assert len(keys) == 4
    assert {len(each) for each in keys} == {tickets.KEY_BYTES}
