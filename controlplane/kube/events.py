"""Kubernetes Events about the objects of users: deduplicated, limited, never for a healthy steady state.

Namespaces take turns, and in each its objects: see `turns`.

They are written as core/v1, which every API server and `kubectl describe` know; the API server
shows the same ones as events.k8s.io/v1.
"""

import asyncio
from collections import OrderedDict
from datetime import datetime
from hashlib import sha256

import msgspec

from controlplane.kube.backoff import RateLimit
from controlplane.kube.client import ApiClient
from controlplane.kube.clock import SYSTEM_CLOCK, Clock, rfc3339
from controlplane.kube.errors import ApiError, KubeError, Unreachable
from controlplane.kube.turns import Bounds, Turns

CONTROLLER = "fleetgate"
REPEAT_S = 300.0
"""The same finding again within this time is no new occurrence."""

CLOCKS_DIFFER_S = 5.0
"""Replicas see the same thing at times, and by clocks, that differ by so much."""

RATE_PER_S, BURST = 5.0, 50
BOUNDS = Bounds()
MAX_REMEMBERED = 10_000
MAX_NOTE = 1000  # the API server refuses more than 1 kB
CLUSTER_SCOPED_NAMESPACE = "default"


class EventSubject(msgspec.Struct, frozen=True):
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int = 0


class _Event(msgspec.Struct, frozen=True):
    subject: EventSubject
    type: str
    reason: str
    note: str
    key: str
    since: float

    @property
    def namespace(self) -> str:
        return self.subject.namespace or CLUSTER_SCOPED_NAMESPACE

    @property
    def name(self) -> str:
        # The same in every replica and after a restart: a repetition meets its own Event, not a new one.
        return f"{self.subject.name[:200]}.{self.key}"


class _Stored(msgspec.Struct, frozen=True, rename="camel"):
    count: int | None = None
    last_timestamp: datetime | None = None


class EventCounters(msgspec.Struct):
    written: int = 0
    repeated: int = 0
    dropped: int = 0
    failed: int = 0


class EventRecorder:
    """Takes Events at once and writes them while `run` runs."""

    def __init__(self, client: ApiClient, instance: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.counters = EventCounters()
        self._client = client
        self._instance = instance
        self._clock = clock
        self._limit = RateLimit(RATE_PER_S, BURST, clock)
        self._turns: Turns[_Event] = Turns(BOUNDS)
        self._pending: set[str] = set()  # keys
        self._told_at: OrderedDict[str, float] = OrderedDict()
        self._woken = asyncio.Event()

    def record(
        self, subject: EventSubject, type: str, reason: str, note: str, *, about: str = "", since: float = 0.0
    ) -> bool:
        """Queue an Event, unless it was written lately or too many wait; return whether it was queued.

        `type` is Normal or Warning. One Event per object, reason, generation and `about`. `since` (Unix
        seconds) marks a new occurrence: Events written before that time do not count as the same. Without it,
        an Event of an earlier leader counts as the same.
        """
        parts = (subject.uid, reason, str(subject.generation), about)
        key = sha256("\0".join(parts).encode()).hexdigest()[:16]
        told_at = self._told_at.get(key)
        if key in self._pending or (told_at is not None and self._clock.monotonic() - told_at < REPEAT_S):
            return False
        if not self.has_room(subject):
            self.counters.dropped += 1
            return False
        self._pending.add(key)
        self._turns.put(*_place(subject), _Event(subject, type, reason, _note(note), key, since))
        self._woken.set()
        return True

    @property
    def pending(self) -> int:
        return len(self._pending)

    def pending_in(self, namespace: str) -> int:
        """Return how many Events about objects of a namespace wait."""
        return self._turns.of_namespace(namespace)

    def has_room(self, subject: EventSubject) -> bool:
        """Return whether the queue takes another Event about this object: not while too many wait."""
        return self._turns.has_room(*_place(subject))

    async def run(self) -> None:
        """Write queued Events until cancelled. They wait while the API server is unreachable."""
        while True:
            if not self._turns:
                self._woken.clear()
                await self._woken.wait()
            await self._limit.take()
            event = self._turns.take()
            try:
                await self._write(event)
            except Unreachable:
                self._turns.put_back(*_place(event.subject), event)
                await self._client.reconnected()
                continue
            except KubeError:
                self.counters.failed += 1  # an Event is worth no second attempt
            self._told(event.key)
            self._pending.discard(event.key)

    def _told(self, key: str) -> None:
        self._told_at[key] = self._clock.monotonic()
        self._told_at.move_to_end(key)
        if len(self._told_at) > MAX_REMEMBERED:
            self._told_at.popitem(last=False)

    async def _write(self, event: _Event) -> None:
        collection = f"/api/v1/namespaces/{event.namespace}/events"
        try:
            if event.key in self._told_at:
                await self._repeat(event, f"{collection}/{event.name}")
            else:
                await self._create(event, collection)
        except ApiError as error:
            if error.status == 409:  # written already, by the leader before us or before a restart
                if event.since:
                    await self._repeat(event, f"{collection}/{event.name}")
                return
            if error.status != 404:
                raise
            # API servers forget Events after an hour; the finding is still there.
            await self._create(event, collection)

    async def _create(self, event: _Event, collection: str) -> None:
        await self._client.create(collection, self._body(event))
        self.counters.written += 1

    async def _repeat(self, event: _Event, path: str) -> None:
        stored = msgspec.json.decode(await self._client.get(path), type=_Stored)
        told_at = stored.last_timestamp.timestamp() if stored.last_timestamp is not None else 0.0
        slack = 0.0 if event.key in self._told_at else CLOCKS_DIFFER_S
        if event.since and told_at > event.since - slack:
            return
        series = {
            "count": (stored.count or 1) + 1,
            "lastTimestamp": rfc3339(self._clock.now()),
            "message": event.note,
        }
        await self._client.patch(path, msgspec.json.encode(series))
        self.counters.repeated += 1

    def _body(self, event: _Event) -> bytes:
        subject, now = event.subject, rfc3339(self._clock.now())
        involved = {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "name": subject.name,
            "uid": subject.uid,
        }
        if subject.namespace:
            involved["namespace"] = subject.namespace
        document = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": event.name, "namespace": event.namespace},
            "involvedObject": involved,
            "type": event.type,
            "reason": event.reason,
            "message": event.note,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": CONTROLLER},
            "reportingComponent": CONTROLLER,
            "reportingInstance": self._instance,
        }
        return msgspec.json.encode(document)


def _place(subject: EventSubject) -> tuple[str, str]:
    return subject.namespace, f"{subject.kind}/{subject.name}"


def _note(note: str) -> str:
    """Return `note` as one line within the API's limit, which is in bytes."""
    flat = " ".join(note.split()).encode()
    return flat[:MAX_NOTE].decode("utf-8", "ignore")
