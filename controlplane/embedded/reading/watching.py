"""Watches: where they start, what each change means to a selection, when bookmarks are due."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator

import msgspec

from controlplane.embedded.api.options import ListOptions
from controlplane.embedded.errors import ApiError, gone
from controlplane.embedded.reading.listing import Selection, wait_for
from controlplane.embedded.reading.rendering import Form, render_bookmark, render_event
from controlplane.embedded.registry.resource import Resource
from controlplane.embedded.storage.store import Bucket, Compacted, Store
from controlplane.embedded.storage.watcher import Change, Stored, Watcher

BOOKMARK_EVERY = 60.0
# A bookmark this long before the end lets the client resume from a recent version.
BOOKMARK_BEFORE_END = 2.0


class Event(msgspec.Struct, frozen=True):
    """`kind` is ADDED, MODIFIED or DELETED."""

    kind: str
    stored: Stored


class Watch:
    """One watch request: the initial events are fixed when it is opened, the rest is queued from then on."""

    def __init__(self, store: Store, selection: Selection, options: ListOptions) -> None:
        self._store = store
        self._selection = selection
        self._resource: Resource = selection.resource
        self._options = options
        self._bucket: Bucket = store.bucket(self._resource.store_key)
        self._initial: list[Stored] = []
        self._opened = store.version
        self._watcher = Watcher(self._open())
        self._bucket.watchers.add(self._watcher)

    def _open(self) -> list[Change]:
        """The backlog after the requested version; or the current objects as initial events."""
        options = self._options
        wants_state = options.initial_events or (options.initial_events is None and not options.version)
        if wants_state:
            objects = sorted(self._bucket.objects.items())
            self._initial = [stored for key, stored in objects if self._selection.has(key, stored)]
            return []
        if not options.version:
            return []
        try:
            return self._bucket.since(options.version)
        except Compacted as error:
            raise gone(error.requested, error.oldest) from None

    def close(self) -> None:
        self._watcher.close()
        self._bucket.watchers.discard(self._watcher)

    async def lines(self, form: Form) -> AsyncIterator[bytes]:
        """The chunks of the answer; several events may share one."""
        texts = []
        for n, stored in enumerate(self._initial):
            texts.append(render_event(self._resource, "ADDED", stored, form, first=not n))
        first = not texts
        if self._options.initial_events:
            texts.append(render_bookmark(self._resource, self._opened, form, initial=True, first=first))
            first = False
        if texts:
            yield b"".join(texts)
        self._initial = []
        async for chunk in self._live(form, first):
            yield chunk

    async def _live(self, form: Form, first: bool) -> AsyncIterator[bytes]:
        seconds = self._options.timeout or random.uniform(1800, 3600)
        end = time.monotonic() + seconds
        bookmark = self._next_bookmark(end)
        while not self._watcher.closed:
            now = time.monotonic()
            if now >= end:
                return
            changes = await self._watcher.take(min(bookmark, end) - now)
            texts = []
            for change in changes:
                event = self._meaning(change)
                if event is not None:
                    texts.append(render_event(self._resource, event.kind, event.stored, form, first=first))
                    first = False
            if time.monotonic() >= bookmark:
                texts.append(
                    render_bookmark(self._resource, self._store.version, form, initial=False, first=first)
                )
                bookmark = self._next_bookmark(end)
            if texts:
                yield b"".join(texts)

    def _next_bookmark(self, end: float) -> float:
        if not self._options.bookmarks:
            return float("inf")
        now = time.monotonic()
        last = end - BOOKMARK_BEFORE_END
        due = now + BOOKMARK_EVERY
        return min(due, last) if now < last else float("inf")

    def _meaning(self, change: Change) -> Event | None:
        """A change as this selection sees it: an object that stops matching is DELETED to it."""
        selection, key = self._selection, change.key
        before = change.old is not None and selection.has(key, change.old)
        if change.new is None:
            return Event("DELETED", change.last) if before and change.last is not None else None
        after = selection.has(key, change.new)
        if after:
            return Event("MODIFIED" if before else "ADDED", change.new)
        if before and change.old is not None:
            meta = {**change.old.object["metadata"], "resourceVersion": str(change.version)}
            return Event("DELETED", Stored({**change.old.object, "metadata": meta}, change.version))
        return None


def error_line(error: ApiError) -> bytes:
    """An error as a watch event, for errors after the answer began."""
    return msgspec.json.encode({"type": "ERROR", "object": error.body()}) + b"\n"


async def open_watch(store: Store, selection: Selection, options: ListOptions) -> Watch:
    """Waits for a version from the near future where initial events need it."""
    if options.initial_events and options.version:
        await wait_for(store, options.version)
    return Watch(store, selection, options)
