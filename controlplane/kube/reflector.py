"""A local copy of all objects of one kind, kept current by list and watch as client-go's reflector does.

An error never empties the copy: only a complete list or a DELETED event removes an object.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Generic

import msgspec

from controlplane.kube import initial
from controlplane.kube.backoff import REFLECTOR, Backoff, BackoffSettings
from controlplane.kube.client import WATCH_SILENCE_S, ApiClient
from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.kube.cursor import NEWEST, Cursor
from controlplane.kube.errors import ApiError, KubeError, StreamBroken, StreamSilent
from controlplane.kube.listing import Collection, list_all, newest_version, read_all
from controlplane.kube.recovery import recovery
from controlplane.kube.store import Store, StoredObject, StoredStatus, T
from controlplane.kube.transport import WatchStream
from controlplane.kube.watch import LineFramer, WatchEvent, decode_event, decode_head
from controlplane.resources.kinds import Kind
from controlplane.resources.view import Malformed

log = logging.getLogger(__name__)


class Timing(msgspec.Struct, frozen=True):
    """Seconds. `watch_s` and `resync_s` are ranges: spread out, or every gateway asks at once."""

    silence_s: float = WATCH_SILENCE_S
    watch_s: tuple[float, float] = (300.0, 600.0)
    resync_s: tuple[float, float] = (1200.0, 1800.0)
    short_watch_s: float = 1.0  # a watch that ends sooner without an event is an error
    early_end_s: float = 30.0  # a watch that ends sooner is followed by a back-off, a later end forgets it
    backoff: BackoffSettings = REFLECTOR


DEFAULT_TIMING = Timing()


class ReflectorHealth(msgspec.Struct):
    """`live_at` and `last_event_at` are monotonic; `streaming` says that a watch is open."""

    live_at: float
    last_event_at: float = 0.0
    synced: bool = False
    reachable: bool = False
    streaming: bool = False
    denied: bool = False  # 403: the right to list or watch is missing
    unknown: bool = False  # 404: the server does not serve the kind
    last_error: str = ""
    relists: int = 0
    watch_restarts: int = 0


class Reflector(Generic[T]):
    """Keeps `objects` current while `run` runs.

    `on_change` is called once per batch of events that changed any content, and for the first list.
    Without a client at first, `use` gives one before `run`. That a server does not know an `optional`
    kind is no error.
    """

    def __init__(
        self,
        client: ApiClient | None,
        kind: Kind[T],
        on_change: Callable[[], None],
        *,
        label_selector: str = "",
        field_selector: str = "",
        namespace: str = "",
        keep_status: bool = False,
        own_annotation: str = "",
        optional: bool = False,
        timing: Timing = DEFAULT_TIMING,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.kind = kind
        self.health = ReflectorHealth(live_at=clock.monotonic())
        self._client = client
        self._on_change = on_change
        self._collection = Collection(
            kind.object_path(namespace, "").rstrip("/") if namespace else kind.path,
            {
                name: selector
                for name, selector in (("labelSelector", label_selector), ("fieldSelector", field_selector))
                if selector
            },
            kind.metadata_only,
        )
        self._timing = timing
        self._clock = clock
        self._store: Store[T] = Store(kind, keep_status=keep_status, own_annotation=own_annotation)
        self._backoff = Backoff(timing.backoff, clock)
        self._failures = 0
        self._optional = optional
        self._stream: WatchStream | None = None
        self._cursor = Cursor()
        self._was_away = False  # the server was unreachable since the last list or watch
        self._watches = 0
        self._streamed = True  # until a server turns out not to stream lists
        self._paged = False
        self._list_at = float("-inf")  # when the next list is due

    @property
    def objects(self) -> Mapping[str, T]:
        """Objects by "namespace/name" or "name". The mapping never changes; read it anew instead."""
        return self._store.objects

    @property
    def malformed(self) -> Mapping[str, Malformed]:
        """Objects that cannot be read; the last good state of each, if any, stays in `objects`."""
        return self._store.malformed

    def status(self, key: str) -> StoredStatus | None:
        """Return the status of an object as last seen (with keep_status only)."""
        return self._store.statuses.get(key)

    @property
    def marks(self) -> Mapping[str, str]:
        """Our own annotation (with own_annotation only) by key, as last seen on those that have it."""
        return self._store.marks

    def live_at(self) -> float:
        """Return when the copy was last known to be current, monotonic."""
        if self.health.streaming:
            return max(self.health.live_at, self._api.last_contact)
        return self.health.live_at

    def use(self, client: ApiClient) -> None:
        """Go on with another client, between two runs. Objects stay until its list is complete."""
        if self._client is not None and client is not self._client:
            self._streamed = True
            self._expect_list(quorum=True)  # perhaps another server: our version means nothing there
            self._failures = 0
            self._backoff.forget()
        self._client = client

    @property
    def _api(self) -> ApiClient:
        assert self._client is not None, "a reflector made without a client is given one before it runs"
        return self._client

    def reconnect(self) -> None:
        """Give up the open watch: its connection is known to be dead."""
        if self._stream is not None:
            self._stream.abort()

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                await (self._list() if self._list_is_due() else self._watch())
                self._failures = 0
            except KubeError as error:
                await self._recover(error, self._list_is_due())

    def _list_is_due(self) -> bool:
        return self._clock.monotonic() >= self._list_at

    async def _recover(self, error: KubeError, listing: bool) -> None:
        self._failures += 1
        plan = recovery(error, listing=listing, failures=self._failures)
        self.health.reachable = not plan.knock
        self.health.last_error = str(error)
        denied = isinstance(error, ApiError) and error.status == 403
        if denied and not self.health.denied:
            self.health.denied = True
            self._on_change()  # waiters for the first list may have to go on without it
        if listing and self._streamed and not plan.knock:
            self._streamed = False
            return
        if listing and isinstance(error, ApiError) and error.status == 404:
            # The server does not know the kind: there are none, and that is certain.
            self.health.live_at = self._clock.monotonic()
            self._note_unknown_kind()
            self._synced()
        if plan.relist:
            self._expect_list(quorum=plan.quorum)
        if plan.knock:
            self._was_away = True
            await self._api.reconnected()
        elif plan.wait_s is not None:
            await self._clock.sleep(plan.wait_s * (1 + self._clock.random() / 2))
        else:
            await self._clock.sleep(max(self._backoff.next(), plan.at_least_s))

    def _note_unknown_kind(self) -> None:
        if not self.health.unknown:
            self.health.unknown = True
            log.info("kind not served yet", extra={"kind": self.kind.kind, "server": self._api.server})
        if self._optional:
            self.health.last_error = ""

    def _expect_list(self, *, quorum: bool) -> None:
        self._list_at = float("-inf")
        if quorum:
            self._cursor.forget()

    async def _list(self) -> None:
        if self._streamed and await self._api.minor_version() >= initial.SINCE_MINOR:
            return await self._watch(with_list=True)
        self._streamed = False
        version = self._cursor.version
        listing = await list_all(self._api, self._collection, version, paged=self._paged)
        if not listing.items and self._store.objects:
            # Everything gone at once is more often a cache or a server that lost its data than the
            # truth: believed when the newest state, read by quorum, says so too.
            listing = await list_all(self._api, self._collection, NEWEST, paged=self._paged)
        entries = await read_all(self._store, listing.items)
        self._paged = listing.paged
        self._take_list(entries, listing.resource_version)

    def _take_list(self, entries: list[StoredObject[T]], version: str) -> None:
        self.health.relists += self.health.synced
        self._cursor.version = version
        self._list_at = self._clock.monotonic() + self._between(self._timing.resync_s)
        self._alive()
        changed = self._store.replace(entries)
        if not self._synced() and changed:
            self._on_change()

    def _synced(self) -> bool:
        """Note that all objects were listed. Return whether this was the first time, and was reported."""
        if self.health.synced:
            return False
        self.health.synced = True
        self._on_change()
        return True

    async def _watch(self, *, with_list: bool = False) -> None:
        if self._was_away and not with_list:
            # A watch from a version of the future is silent. A server that lost its data while it
            # was away must be noticed otherwise; a list for everybody's return would be a storm.
            self._cursor.check(await newest_version(self._api, self._collection))
        self._was_away = False
        self._watches += 1
        self.health.watch_restarts = self._watches - 1
        query = {
            "resourceVersion": self._cursor.version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(self._between(self._timing.watch_s))),
            **(initial.QUERY if with_list else {}),
            **self._collection.selector,
        }
        started = self._clock.monotonic()
        try:
            watch = self._api.watch(
                self._collection.path,
                query,
                metadata_only=self._collection.metadata_only,
                silence_s=self._timing.silence_s,
            )
            async with watch as stream:
                lines = await self._follow(stream, with_list=with_list)
        except StreamSilent:
            return  # nothing happened, or the connection is dead: a new watch at once finds out which
        lasted = self._clock.monotonic() - started
        if not lines and lasted < self._timing.short_watch_s:
            raise StreamBroken("the server ended a watch at once, without an event")
        if lasted < self._timing.early_end_s:
            await self._clock.sleep(self._backoff.next())

    async def _follow(self, stream: WatchStream, *, with_list: bool) -> int:
        """Apply events until the watch ends. Return how many there were."""
        framer, count = LineFramer(), 0
        line_at = opened_at = self._clock.monotonic()
        self._stream, self.health.streaming = stream, True
        try:
            if with_list:
                entries, version, lines = await initial.read_initial(stream, framer, self._store)
                self._take_list(entries, version)
                self._apply(lines)
            self._alive()
            while data := await stream.read():
                self._api.heard()
                lines = framer.feed(data)
                if lines:
                    line_at = self._alive()
                    count += len(lines)
                    self._apply(lines)
                elif self._clock.monotonic() - line_at > self._timing.silence_s:
                    raise StreamBroken("the server sends a single event for too long")
            framer.finish()
            return count
        finally:
            self.health.live_at = self.live_at()
            if self._clock.monotonic() - opened_at >= self._timing.early_end_s:
                self._backoff.forget()
            self._stream, self.health.streaming = None, False

    def _apply(self, lines: list[bytes]) -> None:
        """Apply a batch. The lines before a bad line count."""
        changes: list[tuple[bool, StoredObject[T]]] = []
        try:
            for line in lines:
                event = decode_event(line)
                if event.type == "BOOKMARK":
                    self._cursor.bookmark(decode_head(event.object).resource_version)
                else:
                    changes.append(self._change(event))
        finally:
            if changes:
                self.health.last_event_at = self._clock.monotonic()
                if self._store.apply(changes):
                    self._on_change()

    def _change(self, event: WatchEvent) -> tuple[bool, StoredObject[T]]:
        if event.type not in ("ADDED", "MODIFIED", "DELETED"):
            raise StreamBroken(f"the watch has an event of unknown type {event.type[:20]!r}")
        entry = self._store.read(event.object)
        self._cursor.event(entry.resource_version, event.type)
        return event.type == "DELETED", entry

    def _alive(self) -> float:
        now = self._clock.monotonic()
        self.health.live_at = now
        self.health.reachable = True
        self.health.denied = False
        self.health.unknown = False
        self.health.last_error = ""
        return now

    def _between(self, bounds: tuple[float, float]) -> float:
        return bounds[0] + (bounds[1] - bounds[0]) * self._clock.random()
