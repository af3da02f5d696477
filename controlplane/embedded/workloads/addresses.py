"""Pod addresses: one loopback address per pod where the system allows it, else one host and free ports."""

import errno
import ipaddress
import random
import socket
import zlib
from collections.abc import Sequence

import msgspec

BLOCKS = 64
TRIES = 20


class Placement(msgspec.Struct, frozen=True):
    """The address and ports of a pod. Port 0 asks for a free one."""

    address: str
    ports: tuple[int, ...]


def place(cluster: str, ports: Sequence[int], host: str | None) -> Placement:
    """Return a free place for a pod that wants `ports`.

    With no `host`, pods look like real ones: each has an address of its own, 127.64.0.0/10 divided
    into blocks by cluster, and listens on its container ports. Where that cannot be (a port below 1024
    without the right to it, a wildcard listener in the way, a system that has 127.0.0.1 only), and
    with a `host`, which other machines can reach, all pods share the address and differ in the port.
    """
    anywhere = (0,) * len(ports)
    if host is not None:
        return Placement(socket.gethostbyname(host), anywhere)
    block = zlib.crc32(cluster.encode()) % BLOCKS
    for _ in range(TRIES):
        low = random.randrange(1 << 16)
        address = str(ipaddress.IPv4Address((127 << 24) | (64 + block << 16) | low))
        if low & 0xFF not in (0, 255) and _free(address, ports):
            return Placement(address, tuple(ports))
    return Placement("127.0.0.1", anywhere)


def _free(address: str, ports: Sequence[int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)  # only listening finds a wildcard listener on the same port
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
                    raise
                return False
    return True
