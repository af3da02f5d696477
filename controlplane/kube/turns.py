"""Fair turns: namespaces first, then the objects of each. No namespace waits behind the pile of another.

One queue in order of arrival would let 8,000 findings of one namespace hold up the only one of another for
half an hour.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, zip_longest
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Bounds(msgspec.Struct, frozen=True):
    """How many items may wait. A namespace always has room for `least`, however long other queues are."""

    whole: int = 1000
    of_namespace: int = 200
    of_object: int = 20
    least: int = 10


class Turns(Generic[T]):
    """A queue of items of objects in namespaces. Each namespace gets its turn, in it each object."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._waiting: OrderedDict[str, OrderedDict[str, deque[T]]] = OrderedDict()
        self._counts: dict[str, int] = {}  # by namespace
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def of_namespace(self, namespace: str) -> int:
        """Return how many of it wait."""
        return self._counts.get(namespace, 0)

    def has_room(self, namespace: str, object: str) -> bool:
        count, bounds = self.of_namespace(namespace), self._bounds
        if count >= bounds.of_namespace or (self._size >= bounds.whole and count >= bounds.least):
            return False
        objects = self._waiting.get(namespace)
        return objects is None or len(objects.get(object, ())) < bounds.of_object

    def put(self, namespace: str, object: str, item: T) -> None:
        """Queue an item, whether there is room or not."""
        self._queue(namespace, object).append(item)

    def put_back(self, namespace: str, object: str, item: T) -> None:
        """Queue an item that was taken, before all others."""
        self._queue(namespace, object).appendleft(item)
        self._waiting[namespace].move_to_end(object, last=False)
        self._waiting.move_to_end(namespace, last=False)

    def take(self) -> T:
        """Return the item whose turn it is. Raises IndexError when nothing waits."""
        if not self._waiting:
            raise IndexError("nothing waits")
        namespace, objects = self._waiting.popitem(last=False)
        object, items = objects.popitem(last=False)
        item = items.popleft()
        if items:
            objects[object] = items
        if objects:
            self._waiting[namespace] = objects
        self._size -= 1
        self._counts[namespace] -= 1
        if not self._counts[namespace]:
            del self._counts[namespace]
        return item

    def _queue(self, namespace: str, object: str) -> deque[T]:
        self._size += 1
        self._counts[namespace] = self._counts.get(namespace, 0) + 1
        return self._waiting.setdefault(namespace, OrderedDict()).setdefault(object, deque())


_NOTHING: Final = object()


def in_turn(items: Iterable[T], namespace_of: Callable[[T], str], served_at: Mapping[str, float]) -> list[T]:
    """Return the items so that namespaces take turns, in their order within each.

    The namespace that was served longest ago, by `served_at`, begins.
    """
    piles: dict[str, list[T]] = {}
    for item in items:
        piles.setdefault(namespace_of(item), []).append(item)
    ordered = sorted(piles, key=lambda namespace: served_at.get(namespace, float("-inf")))
    rounds = zip_longest(*(piles[namespace] for namespace in ordered), fillvalue=_NOTHING)
    return [item for item in chain.from_iterable(rounds) if item is not _NOTHING]  # type: ignore[misc]


class LeftOut:
    """Counts items that found no room, by namespace, for one line of the log."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, namespace: str) -> None:
        self._counts[namespace] = self._counts.get(namespace, 0) + 1

    def take(self) -> dict[str, object]:
        """Return fields of a log line: the count, and the namespaces with most; then begin the count anew."""
        counts, self._counts = self._counts, {}
        most = sorted(counts, key=counts.__getitem__, reverse=True)[:5]
        named = ", ".join(f"{namespace or 'cluster-scoped'}: {counts[namespace]}" for namespace in most)
        return {"count": sum(counts.values()), "most": named}
