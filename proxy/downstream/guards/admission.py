"""Which client connections may stay: counts per worker and per source address, and of refusals."""

import socket
from typing import Final

from proxy.model.limits import Limits
from proxy.model.statistics import ShedCount

WORKER: Final = "worker"
ADDRESS: Final = "address"
DESCRIPTORS: Final = "descriptors"
OVERLOAD: Final = "overload"  # a connection in the kernel's queue
WAITED: Final = "waited"  # a request on an open connection, in overload

CAUSES: Final[dict[str, str]] = {
    WORKER: "The gateway has as many connections as it may have.",
    ADDRESS: "Too many connections from this address.",
    DESCRIPTORS: "",  # closed while idle: there is no request to answer
}
"""Why a connection is shed, with the sentence that its client reads."""

MAX_LINGERING: Final = 256
"""Refused connections that may still read their answer; those beyond are cut without one."""


class Admission:
    """Client connections of one worker, over all its listeners."""

    __slots__ = ("_by_address", "_shed", "admitted", "limits", "open", "refused")

    def __init__(self) -> None:
        self.limits = Limits()
        self.open = 0  # sockets, those of refused clients included
        self.admitted = 0
        self._by_address: dict[bytes, int] = {}
        self._shed: dict[tuple[str, str], int] = {}
        self.refused: dict[tuple[str, str], int] = {}  # by listener and cause, not in the log yet

    def enter(self) -> None:
        """Count a new connection; `admit` or `refuse` follows, and `leave` in the end."""
        self.open += 1

    def refusal(self, group: bytes) -> str:
        """Return why a client of this address group may not stay, "" when it may."""
        if self.admitted >= self.limits.max_connections:
            return WORKER
        if group and self._by_address.get(group, 0) >= self.limits.max_connections_per_address:
            return ADDRESS
        return ""

    def admit(self, group: bytes) -> None:
        self.admitted += 1
        if group:
            self._by_address[group] = self._by_address.get(group, 0) + 1

    def leave(self, group: bytes, *, was_admitted: bool) -> None:
        self.open -= 1
        if not was_admitted:
            return
        self.admitted -= 1
        if group:
            left = self._by_address[group] - 1
            if left:
                self._by_address[group] = left
            else:
                del self._by_address[group]

    def group(self, address: bytes) -> bytes:
        """Return the address group that counts connections from this address, b"" when none does."""
        return address_group(address) if self.limits.max_connections_per_address else b""

    @property
    def is_crowded(self) -> bool:
        """Whether so many refused clients linger that the next one gets no answer."""
        return self.open - self.admitted > MAX_LINGERING

    def count(self, listener: str, cause: str) -> None:
        self._shed[listener, cause] = self._shed.get((listener, cause), 0) + 1
        if cause != DESCRIPTORS:  # closed while idle
            self.refuse(listener, cause)

    def refuse(self, listener: str, cause: str) -> None:
        """Count a client that got 503, or no answer, to a request."""
        self.refused[listener, cause] = self.refused.get((listener, cause), 0) + 1

    def counts(self) -> tuple[ShedCount, ...]:
        return tuple(ShedCount(listener, cause, count) for (listener, cause), count in self._shed.items())


def address_group(address: bytes) -> bytes:
    """Return the IPv4 address, or the /64 of an IPv6 address: one host can choose freely from a /64."""
    if b":" not in address:
        return address
    return socket.inet_pton(socket.AF_INET6, address.partition(b"%")[0].decode())[:8]
