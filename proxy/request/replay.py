"""The body of a request, kept for as long as it can be sent to another endpoint."""

from typing import Final

from proxy.upstream.retries.replay import ReplayMemory
from proxy.upstream.retries.retry import REPLAY_BYTES

LARGE_BYTES: Final = 32768  # to send so much again takes as long as to serve some requests


class ReplayBody:
    """Pieces without framing. They take from the memory that all requests of the worker share."""

    __slots__ = ("_memory", "_pieces", "kept_bytes")

    def __init__(self, memory: ReplayMemory) -> None:
        self._memory = memory
        self._pieces: list[bytes] = []
        self.kept_bytes = 0

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.kept_bytes += len(piece)
        self._memory.take(len(piece))

    @property
    def is_too_large(self) -> bool:
        return self.kept_bytes > REPLAY_BYTES or self._memory.is_full()

    @property
    def is_memory_full(self) -> bool:
        return self._memory.is_full()

    def joined(self) -> bytes:
        return b"".join(self._pieces)

    def forget(self) -> None:
        self._pieces.clear()
        self._memory.give_back(self.kept_bytes)
        self.kept_bytes = 0
