"""Lists and watches: versions, pages, selectors, bookmarks, expiry."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.embedded import running_server, watching

MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with running_server(history=8) as (_, client):
        yield client


async def _make(api: httpx.AsyncClient, name: str, **labels: str) -> int:
    answer = await api.post(MAPS, json={"metadata": {"name": name, "labels": labels}})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["metadata"]["resourceVersion"])


async def _touch(api: httpx.AsyncClient, name: str, value: str) -> int:
    answer = await api.patch(f"{MAPS}/{name}", json={"data": {"k": value}}, headers=MERGE)
    return int(answer.json()["metadata"]["resourceVersion"])


def _names(answer: httpx.Response) -> list[str]:
    return [item["metadata"]["name"] for item in answer.json()["items"]]


def _seen(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]


async def test_pages_show_one_consistent_state(api: httpx.AsyncClient) -> None:
    for name in "abcd":
        await _make(api, name)
    first = await api.get(MAPS, params={"limit": 2})
    meta = first.json()["metadata"]
    assert (_names(first), meta["remainingItemCount"]) == (["a", "b"], 2)
    await api.delete(f"{MAPS}/c")
    await _make(api, "e")
    second = await api.get(MAPS, params={"limit": 2, "continue": meta["continue"]})
    assert _names(second) == ["c", "d"]
    assert second.json()["metadata"]["resourceVersion"] == meta["resourceVersion"]
    assert "continue" not in second.json()["metadata"]


async def test_an_expired_page_offers_to_go_on_inconsistently(api: httpx.AsyncClient) -> None:
    for name in "abc":
        await _make(api, name)
    token = (await api.get(MAPS, params={"limit": 1})).json()["metadata"]["continue"]
    for n in range(9):
        await _touch(api, "a", str(n))
    expired = await api.get(MAPS, params={"limit": 1, "continue": token})
    assert (expired.status_code, expired.json()["reason"]) == (410, "Expired")
    again = await api.get(MAPS, params={"continue": expired.json()["metadata"]["continue"]})
    assert _names(again) == ["b", "c"]
    assert (await api.get(MAPS, params={"continue": "rubbish"})).status_code == 400


async def test_lists_at_a_version(api: httpx.AsyncClient) -> None:
    first = await _make(api, "a")
    second = await _make(api, "b")
    exact: dict[str, Any] = {"resourceVersion": first, "resourceVersionMatch": "Exact"}
    assert _names(await api.get(MAPS, params=exact)) == ["a"]
    for match in ({}, {"resourceVersionMatch": "NotOlderThan"}):
        params: dict[str, Any] = {"resourceVersion": first, **match}
        assert _names(await api.get(MAPS, params=params)) == ["a", "b"]
    assert _names(await api.get(MAPS, params={"resourceVersion": "0"})) == ["a", "b"]
    old = await api.get(MAPS, params={"resourceVersion": 1, "resourceVersionMatch": "Exact"})
    assert (old.status_code, old.json()["reason"]) == (410, "Expired")
    future = await api.get(MAPS, params={"resourceVersion": second + 100})
    assert (future.status_code, future.json()["details"]["causes"][0]["reason"]) == (
        504,
        "ResourceVersionTooLarge",
    )
    assert future.headers["retry-after"] == "1"
    assert (await api.get(MAPS, params={"resourceVersionMatch": "Exact"})).status_code == 422
    assert (await api.get(MAPS, params={"fieldSelector": "spec.x=y"})).status_code == 400


async def test_a_watch_starts_after_its_version(api: httpx.AsyncClient) -> None:
    version = await _make(api, "a")
    await _make(api, "b")
    async with watching(api, MAPS, resourceVersion=version) as stream:
        assert _seen(await stream.next()) == ("ADDED", "b")
        await _touch(api, "a", "1")
        assert _seen(await stream.next()) == ("MODIFIED", "a")
        await api.delete(f"{MAPS}/b")
        deleted = await stream.next()
        assert _seen(deleted) == ("DELETED", "b")
        assert int(deleted["object"]["metadata"]["resourceVersion"]) > version + 1


async def test_a_watch_without_a_version_begins_with_the_state(api: httpx.AsyncClient) -> None:
    await _make(api, "a")
    for query in ({}, {"resourceVersion": "0"}):
        async with watching(api, MAPS, fieldSelector="metadata.name=a", **query) as stream:
            assert _seen(await stream.next()) == ("ADDED", "a")


async def test_an_object_that_stops_matching_is_deleted_to_the_watcher(api: httpx.AsyncClient) -> None:
    version = await _make(api, "a", color="blue")
    async with watching(api, MAPS, resourceVersion=version, labelSelector="color=red") as stream:
        await api.patch(f"{MAPS}/a", json={"metadata": {"labels": {"color": "red"}}}, headers=MERGE)
        assert _seen(await stream.next()) == ("ADDED", "a")
        left = await api.patch(f"{MAPS}/a", json={"metadata": {"labels": {"color": "green"}}}, headers=MERGE)
        event = await stream.next()
        assert _seen(event) == ("DELETED", "a")
        assert event["object"]["metadata"]["labels"] == {"color": "red"}
        assert event["object"]["metadata"]["resourceVersion"] == left.json()["metadata"]["resourceVersion"]


async def test_watching_from_a_compacted_version_is_an_error_event(api: httpx.AsyncClient) -> None:
    version = await _make(api, "a")
    for n in range(9):
        await _touch(api, "a", str(n))
    for old in (1, version):
        async with watching(api, MAPS, resourceVersion=old) as stream:
            event = await stream.next()
            assert (event["type"], event["object"]["code"], event["object"]["reason"]) == (
                "ERROR",
                410,
                "Expired",
            )
            assert event["object"]["message"].startswith(f"too old resource version: {old} (")


async def test_streamed_lists_end_with_an_annotated_bookmark(api: httpx.AsyncClient) -> None:
    version = await _make(api, "a")
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with watching(api, MAPS, **query) as stream:
        names = []
        while (event := await stream.next())["type"] == "ADDED":
            names.append(event["object"]["metadata"]["name"])
        assert names == ["a"]
        meta = event["object"]["metadata"]
        assert event["type"] == "BOOKMARK"
        assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(meta["resourceVersion"]) >= version
        await _touch(api, "a", "1")
        assert _seen(await stream.next()) == ("MODIFIED", "a")
    refused = await api.get(MAPS, params={"watch": "1", "sendInitialEvents": "true"})
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")


async def test_a_watch_ends_after_its_timeout_with_a_bookmark(api: httpx.AsyncClient) -> None:
    version = await _make(api, "a")
    started = time.monotonic()
    async with watching(
        api, MAPS, resourceVersion=version, timeoutSeconds=3, allowWatchBookmarks="true"
    ) as stream:
        events = await stream.rest()
    assert [event["type"] for event in events] == ["BOOKMARK"]
    assert 2.5 < time.monotonic() - started < 6


async def test_tables_come_with_cells_and_columns_once(api: httpx.AsyncClient) -> None:
    await _make(api, "a")
    headers = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = (await api.get(MAPS, headers=headers)).json()
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", 0]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = (await api.get(MAPS, headers=headers, params={"includeObject": "Object"})).json()
    assert whole["rows"][0]["object"]["kind"] == "ConfigMap"
    partial = {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    listed = (await api.get(MAPS, headers=partial)).json()
    assert (listed["kind"], _ := listed["items"][0].keys()) == (
        "PartialObjectMetadataList",
        {"kind", "apiVersion", "metadata"},
    )


async def test_a_thousand_objects_list_fast_and_events_arrive_at_once() -> None:
    async with running_server() as (_, api):
        for n in range(1000):
            await _make(api, f"m{n:04}")
        await api.get(MAPS)
        started = time.perf_counter()
        listed = await api.get(MAPS)
        assert time.perf_counter() - started < 1.0
        assert len(listed.json()["items"]) == 1000
        async with watching(
            api, MAPS, resourceVersion=listed.json()["metadata"]["resourceVersion"]
        ) as stream:
            started = time.perf_counter()
            await _touch(api, "m0001", "x")
            assert _seen(await stream.next()) == ("MODIFIED", "m0001")
            assert time.perf_counter() - started < 0.5
