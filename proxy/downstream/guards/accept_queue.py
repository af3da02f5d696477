"""The kernel's queue of connections that a worker has not accepted yet."""

import socket
import struct
from contextlib import suppress
from typing import Final

BACKLOG: Final = 4096
_QUEUED: Final = struct.Struct("=24xI")  # tcp_info.tcpi_unacked: of a listening socket, its queue
_REQUEST_BYTES: Final = 65536
MIN_LENGTH: Final = 256  # a shorter queue may be clients that come back once they are answered
_SMOOTHING: Final = 0.3
_FULL_SHARE: Final = 0.75


class AcceptQueue:
    """The queue of one listening socket. Connections beyond it cost nothing: the kernel drops their SYN."""

    __slots__ = ("_accepted", "_limit", "_rate", "_socket")

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self._limit = BACKLOG
        self._accepted = 0
        self._rate = 0.0  # per second, smoothed

    @property
    def length(self) -> int:
        return int(_QUEUED.unpack(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28))[0])

    def measure(self, accepted: int, elapsed_s: float) -> float:
        """Return the wait (seconds) of a connection that comes now.

        `accepted` is the number of connections accepted so far, `elapsed_s` the time since the last call.
        """
        rate = (accepted - self._accepted) / elapsed_s
        self._accepted = accepted
        self._rate += (rate - self._rate) * _SMOOTHING
        length = self.length
        enough = MIN_LENGTH if self._limit == BACKLOG else self._limit // 4
        return length / max(rate, 1.0) if length > enough else 0.0

    def shorten(self, wait_s: float) -> None:
        """Limit the queue to `wait_s` seconds of accepting. Connections that wait already stay."""
        self._limit = max(int(self._rate * wait_s), MIN_LENGTH)
        self._socket.listen(self._limit)

    def open_up(self) -> None:
        self._limit = BACKLOG
        self._socket.listen(BACKLOG)

    @property
    def is_full(self) -> bool:
        """Whether the queue is so full that the kernel drops clients, or soon will."""
        return self.length > self._limit * _FULL_SHARE

    def accept(self) -> socket.socket | None:
        """Return the connection that has waited longest, None when there is none."""
        try:
            client, _ = self._socket.accept()
        except OSError:  # BlockingIOError: the queue is empty
            return None
        client.setblocking(False)
        return client


def refuse(client: socket.socket, answer: bytes) -> None:
    """Answer a connection that was just accepted, and close it."""
    with client:
        with suppress(OSError):  # no byte has come yet
            client.recv(_REQUEST_BYTES)  # unread bytes would turn the FIN into a RST
        with suppress(OSError):  # the client has gone away
            client.send(answer)
