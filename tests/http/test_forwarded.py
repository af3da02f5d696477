"""The client's address behind trusted proxies: always the rightmost that no trusted proxy has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.forwarded import MAX_BYTES, MAX_HOPS, TrustedNetworks, client_and_chain

TRUSTED = TrustedNetworks(("10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"))
PROXY, CLIENT = b"10.0.0.1", b"198.51.100.9"


@pytest.mark.parametrize(
    ("peer", "received", "client", "chain"),
    [
        # from somebody who is not trusted nothing is believed
        (CLIENT, (b"203.0.113.1",), CLIENT, CLIENT),
        (CLIENT, (b"10.0.0.2",), CLIENT, CLIENT),
        (b"10.0.0.1%eth0", (b"203.0.113.1",), b"10.0.0.1%eth0", b"10.0.0.1%eth0"),
        # from a trusted proxy
        (PROXY, (), PROXY, PROXY),
        (PROXY, (CLIENT,), CLIENT, b"198.51.100.9, 10.0.0.1"),
        (b"192.0.2.7", (CLIENT,), CLIENT, b"198.51.100.9, 192.0.2.7"),
        (b"2001:db8:1::5", (CLIENT,), CLIENT, b"198.51.100.9, 2001:db8:1::5"),
        (b"192.0.2.8", (CLIENT,), b"192.0.2.8", b"192.0.2.8"),
        # what stands left of the client was written by the client
        (PROXY, (b"1.1.1.1, 198.51.100.9",), CLIENT, b"198.51.100.9, 10.0.0.1"),
        (PROXY, (b"nonsense, 198.51.100.9",), CLIENT, b"198.51.100.9, 10.0.0.1"),
        (PROXY, (b"198.51.100.9, 10.9.9.9",), CLIENT, b"198.51.100.9, 10.9.9.9, 10.0.0.1"),
        (PROXY, (b"1.1.1.1", b"198.51.100.9", b"10.9.9.9"), CLIENT, b"198.51.100.9, 10.9.9.9, 10.0.0.1"),
        (PROXY, (b"198.51.100.9,10.9.9.9 ,\t10.9.9.8",), CLIENT,
         b"198.51.100.9, 10.9.9.9, 10.9.9.8, 10.0.0.1"),
        # all are proxies: the first of them
        (PROXY, (b"10.9.9.9, 10.9.9.8",), b"10.9.9.9", b"10.9.9.9, 10.9.9.8, 10.0.0.1"),
        # one address, many spellings
        (PROXY, (b"2001:DB8:0:0::1",), b"2001:db8::1", b"2001:db8::1, 10.0.0.1"),
        (PROXY, (b"198.51.100.9, ::ffff:10.1.1.1",), CLIENT, b"198.51.100.9, 10.1.1.1, 10.0.0.1"),
        # what cannot be read does not count
        (PROXY, (b"198.51.100.9:4711",), PROXY, PROXY),
        (PROXY, (b"[2001:db8::1]",), PROXY, PROXY),
        (PROXY, (b"fe80::1%eth0",), PROXY, PROXY),
        (PROXY, (b"unknown",), PROXY, PROXY),
        (PROXY, (b"",), PROXY, PROXY),
        (PROXY, (b"198.51.100.9,",), PROXY, PROXY),
        (PROXY, (b"010.0.0.1",), PROXY, PROXY),
        (PROXY, (b"198.51.100.\xb9",), PROXY, PROXY),
        (PROXY, (b", ".join([CLIENT] * (MAX_HOPS + 1)),), PROXY, PROXY),
        (PROXY, (b" " * MAX_BYTES + CLIENT,), PROXY, PROXY),
    ],
)  # fmt: skip
def test_who_the_client_is(peer: bytes, received: tuple[bytes, ...], client: bytes, chain: bytes) -> None:
    assert client_and_chain(peer, received, TRUSTED) == (client, chain)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_a_client_cannot_choose_what_the_proxy_behind_it_is_told(written: list[bytes]) -> None:
    received = (*written, CLIENT)
    found, chain = client_and_chain(PROXY, received, TRUSTED)
    assert (found, chain) in ((CLIENT, b"198.51.100.9, 10.0.0.1"), (PROXY, PROXY))


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "example.com", "", "10.0.0.0/8 "])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|network|host bits|Netmask"):
        TrustedNetworks((text,))
