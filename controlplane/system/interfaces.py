"""The addresses of this machine, or of this pod: asked of the kernel (rtnetlink(7))."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Final

REFRESH_S: Final = 10.0

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ADDRESS: Final = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_ATTRIBUTE: Final = struct.Struct("=HH")  # rtattr: length, type
_DONE, _ERROR, _NEW_ADDRESS, _GET_ADDRESS = 3, 2, 20, 22
_DUMP: Final = 0x301  # NLM_F_REQUEST, NLM_F_DUMP
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_TIMEOUT_S: Final = 1.0


class Interfaces:
    """Remembers the addresses for a while: they are asked for with each translation."""

    def __init__(self, ask: Callable[[], frozenset[str]] | None = None) -> None:
        self._ask = ask or local_addresses
        self._known: frozenset[str] = frozenset()
        self._asked_at = float("-inf")

    def addresses(self) -> frozenset[str]:
        now = time.monotonic()
        if now - self._asked_at >= REFRESH_S:
            self._asked_at = now
            try:
                self._known = self._ask()
            except OSError:
                pass  # the known addresses are the best ones left
        return self._known


def local_addresses() -> frozenset[str]:
    """Return the IP addresses of all interfaces, in their usual form. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        size = _HEADER.size + _ADDRESS.size
        kernel.send(_HEADER.pack(size, _GET_ADDRESS, _DUMP, 1, 0) + _ADDRESS.pack(0, 0, 0, 0, 0))
        found: set[str] = set()
        while True:
            for kind, body in _messages(kernel.recv(1 << 17)):
                if kind == _DONE:
                    return frozenset(found)
                if kind == _ERROR:
                    raise OSError(
                        -struct.unpack_from("=i", body)[0], "the kernel does not tell its addresses"
                    )
                if kind == _NEW_ADDRESS:
                    found.update(_addresses(body))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, *_ = _HEADER.unpack_from(data, at)
        if size < _HEADER.size:
            return
        yield kind, data[at + _HEADER.size : at + size]
        at += (size + 3) & ~3


def _addresses(body: bytes) -> Iterator[str]:
    found: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        if size < _ATTRIBUTE.size:
            break
        found[kind] = body[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    # Of a point-to-point interface IFA_ADDRESS is the other end
    value = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b""))
    if len(value) in (4, 16):
        yield str(ip_address(value))
