"""The watching of one member cluster."""

import asyncio
from collections.abc import Callable

from controlplane.kube.client import ApiClient, open_client
from controlplane.kube.clock import Clock
from controlplane.kube.cluster import ClusterHealth, ClusterWatch
from controlplane.kube.errors import ConfigError
from controlplane.kube.reflector import Reflector
from controlplane.resources.kinds import ENDPOINT_SLICES, PODS, SERVICES
from controlplane.resources.view import MemberObjects
from controlplane.sources.namespaced import NamespacedWatch
from controlplane.sources.registered import Registration

RETRY_S = 30.0


class Member:
    """The Services, EndpointSlices and wanted pods of a cluster, kept while its API server is away."""

    def __init__(
        self, cluster: str, registration: Registration, on_change: Callable[[], None], clock: Clock
    ) -> None:
        self.cluster = cluster
        self.registration = registration
        self._clock = clock
        self._services = Reflector(None, SERVICES, on_change, clock=clock)
        self._slices = Reflector(None, ENDPOINT_SLICES, on_change, clock=clock)
        self._pods = NamespacedWatch(PODS, cluster, on_change, clock)
        self._on_change = on_change
        self._watch = ClusterWatch(cluster, (self._services, self._slices), self._freshness_changed, clock)
        self._problem = ""
        self._changed = asyncio.Event()

    def use(self, registration: Registration) -> None:
        """Go on with other credentials. If they cannot be used, the old ones stay in use."""
        if registration != self.registration:
            self.registration = registration
            self._changed.set()

    def want_pods(self, namespaces: frozenset[str]) -> None:
        """Say in which namespaces the labels of pods matter."""
        self._pods.want(namespaces)

    def waits_for_pods(self) -> bool:
        """Return whether wanted pods are not known yet, but the API server will probably list them soon."""
        return self._watch.synced and not self._watch.stale and self._pods.waits()

    def objects(self) -> MemberObjects:
        malformed = (
            *self._services.malformed.values(),
            *self._slices.malformed.values(),
            *self._pods.malformed(),
        )
        return MemberObjects(
            cluster=self.cluster,
            services=self._services.objects,
            slices=self._slices.objects,
            synced=self._watch.synced,
            stale=self._watch.stale,
            pods=self._pods.objects(),
            pods_denied=self._pods.denied(),
            malformed=malformed,
        )

    def health(self) -> ClusterHealth:
        return self._watch.health(self._problem)

    async def run(self) -> None:
        """Watch the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.monitor())
            following: asyncio.Task[None] | None = None
            while True:
                self._changed.clear()
                client = await self._open()
                if client is not None:
                    if following is not None:
                        following.cancel()
                        await asyncio.wait([following])
                    following = group.create_task(self._follow(client))
                await self._next_try(failed=client is None)

    async def _open(self) -> ApiClient | None:
        registration = self.registration
        self._problem = registration.problem
        if registration.problem:
            return None
        try:
            return await open_client(registration.kubeconfig, clock=self._clock)
        except ConfigError as error:
            self._problem = f"{registration.origin}: {error}"
            return None

    async def _follow(self, client: ApiClient) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch.follow(client))
                group.create_task(self._pods.follow(client))
        finally:
            await client.close()

    def _freshness_changed(self) -> None:
        if self._watch.stale:
            self._pods.reconnect()
        self._on_change()

    async def _next_try(self, *, failed: bool) -> None:
        """Wait for other credentials; a file that could not be used is tried again by itself."""
        if not failed:
            await self._changed.wait()
            return
        try:
            async with asyncio.timeout(RETRY_S):
                await self._changed.wait()
        except TimeoutError:
            pass
