"""Whether a client is still there, for the cases in which reading from its connection tells nothing.

The kernel reports neither a FIN nor a RST on a connection that is not read from. A client whose machine is
gone sends neither. Keepalive probes find such a client only where nothing waits to be acknowledged; this
module finds the others. TCP_USER_TIMEOUT does so, too, but it also ends clients that are there and do not
read for a while (a paused video).
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
"""A client that acknowledges nothing for this time is gone: its kernel was asked eight times or so."""

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
    """The kernel's knowledge of a client at one look."""

    __slots__ = ("_awaits_answer", "has_closed", "heard_s", "is_cut", "is_owed")

    def __init__(self, state: int, probes: int, unacked: int, heard_s: float, unsent: int) -> None:
        self.is_cut = state == _CLOSED
        self.has_closed = state == _HALF_CLOSED
        self.heard_s = heard_s  # seconds since the client's last segment came
        self.is_owed = unacked > 0 or unsent > 0  # the client lacks bytes that were written
        # The kernel probes a client that does not read at ever longer intervals. The first probe of a row was
        # sent just now, and says nothing
        self._awaits_answer = unacked > 0 or probes > 1

    def silent_since(self, before: float, now: float) -> float:
        """Return the time (monotonic) since which the client owes an acknowledgement, 0 if it owes none.

        `before` is the result of this method at the last look.
        """
        if not self._awaits_answer:
            return 0.0
        return max(before or now, now - self.heard_s)


class ClientWatch:
    """Finds out, look by look, that a client is gone."""

    __slots__ = ("_silent_since", "closed_s")

    def __init__(self) -> None:
        self._silent_since = 0.0  # an acknowledgement has been owed (monotonic); 0: none is
        self.closed_s = -1.0  # since the last segment of a client that has closed its side; < 0: it has not

    def is_there(self, transport: asyncio.Transport, now: float) -> bool:
        presence = look(transport)
        if presence is None:
            return True
        self._silent_since = presence.silent_since(self._silent_since, now)
        self.closed_s = presence.heard_s if presence.has_closed else -1.0
        return not (presence.is_cut or (self._silent_since and now - self._silent_since >= VANISHED_S))


def look(transport: asyncio.Transport) -> Presence | None:
    """Look at a client; return None where the kernel does not tell."""
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
