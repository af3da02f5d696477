"""A bounded table of things worth remembering, in two generations.

When the young generation is full it becomes the old one and the old one is dropped, so what is
used stays and what never repeats (an attacker, a browser with a fresh cookie per request) costs
one insertion and ages out. A hit is one dict lookup, which is why this is no linked-list LRU.
"""

from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

MAX_ENTRIES: Final = 4096
MAX_BYTES: Final = 8 << 20
MAX_KEY_BYTES: Final = 4096


class Memo(Generic[Value]):
    """Remembers values by exact bytes; at most 2 × `entries` values and 2 × `size` key bytes."""

    __slots__ = ("_bytes", "_entries", "_old", "_size", "young")

    def __init__(self, entries: int = MAX_ENTRIES, size: int = MAX_BYTES) -> None:
        self._entries = entries
        self._size = size
        self._bytes = 0
        self._old: dict[bytes, Value] = {}
        self.young: dict[bytes, Value] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def get(self, key: bytes) -> Value | None:
        """Return the remembered value; one found in the old generation is young again."""
        value = self.young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: bytes, value: Value) -> None:
        if len(key) > MAX_KEY_BYTES:
            return
        if len(self.young) >= self._entries or self._bytes + len(key) > self._size:
            self._old = self.young
            self.young = {}
            self._bytes = 0
        self.young[key] = value
        self._bytes += len(key)
