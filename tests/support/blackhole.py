"""A machine that is gone without a word: its kernel drops what comes, and acknowledges nothing.

A socket filter that accepts no packet, so no privilege is needed. On a listening socket it swallows SYNs,
on a connection everything; a connection inherits it from its listener.
"""

import ctypes
import socket
import struct
from asyncio.trsock import TransportSocket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.origin import Origin

# asm-generic/socket.h; linux/filter.h: struct sock_filter {code, jt, jf, k}; BPF_RET|BPF_K,
# BPF_LD|BPF_W|BPF_LEN, BPF_JMP|BPF_JGT|BPF_K
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_INSTRUCTION: Final = struct.Struct("HBBI")
_ACCEPT_NOTHING: Final = (_INSTRUCTION.pack(0x06, 0, 0, 0),)
_ACCEPT_SMALL: Final = (
    _INSTRUCTION.pack(0x80, 0, 0, 0),  # the length, TCP header included
    _INSTRUCTION.pack(0x25, 1, 0, 1400),
    _INSTRUCTION.pack(0x06, 0, 0, 0xFFFFFFFF),
    _INSTRUCTION.pack(0x06, 0, 0, 0),
)


def silence(target: "socket.socket | TransportSocket") -> None:
    """From now on nothing reaches this socket."""
    _filter(target, _ACCEPT_NOTHING)


def lose_large(target: "socket.socket | TransportSocket") -> None:
    """From now on no segment over 1,400 bytes reaches this socket: the way there has a smaller MTU, and says
    nothing of it."""
    _filter(target, _ACCEPT_SMALL)


def _filter(target: "socket.socket | TransportSocket", instructions: tuple[bytes, ...]) -> None:
    program = ctypes.create_string_buffer(b"".join(instructions))
    target.setsockopt(
        socket.SOL_SOCKET,
        _SO_ATTACH_FILTER,
        struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(program)),
    )


def restore(target: "socket.socket | TransportSocket") -> None:
    target.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def silence_origin(origin: Origin) -> None:
    """Cut the machine of an origin off: those who connect to it, and the connections there are."""
    for connection in origin.connections:
        assert connection.transport is not None
        silence(connection.transport.get_extra_info("socket"))
    for listening in origin.sockets:
        silence(listening)


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """An address at which no connect is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silence(listening)
        yield listening.getsockname()
