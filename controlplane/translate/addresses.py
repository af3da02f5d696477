"""Addresses that an endpoint may have: authors of EndpointSlices must not aim the gateway anywhere.

CVE-2021-25740 and CVE-2021-25737: link-local addresses reach cloud metadata services, loopback the gateway's
own admin port, and kubelet and etcd listen beside the pods. Addresses that no pod can have are refused: those
of the IANA special-purpose address registries (RFC 6890, as of 2026-11), and those that clouds document.
Allowed are private, shared (100.64.0.0/10), benchmarking, example and class E addresses: clusters give them
to pods.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_REFUSED_PORTS: Final = {10250: "kubelet", 10255: "kubelet", 2379: "etcd", 2380: "etcd"}

_LINK_LOCAL: Final = "it is link-local, where cloud metadata services are"
_METADATA: Final = "it is a metadata service of a cloud"
_ASSIGNED: Final = "IETF protocols have it (RFC 6890)"
_TUNNEL: Final = "it is the address of a tunnel, which may lead anywhere"
_REFUSED: Final = {
    "0.0.0.0/8": "it is the unspecified address",  # RFC 791 §3.2; Linux takes 0.0.0.0 for loopback
    "127.0.0.0/8": "it is a loopback address",
    "169.254.0.0/16": _LINK_LOCAL,
    "168.63.129.16/32": _METADATA,  # Azure: WireServer, DNS and the agent's secrets
    "100.100.100.200/32": _METADATA,  # Alibaba Cloud
    "192.0.0.0/24": _ASSIGNED,  # RFC 6890; 192.0.0.192 is the metadata service of Oracle Cloud's older images
    "192.88.99.0/24": _TUNNEL,  # RFC 7526: relays of 6to4
    "224.0.0.0/4": "it is a multicast address",
    "255.255.255.255/32": "it is the broadcast address",
    "::/128": "it is the unspecified address",
    "::1/128": "it is a loopback address",
    "64:ff9b:1::/48": _TUNNEL,  # RFC 8215: NAT64 of a site; only it knows where the IPv4 address is
    "100::/64": "packets to it are discarded (RFC 6666)",
    "2001::/32": _TUNNEL,  # RFC 4380: Teredo
    "2001::/23": _ASSIGNED,  # RFC 2928: Teredo again, benchmarks, ORCHIDs, AMT, AS112
    "fe80::/10": _LINK_LOCAL,
    "fec0::/10": "it is site-local, which is no more (RFC 3879)",
    "ff00::/8": "it is a multicast address",
    "fd00:ec2::/32": _METADATA,  # AWS: ::254 metadata, ::23 credentials of EKS pods, ::253 DNS, ::123 time
    "fd20:ce::/64": _METADATA,  # Google Cloud: fd20:ce::254
    "fd00:42::42/128": _METADATA,  # Scaleway
    "fd00:a9fe:a9fe::1/128": _METADATA,  # Akamai (Linode)
}
_BY_VERSION: Final = {
    version: tuple(
        (int(network.netmask), int(network.network_address), cause)
        for network, cause in ((ip_network(text), cause) for text, cause in _REFUSED.items())
        if network.version == version
    )
    for version in (4, 6)
}
"""Mask, bits and cause: ten thousand addresses of a first list are looked up in a moment."""

_EMBEDDING: Final = (
    IPv6Network("::ffff:0:0/96"),  # RFC 4291 §2.5.5.2: IPv4-mapped; the kernel speaks IPv4
    IPv6Network("::ffff:0:0:0/96"),  # RFC 2765 §2.1: IPv4-translated
    IPv6Network("64:ff9b::/96"),  # RFC 6052: NAT64
    IPv6Network("::/96"),  # RFC 4291 §2.5.5.1: IPv4-compatible; obsolete, but kernels still parse it
)
"""Networks whose last four octets are an IPv4 address."""
_ISATAP: Final = (
    b"\x00\x00\x5e\xfe",
    b"\x02\x00\x5e\xfe",
)  # RFC 5214 §6.1: the middle of an interface identifier
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")  # RFC 3056


@lru_cache(maxsize=65536)
def refused_address(text: str, version: int, allow_loopback: bool) -> str:
    """Return why an endpoint may not have this address, "" when it may. `version` is 4 or 6."""
    try:
        address = ip_address(text)
    except ValueError:
        return "it is no IP address"
    if address.version != version or "%" in text:
        return f"it is no IPv{version} address"
    wrapped = embedded(address)
    judged = wrapped or address
    if judged.is_loopback and allow_loopback:
        return ""
    bits = int(judged)
    cause = next((cause for mask, value, cause in _BY_VERSION[judged.version] if bits & mask == value), "")
    return f"{cause} ({wrapped})" if cause and wrapped else cause


def refused_port(port: int) -> str:
    """Return why an endpoint may not have this port, "" when it may."""
    if not 1 <= port <= 65535:
        return f"{port} is no port"
    owner = _REFUSED_PORTS.get(port)
    return f"port {port} is the port of {owner}" if owner else ""


def embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return None
    if address in _SIX_TO_FOUR:
        return IPv4Address(address.packed[2:6])
    if address.packed[8:12] in _ISATAP or any(address in network for network in _EMBEDDING):
        return IPv4Address(address.packed[-4:])
    return None
