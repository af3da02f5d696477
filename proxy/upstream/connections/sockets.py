"""Socket options of a connection to an endpoint, and the kernel's knowledge of the connection."""

import asyncio
import struct
from socket import (
    IPPROTO_TCP,
    SO_KEEPALIVE,
    SOL_SOCKET,
    TCP_INFO,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_QUICKACK,
    TCP_USER_TIMEOUT,
)
from typing import Final

# A peer that vanishes without a word is found by `silence` while a request waits for its answer. These are
# for the rest: tunnels, and responses that are under way. The last one cuts off a living program, too, that
# does not read for that long: nginx allows 60 s between two writes (proxy_send_timeout).
OPTIONS: Final = (
    (SOL_SOCKET, SO_KEEPALIVE, 1),
    (IPPROTO_TCP, TCP_KEEPIDLE, 15),
    (IPPROTO_TCP, TCP_KEEPINTVL, 15),
    (IPPROTO_TCP, TCP_KEEPCNT, 3),
    (IPPROTO_TCP, TCP_USER_TIMEOUT, 60_000),
)

UNKNOWN: Final = -1

# linux/tcp.h, struct tcp_info
_INFO_BYTES: Final = 232
_BYTES_ACKED: Final = struct.Struct("=120xQ")
_BYTES_SENT: Final = struct.Struct("=200xQ")  # Linux 4.19


def set_options(transport: asyncio.Transport) -> None:
    socket = transport.get_extra_info("socket")
    try:
        for level, option, value in OPTIONS:
            socket.setsockopt(level, option, value)
    except (OSError, AttributeError):
        pass  # the descriptor is gone already


def acknowledge(transport: asyncio.Transport) -> None:
    """Have the kernel acknowledge at once the bytes that have been read.

    An endpoint that has used up the small window of a young connection waits for it, and the kernel
    would wait 40 ms for a request to send it along with (measured: one of a hundred 100 KB answers).
    """
    socket = transport.get_extra_info("socket")
    try:
        socket.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1)
    except (OSError, AttributeError):
        pass  # the descriptor is gone already


def proves_undelivered(transport: asyncio.Transport, before: int, *, was_reset: bool) -> bool:
    """Whether TCP proves that of a lost connection's bytes only the first `before` reached its peer.

    `was_reset`: the peer ended the connection by an RST.
    """
    if was_reset:
        # A missing acknowledgement proves nothing: an RST is not counted as one, and programs read
        # faster than the kernel acknowledges (40 ms on a connection in use)
        return 0 <= bytes_sent(transport) <= before
    return 0 <= bytes_acked(transport) <= before


def bytes_acked(transport: asyncio.Transport) -> int:
    """Return how many bytes have been acknowledged in all, UNKNOWN where the kernel does not tell."""
    count = _count(transport, _BYTES_ACKED)
    return count - 1 if count > 0 else count  # the SYN is counted


def bytes_sent(transport: asyncio.Transport) -> int:
    """Return how many bytes have been sent in all, again for each time, UNKNOWN as above."""
    return _count(transport, _BYTES_SENT)


def _count(transport: asyncio.Transport, counter: struct.Struct) -> int:
    socket = transport.get_extra_info("socket")
    try:
        return int(counter.unpack_from(socket.getsockopt(IPPROTO_TCP, TCP_INFO, _INFO_BYTES))[0])
    except (OSError, AttributeError, struct.error):
        return UNKNOWN  # no such thing on this platform, or the descriptor is gone already
