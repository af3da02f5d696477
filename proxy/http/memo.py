"""A bounded table of values worth remembering: keys that come twice, for as long as they keep coming.

Only the second sighting of a key is kept (and, by chance, few of the first), so a key that never repeats
(from an attacker, or with a fresh trace id per request) costs one byte of a fixed table: measured,
keeping such values doubled the cost of a request by cache misses alone. Two generations bound the rest:
when the young one is full it becomes the old one and the old one is dropped. A hit is one dict lookup:

    value = memo.young.get(key) or memo.again(key)
"""

from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

MAX_ENTRIES: Final = 4096
MAX_BYTES: Final = 8 << 20
MAX_KEY_BYTES: Final = 4096
_SLOTS: Final = 16384  # a power of two
_DIGEST: Final = (1 << 30) - 1


class Memo(Generic[Value]):
    """Remembers values by exact bytes; at most 2 × `entries` values and 2 × `size` key bytes."""

    __slots__ = ("_bytes", "_entries", "_old", "_seen", "_size", "young")

    def __init__(self, entries: int = MAX_ENTRIES, size: int = MAX_BYTES) -> None:
        self._entries = entries
        self._size = size
        self._bytes = 0
        self._seen = bytearray(_SLOTS)  # a byte of the hash of keys seen once
        self._old: dict[bytes, Value] = {}
        self.young: dict[bytes, Value] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def again(self, key: bytes) -> Value | None:
        """Return the value of a key that is not in `young`, if it is remembered: it is young again."""
        value = self._old.get(key)
        if value is not None:
            self._keep(key, value)
        return value

    def offer(self, key: bytes, value: Value) -> bool:
        """Remember `value` if its key has been offered before; return whether it is remembered."""
        digest = hash(key) & _DIGEST  # a small number, which compiled code reckons with faster
        slot = digest & (_SLOTS - 1)
        mark = (digest >> 14) % 255 + 1
        if self._seen[slot] != mark:
            self._seen[slot] = mark
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
