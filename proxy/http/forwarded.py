"""Who the client is, and what is said of it onwards: X-Forwarded-For and -Proto behind trusted proxies.

A proxy that is trusted (by the network its connection comes from) appends the address that it got a
request from. So the list is read from its right end, and the first address that is no trusted proxy is the
client. The client wrote what stands left of it, at any length. An entry that cannot be read makes the client
*nobody*, never the proxy: access lists may allow the proxy what they must not allow nobody.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

NOBODY: Final = b"unknown"
"""The address of a client that a trusted proxy could not name; RFC 7239 §6.2 has the word."""

ATTEMPT_NAME: Final = b"x-fleetgate-attempt"
FIRST_ATTEMPT: Final = b"X-Fleetgate-Attempt: 1\r\n"
"""Tells a gateway behind this one that requests are repeated here: 3 attempts of 3 would make 9."""

_ZONE: Final = b"%"
_WITH_PORT: Final = re.compile(rb"(?:([0-9.]++)|\[([0-9A-Fa-f:.]++)\])(?::[0-9]{1,5}+)?+")
"""An address as load balancers write it, with its port or without; plain IPv6 addresses have no brackets."""
_SCHEMES: Final = {b"https": b"https", b"wss": b"https"}
"""Some proxies (Traefik) name the scheme of a WebSocket. All other values are those of a plain connection."""


class TrustedNetworks:
    """Networks whose connections are those of proxies that may speak for their clients."""

    __slots__ = ("_v4", "_v6")

    def __init__(self, networks: tuple[str, ...]) -> None:
        """`networks` in CIDR notation or single addresses. Raises ValueError."""
        self._v4: list[IPv4Network] = []
        self._v6: list[IPv6Network] = []
        for text in networks:
            network = ip_network(text)
            if isinstance(network, IPv4Network):
                self._v4.append(network)
            else:
                self._v6.append(network)

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        if isinstance(address, IPv4Address):
            for v4 in self._v4:  # loops here, not any(): run for every hop  # noqa: SIM110
                if address in v4:
                    return True
            return False
        for v6 in self._v6:  # noqa: SIM110
            if address in v6:
                return True
        return False

    def trusts(self, peer: bytes) -> bool:
        """Whether a connection from this address is that of a trusted proxy."""
        address = _parsed(peer)
        return address is not None and address in self


class Hops:
    """What trusted proxies say of a request."""

    __slots__ = ("chain", "client", "count")

    def __init__(self, client: bytes, chain: bytes, count: int) -> None:
        self.client = client  # address, or NOBODY
        self.chain = chain  # value of the X-Forwarded-For to send on
        self.count = count  # of entries that trusted proxies wrote; the leftmost of them is the client


def read_hops(peer: bytes, received: tuple[bytes, ...], networks: TrustedNetworks) -> Hops:
    """Return who the client is behind `peer`, a trusted proxy.

    `received` are the values of the X-Forwarded-For fields in their order. Without any, the client is the
    peer. The chain holds nothing left of the client: nobody vouches for that. Reading ends at the first
    address that is not trusted; the size of a head bounds the work.
    """
    if not received:
        return Hops(peer, peer, 0)
    chain = [peer]
    client = peer
    for value in reversed(received):
        end = len(value)
        while end >= 0:
            start = value.rfind(b",", 0, end) + 1
            address = _entry(value[start:end].strip(b" \t"))
            client = NOBODY if address is None else str(address).encode()
            chain.append(client)
            if address is None or address not in networks:
                return _hops(client, chain)
            end = start - 1
    return _hops(client, chain)


def _hops(client: bytes, chain: list[bytes]) -> Hops:
    chain.reverse()
    return Hops(client, b", ".join(chain), len(chain) - 1)


def read_scheme(received: tuple[bytes, ...], hops: int) -> bytes:
    """Return the scheme that the client used, as trusted proxies report it.

    `received` are the values of the X-Forwarded-Proto fields. Proxies that append to the list write an entry
    for each of theirs in X-Forwarded-For, so the entry of the client stands as far from the right there as
    here; most proxies write one value, for the client. What cannot be read is http.
    """
    values = b",".join(received).rsplit(b",", max(hops, 1))[-max(hops, 1) :]
    return _SCHEMES.get(values[0].strip(b" \t").lower(), b"http")


def _entry(text: bytes) -> IPv4Address | IPv6Address | None:
    """Return the address of an entry: bare, with a port, in brackets, or in brackets with a port."""
    match = _WITH_PORT.fullmatch(text)
    if match is None:
        return _parsed(text)
    v4: bytes | None = match.group(1)
    if v4 is not None:
        return _parsed(v4)
    v6: bytes = match.group(2)
    return _parsed(v6) if b":" in v6 else None


def _parsed(text: bytes) -> IPv4Address | IPv6Address | None:
    """Return an address without port, brackets or zone; an IPv4 address that IPv6 wraps is that itself."""
    if _ZONE in text:
        return None
    try:
        address = ip_address(text.decode("ascii"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def numbered(head: bytes, attempt: int) -> bytes:
    """Return the head of a first attempt as that of another one."""
    return head.replace(b"\r\n" + FIRST_ATTEMPT, b"\r\nX-Fleetgate-Attempt: %d\r\n" % attempt, 1)
