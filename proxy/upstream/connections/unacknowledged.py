"""Whether the machine of an endpoint is gone: its kernel acknowledges nothing of what it was sent.

A program that is slow does not look like that, for its kernel acknowledges without it. One segment that is
lost does, and so does a kernel that takes its time (Windows: 200 ms); so the machine is asked once more,
by a connect, which a living kernel answers at once, before it is believed to be gone.
"""

import struct
from socket import IPPROTO_TCP, TCP_INFO
from typing import Final

from proxy.upstream.connections.carrier import Carrier

CERTAIN_S: Final = 1.0
"""So long without an acknowledgement needs no other sign: the kernel has retransmitted twice, at least."""

GIVE_UP_S: Final = 5.0  # of a request that nobody else may get: the kernel has retransmitted four times

_LOOKS_APART_S: Final = 0.09  # they are one tick of the wheel apart, about
_COARSE_S: Final = 0.02  # as both clocks are

# linux/tcp.h, struct tcp_info: unacked (segments), last_ack_recv (ms ago), rtt and rttvar (µs), bytes_acked
_INFO: Final = struct.Struct("=24xI28xI8xII44xQ")


class AcknowledgementWatch:
    """Looks at a connection once a tick, for as long as it finds a request on it."""

    __slots__ = ("_acked", "_connection", "_since")

    def __init__(self, connection: Carrier) -> None:
        self._connection = connection
        self._acked = 0
        self._since = 0.0  # that something is not acknowledged; 0: nothing is

    def expire(self, now: float) -> float | None:
        """Called by the timer wheel."""
        connection = self._connection
        exchange = connection.exchange
        if exchange is None or connection.transport.is_closing():
            connection.on_watch_over()
            return None
        if connection.is_waiting():
            silent_s = self.silent_s(now)
            if silent_s:
                exchange.on_silence(silent_s)
        return now

    def silent_s(self, now: float) -> float:
        """Return for how long nothing has been acknowledged that ought to be; 0 when all is well."""
        socket = self._connection.transport.get_extra_info("socket")
        try:
            unacked, heard_ms, rtt_us, variation_us, acked = _INFO.unpack_from(
                socket.getsockopt(IPPROTO_TCP, TCP_INFO, 232)
            )
        except (OSError, AttributeError, struct.error):
            return 0.0  # no such thing on this platform, or the descriptor is gone already
        if not unacked:
            self._since = 0.0
        elif not self._since or acked != self._acked or heard_ms / 1000 < now - self._since - _COARSE_S:
            self._since = now
            self._acked = acked
        else:
            silent_s = now - self._since
            # A peer may acknowledge a round trip late, and a round trip takes as long as it takes
            if silent_s >= max(_LOOKS_APART_S, (3 * rtt_us + 4 * variation_us) / 1e6):
                return float(silent_s)
        return 0.0
