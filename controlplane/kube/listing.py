"""A complete list of one kind: never mixed from two versions, decoded without holding up others."""

import asyncio
from collections.abc import Mapping

import msgspec

from controlplane.kube.client import ApiClient
from controlplane.kube.errors import ApiError, StreamBroken
from controlplane.kube.store import Store, StoredObject, T

PAGE = 500
YIELD_BYTES = 256 << 10
"""About a millisecond of decoding: a big list of one cluster must not delay the events of another."""


class Collection(msgspec.Struct, frozen=True):
    """A collection to list: its path, the query that selects from it, and whether metadata is enough."""

    path: str
    selector: Mapping[str, str]
    metadata_only: bool = False


class Listing(msgspec.Struct, frozen=True):
    """A list and the resource version it shows; `paged` when the server gave it in pages."""

    items: list[msgspec.Raw]
    resource_version: str
    paged: bool = False


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


_pages = msgspec.json.Decoder(_Page)


async def list_all(client: ApiClient, collection: Collection, version: str, *, paged: bool) -> Listing:
    """Return all of a collection, not older than `version` ("0": the state of the cache, "": the newest).

    Raises the errors of the client, and StreamBroken when the answer is no list.
    """
    selector = collection.selector
    query = dict(selector)
    if version:
        query["resourceVersion"] = version
    if version not in ("", "0"):
        query["resourceVersionMatch"] = "NotOlderThan"
    # With a version and a limit a list comes from etcd instead of the watch cache: only when needed.
    if paged or version in ("", "0"):
        query["limit"] = str(PAGE)
    first = await _page(client, collection, query)
    if not first.metadata.continue_:
        return Listing(first.items or [], first.metadata.resource_version)
    try:
        return await _further_pages(client, collection, first)
    except ApiError as error:
        if not error.expired:
            raise
    # The version of the pages was compacted away between two of them: all at once then.
    whole = await _page(client, collection, selector)
    return Listing(whole.items or [], whole.metadata.resource_version, paged=True)


async def newest_version(client: ApiClient, collection: Collection) -> str:
    """Return the resource version that a list would show now, at the cost of one object."""
    return (await _page(client, collection, {**collection.selector, "limit": "1"})).metadata.resource_version


async def _further_pages(client: ApiClient, collection: Collection, first: _Page) -> Listing:
    items = list(first.items or ())
    page = first
    while page.metadata.continue_:
        query = {**collection.selector, "limit": str(PAGE), "continue": page.metadata.continue_}
        page = await _page(client, collection, query)
        if page.metadata.resource_version != first.metadata.resource_version:
            raise StreamBroken("the pages of a list are of different resource versions", relist=True)
        items += page.items or ()
    return Listing(items, first.metadata.resource_version, paged=True)


async def _page(client: ApiClient, collection: Collection, query: Mapping[str, str]) -> _Page:
    body = await client.list(collection.path, query, metadata_only=collection.metadata_only)
    try:
        return _pages.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise StreamBroken(f"the answer to GET {collection.path} is no list", relist=True) from None


async def read_all(store: Store[T], items: list[msgspec.Raw]) -> list[StoredObject[T]]:
    """Decode the items, letting other tasks run in between."""
    entries: list[StoredObject[T]] = []
    done = 0
    for raw in items:
        entries.append(store.read(raw))
        done += memoryview(raw).nbytes
        if done > YIELD_BYTES:
            done = 0
            await asyncio.sleep(0)
    return entries
