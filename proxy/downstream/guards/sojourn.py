"""The time that clients wait for the worker, and whether they wait in a burst or in overload.

As in CoDel, a queue that is long for a moment does its work; a queue that never gets short is of no use.
"""

import struct
from socket import IPPROTO_TCP, TCP_INFO
from typing import Final, Protocol

LATE_TICKS: Final = 3
CALM_TICKS: Final = 5
CALM_SHARE: Final = 0.25
_RECEIVED: Final = struct.Struct("=52xI")  # tcp_info.tcpi_last_data_recv, in milliseconds


class Sojourn:
    """The longest wait of each tick. Some late ticks in a row are overload."""

    __slots__ = ("_calm", "_late", "_longest_s", "is_overloaded", "wait_s")

    def __init__(self) -> None:
        self.is_overloaded = False
        self.wait_s = 0.0  # longest wait of the last tick
        self._longest_s = 0.0
        self._late = 0
        self._calm = 0

    def note(self, wait_s: float) -> None:
        if wait_s > self._longest_s:
            self._longest_s = wait_s

    def judge(self, limit_s: float) -> None:
        """End a tick. Overload begins after three late ticks and ends after five calm ones, both in a row."""
        self.wait_s, self._longest_s = self._longest_s, 0.0
        self._late = self._late + 1 if self.wait_s > limit_s else 0
        self._calm = self._calm + 1 if self.wait_s < limit_s * CALM_SHARE else 0
        if self._late >= LATE_TICKS:
            self.is_overloaded = True
        elif self._calm >= CALM_TICKS:
            self.is_overloaded = False


class Timestamped(Protocol):
    """A socket."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def waited_s(sock: Timestamped) -> float:
    """Return the age of the last data in seconds, of the connection where none has come; 0.0 if unknown."""
    try:
        return int(_RECEIVED.unpack(sock.getsockopt(IPPROTO_TCP, TCP_INFO, _RECEIVED.size))[0]) / 1000
    except (OSError, AttributeError):
        return 0.0
