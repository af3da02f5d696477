"""Sets of client addresses. An IPv4 address that IPv6 wraps (::ffff:a.b.c.d) is that IPv4 address."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

REMEMBERED: Final = 4096  # addresses; parsing one takes microseconds

_Number = tuple[int, int]
"""The version of an address and its value."""

_MAPPED_BITS: Final = 96


class Networks:
    """Networks in CIDR notation; how many there are of the same size does not matter to a lookup."""

    __slots__ = ("_values",)

    def __init__(self, networks: Iterable[str]) -> None:
        """Read `networks`, without the bits of the host part. Raises ValueError."""
        self._values: dict[_Number, set[int]] = {}  # by version and mask
        for text in networks:
            version, mask, value = _network(text)
            self._values.setdefault((version, mask), set()).add(value)

    def __bool__(self) -> bool:
        return bool(self._values)

    def covers(self, address: bytes) -> bool:
        """Whether one of the networks has this address; a text that is no address is in none."""
        number = _parse(address)
        if number is None:
            return False
        for (version, mask), values in self._values.items():
            if version == number[0] and (number[1] & mask) in values:
                return True
        return False


def _network(text: str) -> tuple[int, int, int]:
    """Return version, mask and value."""
    network = ip_network(text, strict=False)
    first, prefix = network.network_address, network.prefixlen
    if isinstance(first, IPv6Address) and first.ipv4_mapped is not None and prefix >= _MAPPED_BITS:
        network = ip_network((first.ipv4_mapped, prefix - _MAPPED_BITS))
    return network.version, int(network.netmask), int(network.network_address)


def is_address(text: bytes) -> bool:
    """Whether the text is an address: for a client that trusted proxies could not name it is not."""
    return _parse(text) is not None


@lru_cache(REMEMBERED)
def _parse(text: bytes) -> _Number | None:
    try:
        address: IPv4Address | IPv6Address = ip_address(text.decode("ascii"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)
