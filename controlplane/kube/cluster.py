"""One API server and the reflectors on it: are the objects current, and since when not."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import field

from controlplane.kube.client import ApiClient
from controlplane.kube.clock import Clock
from controlplane.kube.reflector import Reflector

STALE_AFTER_S = 10.0
"""Objects count as stale after this time without a sign that they are current."""

CHECK_EVERY_S = 1.0
PROBE_AFTER_S = 3.0
"""Seconds of silence on a watch after which the server is probed; an idle watch is silent for a minute."""

PROBE_TIMEOUT_S = 3.0


class ClusterHealth(msgspec.Struct, frozen=True):
    """The state of the watches of one cluster; `age_s` is the time since its objects were surely current."""

    cluster: str
    attached: bool
    synced: bool = False
    stale: bool = False
    age_s: float = 0.0
    server: str = ""
    last_error: str = ""
    objects: Mapping[str, int] = field(default_factory=dict)  # by plural
    relists: int = 0
    watch_restarts: int = 0


class ClusterWatch:
    """Runs reflectors on one API server and judges their freshness.

    `on_change` is called when `stale` changes. Objects survive a change of the client.
    """

    def __init__(
        self, name: str, reflectors: tuple[Reflector[Any], ...], on_change: Callable[[], None], clock: Clock
    ) -> None:
        self.name = name
        self.stale = False
        self._reflectors = reflectors
        self._on_change = on_change
        self._clock = clock
        self._client: ApiClient | None = None

    @property
    def synced(self) -> bool:
        return all(reflector.health.synced for reflector in self._reflectors)

    async def follow(self, client: ApiClient) -> None:
        """Run the reflectors on `client` until cancelled."""
        for reflector in self._reflectors:
            reflector.use(client)
        self._client = client
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run(), name=f"{self.name} {reflector.kind.plural}")

    async def monitor(self) -> None:
        """Judge the freshness every second until cancelled."""
        while True:
            await self._clock.sleep(CHECK_EVERY_S)
            await self._probe_if_quiet()
            self._judge()

    def health(self, problem: str = "") -> ClusterHealth:
        """Return the current state; `problem` is an error of the caller, beyond those of the reflectors."""
        healths = [reflector.health for reflector in self._reflectors]
        return ClusterHealth(
            cluster=self.name,
            attached=True,
            synced=self.synced,
            stale=self.stale,
            age_s=self._age(),
            server=self._client.server if self._client else "",
            last_error=problem or next((health.last_error for health in healths if health.last_error), ""),
            objects={reflector.kind.plural: len(reflector.objects) for reflector in self._reflectors},
            relists=sum(health.relists for health in healths),
            watch_restarts=sum(health.watch_restarts for health in healths),
        )

    def _age(self) -> float:
        """Seconds since all objects were last known to be current."""
        return self._clock.monotonic() - min(reflector.live_at() for reflector in self._reflectors)

    async def _probe_if_quiet(self) -> None:
        """Probe the server, but only while a watch is open.

        A server that is known to be down is asked by the reflectors, much more rarely.
        """
        client = self._client
        if client is None or self._clock.monotonic() - client.last_contact < PROBE_AFTER_S:
            return
        if any(reflector.health.streaming for reflector in self._reflectors):
            await client.probe(PROBE_TIMEOUT_S)

    def _judge(self) -> None:
        stale = self._age() > STALE_AFTER_S
        if stale == self.stale:
            return
        self.stale = stale
        if stale:
            # Should the network come back, the old connections would wait for TCP's next attempt.
            for reflector in self._reflectors:
                reflector.reconnect()
        self._on_change()
