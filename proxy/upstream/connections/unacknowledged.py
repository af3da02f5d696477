"""Finds requests that the machine of an endpoint does not acknowledge: it may be gone.

A slow program is no reason: its kernel acknowledges the bytes. A lost segment is one, and so is a
kernel that acknowledges late (Windows: 200 ms). So before the machine counts as gone, a connect asks it once
more: a living kernel answers that at once (`detection.suspicion`).
"""

import struct
from socket import IPPROTO_TCP, TCP_INFO
from typing import Final

from proxy.upstream.connections.carrier import Carrier

CERTAIN_S: Final = 1.0
"""Seconds without an acknowledgement that need no other sign: the kernel has retransmitted twice."""

GIVE_UP_S: Final = 5.0  # the same for requests that may not be repeated: four retransmissions

_LOOKS_APART_S: Final = 0.09  # two looks at a connection are about one tick of the wheel apart
_COARSE_S: Final = 0.02  # resolution of the clock of the kernel and of that of the wheel

# linux/tcp.h, struct tcp_info: unacked (segments), last_ack_recv (ms ago), rtt and rttvar (µs), bytes_acked
_INFO: Final = struct.Struct("=24xI28xI8xII44xQ")


class AcknowledgementWatch:
    """Looks at a connection once a tick, for as long as it finds a request on it."""

    __slots__ = ("_acked", "_connection", "_since")

    def __init__(self, connection: Carrier) -> None:
        self._connection = connection
        self._acked = 0
        self._since = 0.0  # since when bytes are not acknowledged; 0: all are

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
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
        """Return for how many seconds sent bytes have not been acknowledged; 0 when all is well."""
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
