"""Lists of client addresses, as both dialects write them: single ones or networks (CIDR)."""

from ipaddress import ip_network
from typing import Final

from proxy.routing.networks import Networks

NOBODY: Final = ("0.0.0.0/0", "::/0")
"""All addresses, as a deny list: the meaning of an allow list without a usable entry."""

ALLOWED: Final = "IP addresses and networks like 10.0.0.0/8"


def parse_network(text: object, *, strict: bool = False) -> str | None:
    """Return the network in its usual form, None for a text that is no network or that no worker can use.

    An address is a network of its own. `strict` refuses networks with bits in the host part.
    """
    if not isinstance(text, str) or "%" in text:
        return None
    try:
        network = str(ip_network(text.strip(), strict=strict))
        Networks((network,))
    except ValueError:
        return None
    return network
