"""Memory for request bodies that are kept for another attempt, of a whole worker."""

from typing import Final

MAX_BYTES: Final = 64 << 20


class ReplayMemory:
    """While the memory is full, bodies are dropped once they were sent: their requests have one attempt."""

    __slots__ = ("held", "most")

    def __init__(self, most: int = MAX_BYTES) -> None:
        self.held = 0
        self.most = most

    def take(self, size: int) -> None:
        self.held += size

    def is_full(self) -> bool:
        return self.held > self.most

    def give_back(self, size: int) -> None:
        self.held -= size
