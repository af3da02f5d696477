"""What the kernel says of TCP connections: /proc/net/tcp, see proc(5)."""

from collections.abc import Iterator
from pathlib import Path


def _of(port: int, peer_port: int) -> Iterator[list[str]]:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1][-4:], fields[2][-4:]) == (f"{port:04X}", f"{peer_port:04X}"):
            yield fields


def is_established(port: int, peer_port: int) -> bool:
    """Whether the side with `port` has the connection; a FIN counts as its end."""
    return any(fields[3] == "01" for fields in _of(port, peer_port))


def keepalive_in_s(port: int, peer_port: int) -> float:
    """Return when the kernel on the side with `port` asks the other one again, 0 if it is not going to."""
    for fields in _of(port, peer_port):
        if fields[5].startswith("02:"):
            return int(fields[5][3:], 16) / 100
    return 0.0


def unread_bytes(port: int, peer_port: int) -> int:
    """Return how much the program on the side with `port` has not read of what has come."""
    return sum(int(fields[4].partition(":")[2], 16) for fields in _of(port, peer_port))
