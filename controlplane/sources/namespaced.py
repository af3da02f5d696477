"""Objects that are watched only where they are needed: labels of pods, Secrets of certificates."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Generic

from controlplane.kube.client import ApiClient
from controlplane.kube.clock import Clock
from controlplane.kube.reflector import Reflector
from controlplane.kube.store import T
from controlplane.resources.kinds import Kind
from controlplane.resources.view import Malformed


class NamespacedWatch(Generic[T]):
    """One reflector per wanted place: a namespace, or namespace/name of a single object.

    Objects of unwanted places are forgotten at once.
    """

    def __init__(
        self, kind: Kind[T], cluster: str, on_change: Callable[[], None], clock: Clock,
        *, field_selector: str = "",
    ) -> None:  # fmt: skip
        self._kind = kind
        self._field_selector = field_selector
        self._cluster = cluster
        self._on_change = on_change
        self._clock = clock
        self._reflectors: dict[str, Reflector[T]] = {}
        self._changed = asyncio.Event()

    def want(self, places: frozenset[str]) -> None:
        """Say where objects are needed."""
        if places == self._reflectors.keys():
            return
        for place in self._reflectors.keys() - places:
            del self._reflectors[place]
        for place in places - self._reflectors.keys():
            namespace, _, name = place.partition("/")
            self._reflectors[place] = Reflector(
                None,
                self._kind,
                self._on_change,
                namespace=namespace,
                field_selector=f"metadata.name={name}" if name else self._field_selector,
                clock=self._clock,
            )
        self._changed.set()

    def waits(self) -> bool:
        """Say whether some place was not listed yet, without any sign of trouble."""
        healths = (reflector.health for reflector in self._reflectors.values())
        return any(not health.synced and not health.last_error for health in healths)

    def objects(self) -> Mapping[str, Mapping[str, T]]:
        """Return the objects by place and key, of places that were listed."""
        return {
            place: reflector.objects
            for place, reflector in self._reflectors.items()
            if reflector.health.synced
        }

    def denied(self) -> frozenset[str]:
        """Return the places whose objects may not be listed."""
        return frozenset(place for place, reflector in self._reflectors.items() if reflector.health.denied)

    def malformed(self) -> tuple[Malformed, ...]:
        return tuple(item for reflector in self._reflectors.values() for item in reflector.malformed.values())

    def reconnect(self) -> None:
        """Give up the open watches: their connections are known to be dead."""
        for reflector in self._reflectors.values():
            reflector.reconnect()

    async def follow(self, client: ApiClient) -> None:
        """Watch with `client` until cancelled."""
        running: dict[Reflector[T], asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                wanted = set(self._reflectors.values())
                for reflector in running.keys() - wanted:
                    running.pop(reflector).cancel()
                for reflector in wanted - running.keys():
                    reflector.use(client)
                    running[reflector] = group.create_task(
                        reflector.run(), name=f"{self._cluster} {self._kind.plural}"
                    )
                await self._changed.wait()
