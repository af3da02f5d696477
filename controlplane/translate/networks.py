"""Lists of client addresses, as both dialects write them: single ones or networks (CIDR)."""

from ipaddress import ip_network
from typing import Final

from proxy.routing.networks import Networks

NOBODY: Final = ("0.0.0.0/0", "::/0")
"""Everybody, as a list to deny: what an allow list stands for of which no entry can be used."""

ALLOWED: Final = "IP addresses and networks like 10.0.0.0/8"


def parse_network(text: object, *, strict: bool = False) -> str | None:
    """Return the network in its usual form, None for what is none, or nothing that a worker can use.

    An address is a network of its own. `strict`: bits of the host part are none.
    """
    if not isinstance(text, str) or "%" in text:
        return None
    try:
        network = str(ip_network(text.strip(), strict=strict))
        Networks((network,))
    except ValueError:
        return None
    return network
