"""Which addresses an endpoint may have: who can write EndpointSlices must not aim the gateway anywhere.

CVE-2021-25740 and CVE-2021-25737: link-local addresses reach cloud metadata services, loopback the
gateway's own admin port, and kubelet and etcd listen beside the pods.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

_REFUSED_PORTS: Final = {10250: "kubelet", 10255: "kubelet", 2379: "etcd", 2380: "etcd"}
_METADATA: Final = frozenset(map(ip_address, ("100.100.100.200", "fd00:ec2::254")))
_NAT64: Final = IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE: Final = IPv6Network("::/96")  # obsolete, but kernels still parse it
_BROADCAST: Final = IPv4Address("255.255.255.255")


@lru_cache(maxsize=65536)
def refused_address(text: str, version: int, allow_loopback: bool) -> str:
    """Return why an endpoint may not have this address, "" when it may. `version` is 4 or 6."""
    try:
        address = ip_address(text)
    except ValueError:
        return "it is no IP address"
    if address.version != version or "%" in text:
        return f"it is no IPv{version} address"
    address = embedded(address) or address
    if address.is_loopback:
        return "" if allow_loopback else "it is a loopback address"
    if address.is_link_local or address in _METADATA:
        return "it is link-local, where cloud metadata services are"
    if address.is_multicast or address == _BROADCAST:
        return "it is a multicast or broadcast address"
    if address.is_unspecified or (address.version == 4 and address.packed[0] == 0):
        return "it is the unspecified address"
    return ""


def refused_port(port: int) -> str:
    """Return why an endpoint may not have this port, "" when it may."""
    if not 1 <= port <= 65535:
        return f"{port} is no port"
    owner = _REFUSED_PORTS.get(port)
    return f"port {port} is the port of {owner}" if owner else ""


def embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64 or (address in _IPV4_COMPATIBLE and int(address) > 1):
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour
