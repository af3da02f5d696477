"""What the kernel knows of a client, for the cases in which reading from its connection tells nothing.

While a connection is not read from, neither a FIN nor a RST is reported. A client whose machine is gone
sends neither. Keepalive probes find such a client, but only where nothing waits to be acknowledged; the
rest is found here. TCP_USER_TIMEOUT could do that, too, but it also ends clients that are there and do
not read for so long (a paused video).
"""

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
    socket,
)
from typing import Final

VANISHED_S: Final = 60.0
"""A client that has acknowledged nothing for so long is gone: its kernel was asked eight times or so."""

# Connections inherit these from their listener. A client is found to be gone within two minutes; more
# frequent probes would keep the radio of mobile clients awake.
KEEPALIVE: Final = (
    (SOL_SOCKET, SO_KEEPALIVE, 1),
    (IPPROTO_TCP, TCP_KEEPIDLE, 60),
    (IPPROTO_TCP, TCP_KEEPINTVL, 15),
    (IPPROTO_TCP, TCP_KEEPCNT, 4),
)

_CLOSED: Final = 7  # net/tcp_states.h: TCP_CLOSE, after a RST or a timeout
_HALF_CLOSED: Final = 8  # TCP_CLOSE_WAIT: its FIN has come

# linux/tcp.h, struct tcp_info: state, probes (without an answer), unacked (segments), last_ack_recv (ms ago),
# notsent_bytes
_INFO: Final = struct.Struct("=B2xB20xI28xI84xI")


class Presence:
    """One look at a client."""

    __slots__ = ("_awaits_answer", "has_closed", "heard_s", "is_cut", "is_owed")

    def __init__(self, state: int, probes: int, unacked: int, heard_s: float, unsent: int) -> None:
        self.is_cut = state == _CLOSED
        self.has_closed = state == _HALF_CLOSED
        self.heard_s = heard_s  # so long ago its last segment came
        self.is_owed = unacked > 0 or unsent > 0  # it has not got all that was written
        # A client that does not read is asked at ever longer intervals: the first probe of a row, sent just
        # now, says nothing
        self._awaits_answer = unacked > 0 or probes > 1

    def silent_since(self, before: float, now: float) -> float:
        """Return since when (monotonic) the client has owed an acknowledgement, 0 if it owes none.

        `before` is what this returned at the last look.
        """
        if not self._awaits_answer:
            return 0.0
        return max(before or now, now - self.heard_s)


def look(transport: asyncio.Transport) -> Presence | None:
    """Return None where the kernel does not tell."""
    connection = transport.get_extra_info("socket")
    try:
        state, probes, unacked, heard_ms, unsent = _INFO.unpack_from(
            connection.getsockopt(IPPROTO_TCP, TCP_INFO, _INFO.size)
        )
    except (OSError, AttributeError, struct.error):
        return None  # no such thing on this platform, or the descriptor is gone already
    return Presence(int(state), int(probes), int(unacked), int(heard_ms) / 1000.0, int(unsent))


def keep_alive(listening: socket) -> None:
    """Have the kernel find clients of this listener that are gone while their connections are quiet."""
    for level, option, value in KEEPALIVE:
        listening.setsockopt(level, option, value)
