"""Who the client is, and what is said of it onwards: X-Forwarded-For behind trusted proxies.

A proxy that is trusted (by the network its connection comes from) appends the address that it got a
request from. So the list is read from its right end, and the first address that is no trusted proxy
is the client; what stands left of it was written by the client, who may write what it likes.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

MAX_HOPS: Final = 20
MAX_BYTES: Final = 1024

ATTEMPT_NAME: Final = b"x-fleetgate-attempt"
FIRST_ATTEMPT: Final = b"X-Fleetgate-Attempt: 1\r\n"
"""Tells a gateway behind this one that requests are repeated here: 3 attempts of 3 would make 9."""

_ZONE: Final = "%"


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
            return any(address in network for network in self._v4)
        return any(address in network for network in self._v6)

    def trusts(self, peer: bytes) -> bool:
        """Whether a connection from this address is that of a trusted proxy."""
        address = _parsed(peer)
        return address is not None and address in self


def client_and_chain(
    peer: bytes, received: tuple[bytes, ...], networks: TrustedNetworks
) -> tuple[bytes, bytes]:
    """Return the client's address, and the value of the X-Forwarded-For to send on.

    `received` are the values of the X-Forwarded-For fields in their order. They count only when the
    peer is a trusted proxy. What cannot be read, or is too long, does not count either: then the
    peer is the client. The value sent on holds nothing left of the client: nobody vouches for that.
    """
    if not received or not networks.trusts(peer):
        return peer, peer
    value = b",".join(received)
    hops = value.split(b",")
    if len(value) > MAX_BYTES or len(hops) > MAX_HOPS:
        return peer, peer
    chain = [peer]
    for hop in reversed(hops):
        address = _parsed(hop.strip(b" \t"))
        if address is None:
            return peer, peer
        chain.append(str(address).encode())
        if address not in networks:
            break
    chain.reverse()
    return chain[0], b", ".join(chain)


def _parsed(text: bytes) -> IPv4Address | IPv6Address | None:
    """Return an address without port, brackets or zone; an IPv4 address that IPv6 wraps is that itself."""
    try:
        decoded = text.decode("ascii")
        address = ip_address(decoded)
    except ValueError:
        return None
    if _ZONE in decoded:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def numbered(head: bytes, attempt: int) -> bytes:
    """Return the head of a first attempt as that of another one."""
    return head.replace(b"\r\n" + FIRST_ATTEMPT, b"\r\nX-Fleetgate-Attempt: %d\r\n" % attempt, 1)
