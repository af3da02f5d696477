"""Desired statuses and findings to the Fleet: written by the leader, only when they differ."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from controlplane.kube.backoff import Backoff, BackoffSettings, RateLimit
from controlplane.kube.client import ApiClient
from controlplane.kube.clock import SYSTEM_CLOCK, Clock, rfc3339
from controlplane.kube.events import EventRecorder, EventSubject
from controlplane.kube.lease import LeaderElector
from controlplane.kube.patch import patch_status, status_patch, with_transition_times
from controlplane.kube.store import StoredStatus
from controlplane.kube.turns import in_turn
from controlplane.report.findings import FindingEvents
from controlplane.report.writer import LeaderWriter, WriteCounters
from controlplane.resources.kinds import (
    INGRESSES,
    Kind,
)
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.model import ObjectStatus
from controlplane.translate.statuses import kept_entries

RATE_PER_S, BURST = 10.0, 50
"""Half of the client's own rate: the watches and the Lease always get through."""

CHECK_EVERY_S = 30.0
"""Time until the next write of a status that another client changed, or that the API server refuses."""

RETRY = BackoffSettings(first=0.5, cap=CHECK_EVERY_S, jitter=0.0)
"""Pauses after a refused write. Mostly the watch was behind, and no signal shows when it has caught up."""

YIELD_EVERY = 50  # comparisons, about a millisecond
CurrentStatus = Callable[[Kind[Any], str, str], StoredStatus | None]
"""The status of an object as the watch last showed it, or None."""


class StatusCounters(WriteCounters):
    """`total` is every comparison; each ends as a write, a `noop`, a `conflict` or a failure."""

    total: int = 0
    noop: int = 0


