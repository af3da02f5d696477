"""The hello of a client, beside OpenSSL: both read the same name, or one of them refuses."""

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.tls import HostTls, ListenerTls
from proxy.tls.contexts import Contexts
from proxy.tls.hello import (
    DECODE_ERROR,
    MAX_BYTES,
    UNEXPECTED_MESSAGE,
    UNRECOGNIZED_NAME,
    ClientHello,
    HelloError,
    HelloReader,
)
from proxy.tls.hosts import TlsHosts
from tests.support.certificates import Authority

NAMES = (
    "a",
    "shop.example.com",
    "UPPER.example",
    "xn--bcher-kva.example",
    "a" * 63 + ".example",
    "1.example",
)
AUTHORITY = Authority()
CERTIFICATE = AUTHORITY.issue("a")


def hello_of(
    name: str | None, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, alpn: bool = False
) -> bytes:
    """Return what OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = newest
    if alpn:
        context.set_alpn_protocols(["h2", "http/1.1"])
    written = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), written, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return written.read()


def read_hello(data: bytes) -> ClientHello | None:
    return HelloReader().feed(data)


def read_by_openssl(data: bytes) -> str | None:
    """Return the name that OpenSSL's server reads. Raises ssl.SSLError for a hello that it refuses."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda tls, name, _: names.append(name)
    read, written = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(read, written, server_side=True)
    read.write(data)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    except ssl.SSLError:
        if not names:  # it has no certificate to go on with, which comes after the name
            raise
    return names[0] if names else None


@pytest.mark.parametrize("name", [None, *NAMES])
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("alpn", [False, True])
def test_the_name_of_a_hello_is_read(name: str | None, newest: ssl.TLSVersion, alpn: bool) -> None:
    hello = read_hello(hello_of(name, newest=newest, alpn=alpn))
    assert hello is not None
    assert hello.server_name == (name.lower() if name is not None else None)


def test_a_hello_is_incomplete_up_to_its_last_byte() -> None:
    data = hello_of("shop.example.com")
    assert all(read_hello(data[:size]) is None for size in range(len(data)))
    reader = HelloReader()
    assert all(reader.feed(data[at : at + 1]) is None for at in range(len(data) - 1))
    assert reader.feed(data[-1:]) is not None
    assert bytes(reader.received) == data


def in_records(data: bytes, sizes: list[int]) -> bytes:
    """Return a hello cut into records of these sizes, and one with the rest."""
    message = data[5:]
    records: list[bytes] = []
    for size in [*sizes, len(message)]:
        part, message = message[:size], message[size:]
        if part:
            records.append(data[:3] + len(part).to_bytes(2, "big") + part)
    return b"".join(records)


@given(st.lists(st.integers(1, 100), max_size=8))
def test_a_hello_may_be_cut_into_records(sizes: list[int]) -> None:
    hello = read_hello(in_records(hello_of("shop.example.com"), sizes))
    assert hello is not None
    assert hello.server_name == "shop.example.com"


HELLOS = [hello_of(name, newest=version) for name in (None, "a.example") for version in (
    ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3,
)]  # fmt: skip


@settings(max_examples=600)
@given(
    st.sampled_from(HELLOS),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_changed_hello_is_read_as_openssl_reads_it_or_refused(
    hello: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(hello)
    for at, value in changes:
        data[at % len(data)] = value
    changed = bytes(data)
    try:
        ours = read_hello(changed)
    except HelloError:
        return
    try:
        theirs = read_by_openssl(changed)
    except ssl.SSLError:
        return
    if ours is not None and theirs is not None:
        assert ours.server_name == theirs.lower().removesuffix(".")


def named(*names: bytes, kind: int = 0) -> bytes:
    """Return a hello with the entries of a list of names, as no client sends it."""
    entries = b"".join(bytes((kind,)) + len(name).to_bytes(2, "big") + name for name in names)
    listed = len(entries).to_bytes(2, "big") + entries
    extension = b"\x00\x00" + len(listed).to_bytes(2, "big") + listed
    extensions = len(extension).to_bytes(2, "big") + extension
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize(
    ("data", "alert"),
    [
        (b"GET / HTTP/1.1", UNEXPECTED_MESSAGE),
        (b"\x15\x03\x01\x00\x02\x02\x28", UNEXPECTED_MESSAGE),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", UNEXPECTED_MESSAGE),
        (b"\x16\x02\x00", DECODE_ERROR),
        (b"\x16\x03\x01\x00\x00", DECODE_ERROR),
        (b"\x16\x03\x01\x40\x01", DECODE_ERROR),
        (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", DECODE_ERROR),
        (b"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00", DECODE_ERROR),
        (named(), DECODE_ERROR),
        (named(b"a", b"b"), DECODE_ERROR),
        (named(b"a", kind=1), DECODE_ERROR),
        (named(b""), UNRECOGNIZED_NAME),
        (named(b"a\0b"), UNRECOGNIZED_NAME),
        (named("ü.example".encode()), UNRECOGNIZED_NAME),
        (named(b"a" * 256), UNRECOGNIZED_NAME),
    ],
)
def test_no_hello_is_refused_with_its_alert(data: bytes, alert: int) -> None:
    with pytest.raises(HelloError) as caught:
        read_hello(data)
    assert caught.value.alert == alert


def test_a_hello_without_end_is_refused() -> None:
    endless = b"\x16\x03\x01\x40\x00" + b"\x01\x00\x7f\x00" + bytes(16380)
    assert read_hello(endless) is None
    with pytest.raises(HelloError):
        read_hello(endless + b"\x16\x03\x01\x00\x01\x00" * (MAX_BYTES // 6))


def test_a_name_that_openssl_reads_otherwise_fails_the_handshake() -> None:
    contexts = Contexts()
    contexts.use((CERTIFICATE,), ())
    read, written = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = contexts.wrap(HostTls("a", CERTIFICATE.id), "another.example", read, written, http2=False)
    read.write(hello_of("a"))
    with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
        tls.do_handshake()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.example", "a.example"), ("b.example", "*.example"), ("x.b.example", ""), ("example", ""),
        (None, ""), ("", ""),
    ],
)  # fmt: skip
def test_a_host_is_found_by_name_by_wildcard_and_by_default(name: str | None, found: str) -> None:
    hosts = TlsHosts(ListenerTls(hosts=tuple(HostTls(host, "1") for host in ("", "*.example", "a.example"))))
    host = hosts.find(name)
    assert host is not None
    assert host.host == found
    without = TlsHosts(ListenerTls(hosts=(HostTls("a.example", "1"),)))
    assert (without.find(name) is not None) is (name == "a.example")


def test_requests_may_go_where_the_handshake_is_as_good() -> None:
    one, same, other, strict = (
        HostTls("one.example", "1", "a"), HostTls("same.example", "2", "a"),
        HostTls("other.example", "1", "b"), HostTls("strict.example", "1", "a", "TLSv1.3"),
    )  # fmt: skip
    hosts = TlsHosts(ListenerTls(hosts=(one, same, other, strict)))
    allowed = {
        name for name in ("one.example", "same.example", "other.example", "strict.example", "none.example")
        if hosts.serves(one, "one.example", name)
    }  # fmt: skip
    assert allowed == {"one.example", "same.example"}
    assert hosts.serves(strict, "strict.example", "one.example")
    assert hosts.serves(one, None, "other.example")
    assert not hosts.serves(one, None, "strict.example")
