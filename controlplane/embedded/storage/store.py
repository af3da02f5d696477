"""Objects under one global version counter, with a bounded history per kind.

Everything runs on one event loop and no method awaits, so a read-modify-write is atomic. Stored objects are
never changed in place: a write puts a new one. History serves watches that start in the past and lists at
an exact version; a version that fell out of it is compacted, and asking for that raises Compacted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from controlplane.embedded.storage.watcher import Change, Stored, Watcher

FIRST_VERSION = 100
Key = tuple[str, str]


class Compacted(Exception):
    """The version asked for is older than the history; `oldest` is the first that can still be had."""

    def __init__(self, requested: int, oldest: int) -> None:
        super().__init__(f"version {requested} is compacted, the oldest is {oldest}")
        self.requested = requested
        self.oldest = oldest


class Bucket:
    """The objects of one kind, keyed (namespace, name)."""

    def __init__(self, version: int, history: int) -> None:
        self.objects: dict[Key, Stored] = {}
        self.compacted = version
        self.watchers: set[Watcher] = set()
        self._history: deque[Change] = deque()
        self._limit = history

    def record(self, change: Change) -> None:
        if change.new is None:
            self.objects.pop(change.key, None)
        else:
            self.objects[change.key] = change.new
        self._history.append(change)
        if len(self._history) > self._limit:
            self.compacted = self._history.popleft().version
        for watcher in tuple(self.watchers):
            watcher.offer(change)

    def since(self, version: int) -> list[Change]:
        """Changes after `version`, oldest first."""
        if version < self.compacted:
            raise Compacted(version, self.compacted)
        return [change for change in self._history if change.version > version]

    def at(self, version: int) -> dict[Key, Stored]:
        """The objects as they were at `version`."""
        objects = dict(self.objects)
        for change in reversed(self.since(version)):
            if change.old is None:
                objects.pop(change.key, None)
            else:
                objects[change.key] = change.old
        return objects


class Store:
    """All buckets and the version counter; `history` is the number of changes remembered per kind."""

    def __init__(self, history: int = 4096) -> None:
        self.version = FIRST_VERSION
        self._history = history
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, name: str) -> Bucket:
        found = self._buckets.get(name)
        if found is None:
            found = self._buckets[name] = Bucket(FIRST_VERSION, self._history)
        return found

    def buckets(self) -> Iterator[tuple[str, Bucket]]:
        yield from tuple(self._buckets.items())

    def get(self, name: str, key: Key) -> Stored | None:
        return self.bucket(name).objects.get(key)

    def put(self, name: str, key: Key, obj: dict[str, Any]) -> Stored:
        """Stores `obj` (its metadata.resourceVersion is set here) and tells the watchers."""
        bucket = self.bucket(name)
        stored = self._versioned(obj)
        old = bucket.objects.get(key)
        bucket.record(Change(stored.version, key, stored, old, None))
        return stored

    def remove(self, name: str, key: Key, final: dict[str, Any]) -> Stored:
        """Deletes an object; watchers get `final`, its last state, under the version of the deletion."""
        bucket = self.bucket(name)
        last = self._versioned(final)
        bucket.record(Change(last.version, key, None, bucket.objects[key], last))
        return last

    def drop(self, name: str) -> None:
        """Forgets a kind that is no longer served, and ends its watches."""
        bucket = self.bucket(name)
        self._buckets[name] = Bucket(self.version, self._history)
        for watcher in tuple(bucket.watchers):
            watcher.close()

    def close(self) -> None:
        """Ends every watch."""
        for _, bucket in self.buckets():
            for watcher in tuple(bucket.watchers):
                watcher.close()

    def _versioned(self, obj: dict[str, Any]) -> Stored:
        self.version += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.version)}
        return Stored({**obj, "metadata": metadata}, self.version)
