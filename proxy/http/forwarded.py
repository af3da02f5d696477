"""The client of a request behind trusted proxies, and the fields that name it: X-Forwarded-For and -Proto.

A proxy that is trusted (by the network its connection comes from) appends the address that it got a
request from. So the list is read from its right end, and the first address that is no trusted proxy is the
client. The client wrote all entries left of that address, at any length. An entry that cannot be read makes
the client NOBODY, never the proxy: access lists may allow the proxy more than they may allow NOBODY.
"""

import re
from ipaddress import IPv6Address, ip_network
from typing import Final

NOBODY: Final = b"unknown"
"""The address of a client that a trusted proxy could not name; RFC 7239 §6.2 has the word."""

ATTEMPT_NAME: Final = b"x-fleetgate-attempt"
FIRST_ATTEMPT: Final = b"X-Fleetgate-Attempt: 1\r\n"
"""Tells the next gateway that this gateway repeats requests: 3 attempts of 3 would make 9."""

_OCTET: Final = rb"(0|[1-9][0-9]{0,2})"
_PORT: Final = rb"(?::[0-9]{1,5})?"
_V4: Final = re.compile(rb"\.".join([_OCTET] * 4) + _PORT)
_V6_IN_BRACKETS: Final = re.compile(rb"\[([0-9A-Fa-f:.]++)\]" + _PORT)
_V6: Final = re.compile(rb"[0-9A-Fa-f:.]++")  # without a zone, which is meaningful on one machine only
_MAPPED: Final = 0xFFFF  # RFC 4291 §2.5.5.2: the bits before the 32 of an IPv4 address
_SCHEMES: Final = {b"https": b"https", b"wss": b"https"}
"""Some proxies (Traefik) name the scheme of a WebSocket. All other values are those of a plain connection."""


class Address:
    """An address without port, brackets or zone; an IPv4 address that IPv6 wraps is that itself."""

    __slots__ = ("number", "text", "version")

    def __init__(self, version: int, number: int, text: bytes) -> None:
        self.version = version
        self.number = number
        self.text = text  # in normal form


class TrustedNetworks:
    """Networks whose connections are those of proxies that may speak for their clients."""

    __slots__ = ("_networks",)

    def __init__(self, networks: tuple[str, ...]) -> None:
        """`networks` in CIDR notation or single addresses. Raises ValueError."""
        self._networks: list[tuple[int, int, int]] = []  # version, mask, masked address
        for text in networks:
            network = ip_network(text)
            self._networks.append(
                (network.version, int(network.netmask), int(network.network_address)),
            )

    def __contains__(self, address: Address) -> bool:
        for version, mask, number in self._networks:
            if version == address.version and address.number & mask == number:
                return True
        return False

    def trusts(self, peer: bytes) -> bool:
        """Whether a connection from this address is that of a trusted proxy."""
        address = _read_v6(peer) if b":" in peer else _read_entry(peer)
        return address is not None and address in self


class Hops:
    """The report of trusted proxies about one request."""

    __slots__ = ("chain", "client", "count")

    def __init__(self, client: bytes, chain: bytes, count: int) -> None:
        self.client = client  # address, or NOBODY
        self.chain = chain  # value of the X-Forwarded-For to send on
        self.count = count  # of entries that trusted proxies wrote; the leftmost of them is the client


def read_hops(peer: bytes, received: tuple[bytes, ...], networks: TrustedNetworks) -> Hops:
    """Return the client behind `peer`, a trusted proxy, with the chain of proxies between.

    `received` are the values of the X-Forwarded-For fields in their order. Without any, the client is the
    peer. The chain has no entry left of the client: no proxy vouches for them. Reading ends at the first
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
            address = _read_entry(value[start:end].strip(b" \t"))
            client = NOBODY if address is None else address.text
            chain.append(client)
            if address is None or address not in networks:
                return _hops(client, chain)
            end = start - 1
    return _hops(client, chain)


def _hops(client: bytes, chain: list[bytes]) -> Hops:
    chain.reverse()
    return Hops(client, b", ".join(chain), len(chain) - 1)


def read_scheme(received: tuple[bytes, ...], hops: int, own: bytes) -> bytes:
    """Return the scheme that the client used, as trusted proxies report it.

    `received` are the values of the X-Forwarded-Proto fields. Proxies that append to the list write an entry
    for each of theirs in X-Forwarded-For, so the entry of the client stands as far from the right there as
    here; most proxies write one value, for the client. A value that cannot be read counts as http. `own` is
    the scheme of the proxy's connection, which counts where the proxy reports none.
    """
    if not received:
        return own
    values = b",".join(received).rsplit(b",", max(hops, 1))[-max(hops, 1) :]
    return _SCHEMES.get(values[0].strip(b" \t").lower(), b"http")


def _read_entry(text: bytes) -> Address | None:
    """Return the address of an entry: bare, with a port, in brackets, or in brackets with a port.

    IPv4 is read by hand: a client can have hundreds of entries read that look like trusted proxies (measured:
    0.9 µs instead of 3.5).
    """
    match = _V4.fullmatch(text)
    if match is not None:
        a, b, c, d = match.groups()
        return _v4(int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d), max(int(a), int(b), int(c), int(d)))
    match = _V6_IN_BRACKETS.fullmatch(text)
    return _read_v6(text if match is None else match.group(1))


def _v4(number: int, largest_octet: int = 0) -> Address | None:
    if largest_octet > 255:
        return None
    text = b"%d.%d.%d.%d" % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255)
    return Address(4, number, text)


def _read_v6(text: bytes) -> Address | None:
    if b":" not in text or _V6.fullmatch(text) is None:
        return None
    try:
        address = IPv6Address(text.decode("ascii"))
    except ValueError:
        return None
    number = int(address)
    if number >> 32 == _MAPPED:
        return _v4(number & 0xFFFFFFFF)
    return Address(6, number, str(address).encode())


def numbered(head: bytes, attempt: int) -> bytes:
    """Return the head of a first attempt with the number of another attempt."""
    return head.replace(b"\r\n" + FIRST_ATTEMPT, b"\r\nX-Fleetgate-Attempt: %d\r\n" % attempt, 1)
