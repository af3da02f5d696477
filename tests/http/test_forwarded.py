"""Which address a client behind trusted proxies has, and over which scheme it came."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.forwarded import TrustedNetworks, read_hops, read_scheme

TRUSTED = TrustedNetworks(("10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"))
CLIENT = b"198.51.100.9"


PEER = b"10.0.0.1"
NOBODY_BEHIND = (b"unknown", b"unknown, 10.0.0.1")
CLIENT_BEHIND = (CLIENT, b"198.51.100.9, 10.0.0.1")
V6_BEHIND = (b"2001:db8::1", b"2001:db8::1, 10.0.0.1")


@pytest.mark.parametrize("peer", [CLIENT, b"192.0.2.8", b"10.0.0.1%eth0", b"unknown", b""])
def test_a_stranger_is_no_trusted_proxy(peer: bytes) -> None:
    assert not TRUSTED.trusts(peer)


@pytest.mark.parametrize("peer", [b"10.0.0.1", b"192.0.2.7", b"2001:db8:1::5", b"::ffff:10.0.0.1"])
def test_a_trusted_proxy_is_known_by_its_network(peer: bytes) -> None:
    assert TRUSTED.trusts(peer)


@pytest.mark.parametrize(
    ("received", "client", "chain"),
    [
        ((), PEER, PEER),
        ((CLIENT,), *CLIENT_BEHIND),
        # what stands left of the client was written by the client
        ((b"1.1.1.1, 198.51.100.9",), *CLIENT_BEHIND),
        ((b"nonsense, 198.51.100.9",), *CLIENT_BEHIND),
        ((b", ,, 198.51.100.9",), *CLIENT_BEHIND),
        ((b"198.51.100.9, 10.9.9.9",), CLIENT, b"198.51.100.9, 10.9.9.9, 10.0.0.1"),
        ((b"1.1.1.1", b"198.51.100.9", b"10.9.9.9"), CLIENT, b"198.51.100.9, 10.9.9.9, 10.0.0.1"),
        ((b"198.51.100.9,10.9.9.9 ,\t10.9.9.8",), CLIENT, b"198.51.100.9, 10.9.9.9, 10.9.9.8, 10.0.0.1"),
        # all are proxies: the first of them
        ((b"10.9.9.9, 10.9.9.8",), b"10.9.9.9", b"10.9.9.9, 10.9.9.8, 10.0.0.1"),
        # one address, many spellings
        ((b"198.51.100.9:4711",), *CLIENT_BEHIND),
        ((b"::ffff:198.51.100.9",), *CLIENT_BEHIND),
        ((b"[::ffff:198.51.100.9]:80",), *CLIENT_BEHIND),
        ((b"::FFFF:C633:6409",), *CLIENT_BEHIND),
        ((b"2001:DB8:0:0::1",), *V6_BEHIND),
        ((b"[2001:db8::1]",), *V6_BEHIND),
        ((b"[2001:db8::1]:65535",), *V6_BEHIND),
        ((b"198.51.100.9, ::ffff:10.1.1.1",), CLIENT, b"198.51.100.9, 10.1.1.1, 10.0.0.1"),
        ((b"198.51.100.9, 10.1.1.1:8080",), CLIENT, b"198.51.100.9, 10.1.1.1, 10.0.0.1"),
        ((b"198.51.100.9, [2001:db8:1::2]:8080",), CLIENT, b"198.51.100.9, 2001:db8:1::2, 10.0.0.1"),
        # as long as it likes: neither hops nor bytes make the proxy the client
        ((b", ".join([b"1.1.1.1"] * 500 + [CLIENT]),), *CLIENT_BEHIND),
        ((b"x" * 8000 + b",198.51.100.9",), *CLIENT_BEHIND),
        ((b"," * 8000 + CLIENT,), *CLIENT_BEHIND),
        ((b" " * 8000 + CLIENT,), *CLIENT_BEHIND),
        (tuple([b"1.1.1.1"] * 90 + [CLIENT]), *CLIENT_BEHIND),
        ((b", ".join([CLIENT] + [b"10.9.9.9"] * 300),), CLIENT,
         b", ".join([CLIENT] + [b"10.9.9.9"] * 300 + [PEER])),
        # what cannot be read is nobody, never the proxy
        ((b"unknown",), *NOBODY_BEHIND),
        ((b"_hidden",), *NOBODY_BEHIND),
        ((b"",), *NOBODY_BEHIND),
        ((b" ",), *NOBODY_BEHIND),
        ((b"198.51.100.9,",), *NOBODY_BEHIND),
        ((b"198.51.100.9", b""), *NOBODY_BEHIND),
        ((b"1.1.1.1, unknown, 10.9.9.9",), b"unknown", b"unknown, 10.9.9.9, 10.0.0.1"),
        ((b"fe80::1%eth0",), *NOBODY_BEHIND),
        ((b"010.0.0.1",), *NOBODY_BEHIND),
        ((b"10.0.0",), *NOBODY_BEHIND),
        ((b"10.0.0.1/8",), *NOBODY_BEHIND),
        ((b"198.51.100.\xb9",), *NOBODY_BEHIND),
        ((b"198.51.100.9:",), *NOBODY_BEHIND),
        ((b"198.51.100.9:http",), *NOBODY_BEHIND),
        ((b"198.51.100.9:123456",), *NOBODY_BEHIND),
        ((b"[198.51.100.9]",), *NOBODY_BEHIND),
        ((b"[2001:db8::1",), *NOBODY_BEHIND),
        ((b"2001:db8::1]",), *NOBODY_BEHIND),
        ((b"[2001:db8::1]80",), *NOBODY_BEHIND),
        ((b'"198.51.100.9"',), *NOBODY_BEHIND),
        ((b"for=198.51.100.9",), *NOBODY_BEHIND),
        ((b"localhost",), *NOBODY_BEHIND),
        ((b"198.51.100.9 10.0.0.1",), *NOBODY_BEHIND),
    ],
)  # fmt: skip
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(
    received: tuple[bytes, ...], client: bytes, chain: bytes
) -> None:
    hops = read_hops(PEER, received, TRUSTED)
    assert (hops.client, hops.chain) == (client, chain)
    assert hops.count == chain.count(b",")


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_a_client_cannot_choose_what_the_proxy_behind_it_is_told(written: list[bytes]) -> None:
    hops = read_hops(PEER, (*written, CLIENT), TRUSTED)
    assert (hops.client, hops.chain) == CLIENT_BEHIND


@given(st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([b"10.1.1.1", b"[2001:db8:1::1]:1", b""]))))
def test_a_list_never_makes_the_proxy_the_client(entries: list[bytes]) -> None:
    hops = read_hops(PEER, (b",".join(entries),), TRUSTED)
    assert hops.client == b"unknown" or ip_address(hops.client.decode())
    assert hops.client != PEER or b"10.0.0.1" in b",".join(entries)


@pytest.mark.parametrize(
    ("received", "hops", "scheme"),
    [
        ((), 1, b"http"),
        ((b"https",), 1, b"https"),
        ((b"HTTPS",), 0, b"https"),
        ((b"http",), 1, b"http"),
        ((b"wss",), 1, b"https"),
        ((b"ws",), 1, b"http"),
        # the value of the proxy that the request came from; what stands left of it may be the client's
        ((b"https, http",), 1, b"http"),
        ((b"http, https",), 1, b"https"),
        ((b"http", b"https"), 1, b"https"),
        ((b"https", b"http"), 1, b"http"),
        ((b"nonsense,https",), 1, b"https"),
        # proxies that append: the value of the first of them, which is about the client
        ((b"https, http",), 2, b"https"),
        ((b"http, https, http",), 2, b"https"),
        ((b"https, http, http",), 2, b"http"),
        # proxies that pass on what they got
        ((b"https",), 3, b"https"),
        # what cannot be read is no reason to believe anything
        ((b"",), 1, b"http"),
        ((b"https,",), 1, b"http"),
        ((b"httpss",), 1, b"http"),
        ((b'"https"',), 1, b"http"),
        ((b"on",), 1, b"http"),
        ((b"https;x",), 1, b"http"),
        ((b"ht\xe9",), 1, b"http"),
    ],
)
def test_the_scheme_is_that_of_the_client(received: tuple[bytes, ...], hops: int, scheme: bytes) -> None:
    assert read_scheme(received, hops, b"http") == scheme
    assert read_scheme(received, hops, b"https") == (scheme if received else b"https")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "example.com", "", "10.0.0.0/8 "])
def test_text_that_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|network|host bits|Netmask"):
        TrustedNetworks((text,))
