"""Listening sockets: one per worker and listener, in one SO_REUSEPORT group."""

import errno
import os
import socket
from collections.abc import Callable, Iterable

from controlplane.supervisor import processes

BACKLOG = 4096
"""The length of an accept queue; a worker's successor serves its connections. net.core.somaxconn caps it."""

Address = tuple[str, int]
"""address ("" for all), port"""


class CannotListen(Exception):
    """A port cannot be bound; the message is the cause and the fix on one line."""


def open_group(address: Address, size: int, our_pids: Callable[[], Iterable[int]]) -> list[socket.socket]:
    """Return `size` listening sockets on one address. Raises CannotListen, and holds nothing then."""
    opened: list[socket.socket] = []
    try:
        _claim(address, our_pids)
        for _ in range(size):
            opened.append(_bound(address, reuse_port=True))
            opened[-1].listen(BACKLOG)
            opened[-1].setblocking(False)
    except OSError as error:
        for listening in opened:
            listening.close()
        raise CannotListen(_cause(address, error)) from error
    return opened


def _claim(address: Address, our_pids: Callable[[], Iterable[int]]) -> None:
    """Make sure that no other program listens there.

    SO_REUSEPORT lets any process of the same user join the group, and half of the connections would
    silently go to it. A bind without that option fails instead.
    """
    try:
        _bound(address, reuse_port=False).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        inodes = processes.listeners(address[1])
        if not inodes or not processes.all_held_by(inodes, our_pids()):
            _bound(address, reuse_port=False).close()  # a worker of ours may have let go while we looked


def _bound(address: Address, *, reuse_port: bool) -> socket.socket:
    host, port = address
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return _bind(family, host, port, reuse_port=reuse_port)
    try:
        return _bind(socket.AF_INET6, "::", port, reuse_port=reuse_port)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _bind(socket.AF_INET, "0.0.0.0", port, reuse_port=reuse_port)  # IPv6 is off


def _bind(family: socket.AddressFamily, host: str, port: int, *, reuse_port: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not for TIME_WAIT to block us
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def _cause(address: Address, error: OSError) -> str:
    host, port = address
    match error.errno:
        case errno.EADDRINUSE:
            pid = processes.holder(processes.listeners(port))
            who = "another process" if pid is None else f"{processes.name(pid)} (pid {pid})"
            return f"port {port} is in use by {who}; stop it or choose another port"
        case errno.EACCES:
            return (
                f"port {port} needs a privilege; choose one from 1024 up, grant CAP_NET_BIND_SERVICE"
                " or lower net.ipv4.ip_unprivileged_port_start"
            )
        case errno.EADDRNOTAVAIL:
            return f"address {host} is none of this machine's"
        case code:
            return f"port {port} cannot be bound: {os.strerror(code) if code else error}"
