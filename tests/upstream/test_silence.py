"""What TCP_INFO says, tick by tick, and when that is silence."""

import struct
from typing import cast

import pytest

from proxy.upstream.connections.carrier import Carrier
from proxy.upstream.connections.unacknowledged import AcknowledgementWatch

Info = tuple[int, int, int, int, int]
"""Unacknowledged segments, ms since the last ACK, RTT and its variation in µs, bytes acknowledged."""


class FakeSocket:
    """Stands for connection, transport and socket."""

    def __init__(self) -> None:
        self.transport = self
        self.info: Info | None = None

    def get_extra_info(self, _name: str) -> "FakeSocket":
        return self

    def getsockopt(self, _level: int, _option: int, _size: int) -> bytes:
        if self.info is None:
            raise OSError
        return struct.pack("=24xI28xI8xII44xQ104x", *self.info)


LAN = 200, 100
WAN = 150_000, 10_000


@pytest.mark.parametrize(
    ("ticks", "silent"),
    [
        # Nothing outstanding
        ([(0, 5000, *LAN, 100), (0, 5100, *LAN, 100)], [False, False]),
        # Sent just now, on a connection that was idle for long; then acknowledged
        ([(1, 5000, *LAN, 100), (0, 60, *LAN, 200)], [False, False]),
        # Sent, and nothing
        ([(1, 5000, *LAN, 100), (1, 5100, *LAN, 100), (1, 5200, *LAN, 100)], [False, True, True]),
        # One request after the other, each caught before its acknowledgement
        ([(1, 1, *LAN, 100), (1, 1, *LAN, 200), (1, 1, *LAN, 300)], [False, False, False]),
        # A kernel that lives but does not take more: it repeats its last acknowledgement
        ([(9, 5, *LAN, 100), (9, 40, *LAN, 100), (9, 70, *LAN, 100)], [False, False, False]),
        # ... and then does not even that
        ([(9, 5, *LAN, 100), (9, 40, *LAN, 100), (9, 140, *LAN, 100)], [False, False, True]),
        # Far away: not before three round trips and the variation of four
        ([(1, 900 + 100 * i, *WAN, 100) for i in range(7)], [False] * 5 + [True] * 2),
        # No such information
        ([None, None], [False, False]),
    ],
)
def test_ticks(ticks: list[Info | None], silent: list[bool]) -> None:
    socket = FakeSocket()
    watch = AcknowledgementWatch(cast(Carrier, socket))
    found = []
    for number, info in enumerate(ticks):
        socket.info = info
        found.append(watch.silent_s(100 + number / 10) > 0)
    assert found == silent
