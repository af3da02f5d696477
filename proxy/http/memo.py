"""A bounded table of things worth remembering: what comes twice, for as long as it keeps coming.

Only the second sighting of a key is kept, so what never repeats (an attacker, a browser with a
fresh trace id per request) costs one slot of a fixed table and no memory: measured, keeping such
values doubled the cost of a request by cache misses alone. Two generations bound the rest: when the
young one is full it becomes the old one and the old one is dropped. A hit is one dict lookup.
"""

from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

MAX_ENTRIES: Final = 4096
MAX_BYTES: Final = 8 << 20
MAX_KEY_BYTES: Final = 4096
_SLOTS: Final = 4096  # a power of two


class Memo(Generic[Value]):
    """Remembers values by exact bytes; at most 2 × `entries` values and 2 × `size` key bytes."""

    __slots__ = ("_bytes", "_entries", "_old", "_seen", "_size", "young")

    def __init__(self, entries: int = MAX_ENTRIES, size: int = MAX_BYTES) -> None:
        self._entries = entries
        self._size = size
        self._bytes = 0
        self._seen = [0] * _SLOTS  # hashes of keys seen once
        self._old: dict[bytes, Value] = {}
        self.young: dict[bytes, Value] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def get(self, key: bytes) -> Value | None:
        """Return the remembered value; one found in the old generation is young again."""
        value = self.young.get(key)
        if value is None and self._old:
            value = self._old.get(key)
            if value is not None:
                self._keep(key, value)
        return value

    def offer(self, key: bytes, value: Value) -> bool:
        """Remember `value` if its key has been offered before; return whether it is remembered."""
        digest = hash(key)
        slot = digest & (_SLOTS - 1)
        if self._seen[slot] != digest:
            self._seen[slot] = digest
            return False
        if len(key) > MAX_KEY_BYTES:
            return False
        self._keep(key, value)
        return True

    def _keep(self, key: bytes, value: Value) -> None:
        if len(self.young) >= self._entries or self._bytes + len(key) > self._size:
            self._old = self.young
            self.young = {}
            self._bytes = 0
        self.young[key] = value
        self._bytes += len(key)
