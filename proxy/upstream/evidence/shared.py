"""The memory in which the workers of a gateway share their findings: histories, and the board."""

from typing import Final

from proxy.upstream.evidence import board, histories
from proxy.upstream.evidence.board import Board
from proxy.upstream.evidence.histories import Histories

MEMORY_BYTES: Final = histories.MEMORY_BYTES + board.MEMORY_BYTES


class Shared:
    """One worker's view of the shared memory. Without shared memory the worker judges by its own memory."""

    __slots__ = ("board", "histories")

    def __init__(self, memory: memoryview | None = None, worker: int = 0) -> None:
        """`memory` is MEMORY_BYTES of zeros to begin with."""
        self.board: Board | None = None
        if memory is None:
            self.histories = Histories()
        else:
            self.histories = Histories(memory[: histories.MEMORY_BYTES])
            self.board = Board(memory[histories.MEMORY_BYTES :], worker)