class StatusWriter:
    """Keeps the last submission and makes the Fleet agree with it while `run` runs."""

    def __init__(
        self,
        client: ApiClient,
        recorder: EventRecorder,
        elector: LeaderElector,
        current: CurrentStatus,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._writer = LeaderWriter(client, elector, RateLimit(RATE_PER_S, BURST, clock), StatusCounters())
        self._client = client
        self._recorder = recorder
        self._current = current
        self._clock = clock
        self._statuses: tuple[ObjectStatus, ...] = ()
        self._diagnostics: tuple[Diagnostic, ...] = ()
        self._settled: dict[str, tuple[ObjectStatus, StoredStatus]] = {}  # by uid: asked for, came out
        self._findings = FindingEvents(recorder, elector, clock)
        self._synced: dict[str, int] = {}  # by uid: generation that was reported as live
        self._written_at: dict[str, float] = {}  # by namespace: when a status was sent last, monotonic
        self._woken = asyncio.Event()
        self._retries = Backoff(RETRY, clock)
        self._check_in_s = CHECK_EVERY_S

    @property
    def counters(self) -> StatusCounters:
        return self._writer.counters

    @property
    def last_error(self) -> str:
        return self._writer.last_error

    def submit(self, statuses: tuple[ObjectStatus, ...], diagnostics: tuple[Diagnostic, ...]) -> None:
        """Replace the desired statuses. Returns at once; only the newest submission is ever written."""
        self._statuses = statuses
        self._diagnostics = diagnostics
        self._findings.submit(diagnostics)
        self._woken.set()

    async def run(self) -> None:
        """Write until cancelled; nothing while another replica leads or no API server answers."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._findings.run(), name="findings")
            group.create_task(self._write_forever(), name="statuses")

    async def _write_forever(self) -> None:
        while True:
            await self._wait_for_work()
            if not await self._writer.pass_over(self._write_statuses):
                self._woken.set()

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(self._check_in_s):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _write_statuses(self) -> None:
        statuses = self._statuses
        failed = {item.uid for item in self._diagnostics if item.level == "error"}
        refused = self.counters.refused
        for number, desired in enumerate(in_turn(statuses, lambda each: each.namespace, self._written_at)):
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            if self._woken.is_set() or not self._writer.leads:
                self._woken.set()  # newer desires, or another leader: start over
                return
            current = await self._settle(desired)
            if current is not None and desired.kind is INGRESSES and desired.uid not in failed:
                self._tell_synced(desired, current)
        uids = {desired.uid for desired in statuses}
        self._settled = {uid: value for uid, value in self._settled.items() if uid in uids}
        self._synced = {uid: value for uid, value in self._synced.items() if uid in uids}
        namespaces = {desired.namespace for desired in statuses}
        self._written_at = {name: at for name, at in self._written_at.items() if name in namespaces}
        self._plan_check(refused < self.counters.refused)

    def _plan_check(self, was_refused: bool) -> None:
        if was_refused:
            self._check_in_s = self._retries.next()
        else:
            self._retries.forget()
            self._check_in_s = CHECK_EVERY_S

    async def _settle(self, desired: ObjectStatus) -> StoredStatus | None:
        """Write one status if it differs. Return the status that the object has now, None if not known."""
        current = self._current(desired.kind, desired.namespace, desired.name)
        if current is None or current.uid != desired.uid:
            return None  # gone or created anew: the next translation knows it too
        self.counters.total += 1
        asked, came_out = self._settled.get(desired.uid, (None, current))
        if _version(came_out) >= _version(current):
            if asked == desired:
                self.counters.noop += 1
                return current
            current = came_out  # the watch has not shown our own last write yet
        patch = self._patch(desired, current)
        if not patch:
            self.counters.noop += 1
            self._settled[desired.uid] = (desired, current)
            return current
        return await self._write(desired, patch, current)

    def _patch(self, desired: ObjectStatus, current: StoredStatus) -> dict[str, Any]:
        present = _decoded(current.status)
        if desired.releases:
            return _release(present, desired.releases)
        wanted = with_transition_times(present, desired.status, rfc3339(self._clock.now()))
        return status_patch(present, wanted)

    async def _write(
        self, desired: ObjectStatus, patch: dict[str, Any], current: StoredStatus
    ) -> StoredStatus | None:
        if not await self._writer.turn():
            self._woken.set()
            return None
        self._written_at[desired.namespace] = self._clock.monotonic()
        written = await self._writer.write(
            patch_status(
                self._client,
                desired.kind,
                desired.namespace,
                desired.name,
                current,
                patch,
                exact=bool(desired.releases),
            )
        )
        if written is not None:
            self._settled[desired.uid] = (desired, written)
        return written

    def _tell_synced(self, desired: ObjectStatus, current: StoredStatus) -> None:
        entries = desired.status.get("loadBalancer", {}).get("ingress") or ()
        if not entries or self._synced.get(desired.uid) == desired.generation:
            return
        if desired.generation != current.generation:
            return  # the object was edited meanwhile: its next status covers the edit
        subject = EventSubject(
            desired.kind.api_version,
            desired.kind.kind,
            desired.namespace,
            desired.name,
            desired.uid,
            current.generation,
        )
        if not self._recorder.has_room(subject):
            return
        self._synced[desired.uid] = desired.generation
        entry = entries[0]
        address = entry.get("hostname") or entry.get("ip", "")
        ports = ", ".join(str(port["port"]) for port in entry.get("ports", ()))
        self._recorder.record(subject, "Normal", "Synced", f"serving at {address}, port {ports}")


def _release(present: dict[str, Any], address: str) -> dict[str, Any]:
    """Return the patch that takes our address out of a status, {} where it is not in there."""
    balancer = present.get("loadBalancer")
    entries = balancer.get("ingress") if isinstance(balancer, dict) else None
    if not isinstance(entries, list):
        return {}
    kept = kept_entries(entries, address)
    return {"loadBalancer": {"ingress": kept}} if len(kept) < len(entries) else {}


def _decoded(status: bytes) -> dict[str, Any]:
    value = msgspec.json.decode(status) if status else {}
    return value if isinstance(value, dict) else {}


def _version(stored: StoredStatus) -> int:
    """Resource versions of one kind compare as numbers; a version that is no number is older than all."""
    return int(stored.resource_version) if stored.resource_version.isdecimal() else 0
