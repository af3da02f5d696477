"""Facts from /proc: whether a process lives, its name, and the ports that it listens on (Linux)."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

_LISTEN = "0A"
_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def start_time(pid: int) -> int | None:
    """Return the start time of a live process in clock ticks since boot, None when there is none.

    A pid alone names nothing for long: together with this it is unique.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may contain any character
    return None if fields[0] in "ZX" else int(fields[19])


def user(pid: int) -> int | None:
    """Return the effective user id of a process, None when there is none.

    Not the owner of its directory in /proc: that is root for a process with capabilities of its file.
    """
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return None
    return int(status.partition("\nUid:")[2].split()[1])


def words(pid: int) -> tuple[str, ...]:
    """Return the command line of a process, nothing when it cannot be read."""
    try:
        return tuple((_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0"))
    except OSError:
        return ()


class ThreadTimes(msgspec.Struct, frozen=True):
    """The scheduler's times of one thread, in seconds since its start."""

    ran_s: float
    waited_s: float  # ready to run, without a CPU; 0 on a kernel that does not count this
    is_ready: bool  # it runs, or waits for a CPU


def main_thread(pid: int) -> ThreadTimes | None:
    """Return the times of a process's main thread, None when there is no live process."""
    directory = _PROC / str(pid) / "task" / str(pid)
    try:
        fields = (directory / "stat").read_text().rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        ran_s, waited_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S, 0.0
        with contextlib.suppress(FileNotFoundError):  # a kernel without CONFIG_SCHED_INFO
            ran, waited, _ = (directory / "schedstat").read_text().split()
            ran_s, waited_s = int(ran) / 1e9, int(waited) / 1e9
    except OSError:
        return None
    return ThreadTimes(ran_s, waited_s, is_ready=fields[0] == "R")


def name(pid: int) -> str:
    """Return the short name of a process, "?" when it cannot be read."""
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return "?"


def listeners(port: int) -> frozenset[int]:
    """Return the inodes of all sockets that listen on a TCP port, of any process."""
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
    """Return the inodes of a process's sockets; empty for a process that is gone or another user's."""
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
    """Return whether every one of these sockets belongs to one of the processes."""
    return inodes <= frozenset().union(*(socket_inodes(pid) for pid in pids))
