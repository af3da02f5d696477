"""The schedule of all checks: one for each address, port and check, however many services share it."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import uniform
from typing import Final, NamedTuple

import msgspec
from msgspec import field

from controlplane.checks.changelog import ChangeLog
from controlplane.checks.probe import Prober
from controlplane.checks.verdict import Verdict
from proxy.model.snapshot import Endpoint, HealthCheck, Service

log = logging.getLogger(__name__)

FIRST_CHECK_S: Final = 2.0
"""New endpoints are checked at a random moment within it, so that a cluster's are not all at once."""

AT_ONCE: Final = 512
"""Checks under way of endpoints that pass; those that fail have as many places of their own, because a
black-holed cluster holds each of them for the whole timeout, and the others must not wait for that."""

EndpointKey = tuple[str, str, str, int]
"""service, cluster, address, port"""

Counts = Counter[tuple[str, str, str]]
"""Checks by service, cluster and result."""


class CheckView(msgspec.Struct, frozen=True):
    """The state of the checks of one endpoint. Times are Unix seconds, 0 for never."""

    failing: bool
    since: float
    last_at: float
    last_cause: str  # of the last failed check


class _Key(NamedTuple):
    address: str
    port: int
    check: HealthCheck


class _Target(msgspec.Struct, eq=False):
    """The checks that are wanted, with the services that want them."""

    key: _Key
    verdict: Verdict
    task: asyncio.Task[None] | None = None
    endpoints: set[EndpointKey] = field(default_factory=set)
    groups: set[tuple[str, str]] = field(default_factory=set)  # service and cluster of each


class Checker:
    """Checks the endpoints of `want` until `close`; calls `on_change` after every change of a verdict.

    An endpoint begins as passing, unless it was failing an earlier check or in an earlier life.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._targets: dict[_Key, _Target] = {}
        self._lanes = {failing: asyncio.Semaphore(AT_ONCE) for failing in (False, True)}
        self._prober = Prober()
        self._changes = ChangeLog(log)
        self.counts: Counts = Counter()

    def want(self, services: Iterable[Service]) -> None:
        """Check the endpoints of these services, and no others.

        A known verdict outranks the one in these services, which may be an old snapshot's.
        """
        before = {
            endpoint: target.verdict.failing
            for target in self._targets.values()
            for endpoint in target.endpoints
        }
        wanted: dict[_Key, set[EndpointKey]] = {}
        failing: set[_Key] = set()
        for check, endpoint, named in _checked(services):
            key = _key(endpoint, check)
            wanted.setdefault(key, set()).add(named)
            if before.get(named, endpoint.failing):
                failing.add(key)
        for key in self._targets.keys() - wanted.keys():
            _stop(self._targets.pop(key))
        for key, endpoints in wanted.items():
            target = self._targets.get(key) or self._start(key, failing=key in failing)
            if target.endpoints != endpoints:
                target.endpoints = endpoints
                target.groups = {(service, cluster) for service, cluster, _, _ in endpoints}
        self._forget_counts()

    def is_failing(self, endpoint: Endpoint, check: HealthCheck) -> bool:
        target = self._targets.get(_key(endpoint, check))
        return target is not None and target.verdict.failing

    def views(self) -> Mapping[EndpointKey, CheckView]:
        return {
            endpoint: CheckView(
                target.verdict.failing,
                target.verdict.since,
                target.verdict.last_at,
                target.verdict.last_cause,
            )
            for target in self._targets.values()
            for endpoint in target.endpoints
        }

    async def close(self) -> None:
        tasks = [target.task for target in self._targets.values() if target.task is not None]
        for target in self._targets.values():
            _stop(target)
        self._targets.clear()
        self._changes.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._prober.close()

    def _start(self, key: _Key, *, failing: bool) -> _Target:
        cause = "failing before this check began" if failing else ""
        target = _Target(key, Verdict(time.time(), failing, last_cause=cause))
        target.task = asyncio.create_task(self._follow(target), name=f"check {key.address}:{key.port}")
        self._targets[key] = target
        return target

    async def _follow(self, target: _Target) -> None:
        check = target.key.check
        loop = asyncio.get_running_loop()
        await asyncio.sleep(uniform(0, min(FIRST_CHECK_S, check.interval_s)))
        while True:
            next_at = loop.time() + check.interval_s * uniform(0.9, 1.1)
            try:
                await self._check(target)
            except Exception:
                log.exception(
                    "health check failed by a mistake of ours", extra={"address": target.key.address}
                )
            await asyncio.sleep(next_at - loop.time())

    async def _check(self, target: _Target) -> None:
        address, port, check = target.key
        async with self._lanes[target.verdict.failing]:
            result = await self._prober.probe(address, port, check)
        for service, cluster in target.groups:
            self.counts[service, cluster, result.kind.value] += 1
        if target.verdict.heard(result, check, time.time()):
            self._changes.changed(target.verdict, address, port, sorted(target.groups))
            self._on_change()

    def _forget_counts(self) -> None:
        """Forget the counts of services that are gone: renamed services would pile up over the years."""
        live = {group for target in self._targets.values() for group in target.groups}
        for key in [key for key in self.counts if key[:2] not in live]:
            del self.counts[key]


def _checked(services: Iterable[Service]) -> Iterator[tuple[HealthCheck, Endpoint, EndpointKey]]:
    for service in services:
        if service.health is not None:
            for group in service.clusters:
                for endpoint in group.endpoints:
                    named = (service.id, group.cluster, endpoint.address, endpoint.port)
                    yield service.health, endpoint, named


def _key(endpoint: Endpoint, check: HealthCheck) -> _Key:
    return _Key(endpoint.address, check.port or endpoint.port, check)


def _stop(target: _Target) -> None:
    if target.task is not None:
        target.task.cancel()
