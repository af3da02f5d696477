"""What /proc says: whether a process lives, what it is called, which ports it listens on (Linux)."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTEN = "0A"
_PROC = Path("/proc")


def start_time(pid: int) -> int | None:
    """Return the start time of a live process in clock ticks since boot, None when there is none.

    A pid alone names nothing for long: together with this it is unique.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may contain anything
    return None if fields[0] in "ZX" else int(fields[19])


def name(pid: int) -> str:
    """Return the short name of a process, "?" when it cannot be read."""
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return "?"


def listeners(port: int) -> frozenset[int]:
    """Return the inodes of all sockets that listen on a TCP port, of whatever process."""
    return frozenset(_listening_inodes(port))


def _listening_inodes(port: int) -> Iterator[int]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:  # no IPv6
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield int(fields[9])


def socket_inodes(pid: int) -> frozenset[int]:
    """Return the inodes of a process's sockets; empty when it is gone or somebody else's."""
    inodes = set()
    try:
        for descriptor in os.scandir(_PROC / str(pid) / "fd"):
            try:
                target = os.readlink(descriptor.path)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    except OSError:
        pass
    return frozenset(inodes)


def holder(inodes: frozenset[int]) -> int | None:
    """Return the pid of a process that has one of these sockets open, if we may see it."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and socket_inodes(int(entry.name)) & inodes:
            return int(entry.name)
    return None


def all_held_by(inodes: frozenset[int], pids: Iterable[int]) -> bool:
    """Say whether every one of these sockets belongs to one of the processes."""
    return inodes <= frozenset().union(*(socket_inodes(pid) for pid in pids))
