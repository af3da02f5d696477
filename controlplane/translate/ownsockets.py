"""The sockets of this gateway: an endpoint with such an address leads back into it, or to its admin API.

Other ports of this machine are endpoints like any other: pods with hostNetwork have its address.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from controlplane.translate.addresses import embedded
from controlplane.translate.model import Facts
from proxy.model.snapshot import ClusterEndpoints

ALL: Final = frozenset(("", "0.0.0.0", "::"))
"""Bind addresses of a socket that every address of the machine reaches."""
ADMIN, LISTENER = "is the admin API of this gateway", "is a listener of this gateway: requests would go round"


class OwnSockets:
    """See `cause`, `without`."""

    def __init__(self, facts: Facts, ports: Iterable[int]) -> None:
        """`ports` are those of the listeners, without ports that other programs have."""
        self._addresses = frozenset(map(_plain, (*facts.own_addresses, *_literal(facts.address))))
        self._bound: dict[int, list[tuple[str, str]]] = {}
        sockets = [(facts.listen_address, port, LISTENER) for port in ports if port not in facts.failed_ports]
        if facts.admin is not None:
            sockets.append((*facts.admin, ADMIN))
        for address, port, what in sockets:
            bound = "" if address in ALL else _plain(address)
            self._bound.setdefault(port, []).append((bound, what))

    def cause(self, address: str, port: int) -> str:
        """Return why an endpoint may not have this address, a literal, with this port, "" when it may."""
        bound = self._bound.get(port)
        if bound is None:
            return ""
        plain = _plain(address)
        is_here = plain in self._addresses or ip_address(plain).is_loopback
        for where, what in bound:
            if plain == where or (not where and is_here):
                return f"with port {port} it {what}"
        return ""

    def without(self, clusters: Iterable[ClusterEndpoints]) -> tuple[ClusterEndpoints, ...]:
        """Return the clusters without those endpoints, which an earlier snapshot may have."""
        return tuple(
            ClusterEndpoints(
                part.cluster,
                tuple(each for each in part.endpoints if not self.cause(each.address, each.port)),
                part.pods,
            )
            for part in clusters
        )


def _plain(text: str) -> str:
    """Return the IPv4 address inside an IPv6 address, or the address itself."""
    address = ip_address(text.partition("%")[0])
    return str(embedded(address) or address)


def _literal(text: str) -> tuple[str, ...]:
    try:
        ip_address(text)
    except ValueError:
        return ()
    return (text,)
