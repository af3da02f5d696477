"""A local copy of all objects of one resource, kept by list and watch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import httpx
import msgspec

from controlplane.embedded.workloads.apiclient import ApiFailure, Object, Resource, WorkloadClient

log = logging.getLogger(__name__)

RETRY_S = 0.2
RETRY_MAX_S = 5.0


class Mirror:
    """The objects of one resource by (namespace, name). `on_change` is called after every change."""

    def __init__(self, client: WorkloadClient, resource: Resource, on_change: Callable[[], None]) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.resource = resource
        self.synced = asyncio.Event()
        self._client = client
        self._on_change = on_change
        self._deleted: set[str] = set()  # uids whose DELETED event is still to come

    def put(self, item: Object) -> None:
        """Take over an object that a write returned, so that the writer reads its own writes."""
        meta = item["metadata"]
        key = (meta["namespace"], meta["name"])
        known = self.objects.get(key)
        if meta["uid"] in self._deleted or (known is not None and _version(known) >= _version(item)):
            return
        self.objects[key] = item
        self._on_change()

    def drop(self, item: Object) -> None:
        """Forget an object that was deleted for good; late events of it are ignored."""
        self._deleted.add(item["metadata"]["uid"])
        self._remove(item)

    def owned_by(self, uid: str) -> list[Object]:
        return [item for item in self.objects.values() if (owner(item) or {}).get("uid") == uid]

    async def run(self) -> None:
        """List and watch until cancelled; failures are retried with a growing delay."""
        delay = RETRY_S
        while True:
            try:
                version = await self._list()
                delay = RETRY_S
                await self._watch(version)
            except (ApiFailure, httpx.TransportError, msgspec.DecodeError) as error:
                log.debug("%s: %s", self.resource.plural, error)
                await asyncio.sleep(delay)
                delay = min(RETRY_MAX_S, delay * 2)

    async def _list(self) -> str:
        answer = await self._client.list(self.resource)
        listed: dict[tuple[str, str], Object] = {}
        for item in answer.get("items") or []:
            item["apiVersion"], item["kind"] = self.resource.api_version, self.resource.kind
            listed[item["metadata"]["namespace"], item["metadata"]["name"]] = item
        version = str(answer["metadata"]["resourceVersion"])
        self._take_over(listed, int(version))
        self.synced.set()
        self._on_change()
        return version

    def _take_over(self, listed: dict[tuple[str, str], Object], version: int) -> None:
        """Replace all objects, but for own writes while the list was under way."""
        self._deleted &= {item["metadata"]["uid"] for item in listed.values()}
        current = {key: item for key, item in listed.items() if item["metadata"]["uid"] not in self._deleted}
        newer = {key: item for key, item in self.objects.items() if _version(item) > version}
        self.objects = current | newer

    async def _watch(self, version: str) -> None:
        """Follow the changes since `version`; returns when they must be listed anew."""
        while True:
            async with self._client.watch(self.resource, version) as events:
                last = await self._follow(events)
            if last == "":
                return
            version = last if last is not None else version

    async def _follow(self, events: AsyncIterator[Object]) -> str | None:
        """Return the last version seen, None when there was none, "" when the watch has expired."""
        last: str | None = None
        async for event in events:
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                return ""
            last = str(item["metadata"]["resourceVersion"])
            if kind == "DELETED":
                self._deleted.discard(item["metadata"]["uid"])
                self._remove(item)
            elif kind != "BOOKMARK":
                self.put(item)
        return last

    def _remove(self, item: Object) -> None:
        meta = item["metadata"]
        known = self.objects.get((meta["namespace"], meta["name"]))
        if known is not None and known["metadata"]["uid"] == meta["uid"]:
            del self.objects[meta["namespace"], meta["name"]]
            self._on_change()


def owner(item: Object) -> Object | None:
    """Return the reference to the controller that owns an object."""
    references: list[Object] = item["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def owner_reference(item: Object) -> Object:
    """Return the reference that makes `item` the controlling owner of another object."""
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])
