"""What happens around deletion: namespaces with their contents, owners with their dependents."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.embedded import gone, running_server

MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with running_server() as (_, client):
        yield client


async def _make(api: httpx.AsyncClient, path: str, name: str, **meta: Any) -> dict[str, Any]:
    answer = await api.post(path, json={"metadata": {"name": name, **meta}})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _owned_by(owner: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    meta = owner["metadata"]
    return [{"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"], **more}]


async def test_a_deleted_namespace_takes_its_contents_along(api: httpx.AsyncClient) -> None:
    await _make(api, "/api/v1/namespaces", "n")
    await _make(api, "/api/v1/namespaces/n/configmaps", "a")
    await _make(api, "/api/v1/namespaces/n/secrets", "b", finalizers=["example.com/x"])
    marked = (await api.delete("/api/v1/namespaces/n")).json()
    assert marked["status"]["phase"] == "Terminating"
    await gone(api, "/api/v1/namespaces/n/configmaps/a")
    refused = await api.post("/api/v1/namespaces/n/configmaps", json={"metadata": {"name": "late"}})
    assert refused.status_code == 403
    assert refused.json()["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert (await api.get("/api/v1/namespaces/n")).status_code == 200
    await api.patch("/api/v1/namespaces/n/secrets/b", json={"metadata": {"finalizers": []}}, headers=MERGE)
    await gone(api, "/api/v1/namespaces/n")


async def test_dependents_go_after_their_last_owner(api: httpx.AsyncClient) -> None:
    first, second = await _make(api, MAPS, "first"), await _make(api, MAPS, "second")
    await _make(api, MAPS, "child", ownerReferences=[*_owned_by(first), *_owned_by(second)])
    await api.delete(f"{MAPS}/first")
    assert (await api.get(f"{MAPS}/child")).status_code == 200
    await api.delete(f"{MAPS}/second")
    await gone(api, f"{MAPS}/child")


async def test_orphans_stay(api: httpx.AsyncClient) -> None:
    owner = await _make(api, MAPS, "owner")
    await _make(api, MAPS, "child", ownerReferences=_owned_by(owner))
    await api.request("DELETE", f"{MAPS}/owner", json={"propagationPolicy": "Orphan"})
    await gone(api, f"{MAPS}/owner")
    child = (await api.get(f"{MAPS}/child")).json()
    assert "ownerReferences" not in child["metadata"]


async def test_foreground_deletion_waits_for_blocking_dependents(api: httpx.AsyncClient) -> None:
    owner = await _make(api, MAPS, "owner")
    references = _owned_by(owner, blockOwnerDeletion=True)
    await _make(api, MAPS, "child", ownerReferences=references, finalizers=["example.com/x"])
    marked = (await api.request("DELETE", f"{MAPS}/owner", json={"propagationPolicy": "Foreground"})).json()
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert (await api.get(f"{MAPS}/child")).json()["metadata"]["deletionTimestamp"]
    assert (await api.get(f"{MAPS}/owner")).status_code == 200
    await api.patch(f"{MAPS}/child", json={"metadata": {"finalizers": None}}, headers=MERGE)
    await gone(api, f"{MAPS}/owner")


async def test_a_collection_is_deleted_by_selector(api: httpx.AsyncClient) -> None:
    for name, color in (("a", "red"), ("b", "red"), ("c", "blue")):
        await _make(api, MAPS, name, labels={"color": color})
    await api.delete(MAPS, params={"labelSelector": "color=red"})
    assert [item["metadata"]["name"] for item in (await api.get(MAPS)).json()["items"]] == ["c"]


async def test_the_finalize_subresource_lets_a_stuck_namespace_go(api: httpx.AsyncClient) -> None:
    await _make(api, "/api/v1/namespaces", "n")
    await _make(api, "/api/v1/namespaces/n/secrets", "b", finalizers=["example.com/x"])
    marked = (await api.delete("/api/v1/namespaces/n")).json()
    await api.put("/api/v1/namespaces/n/finalize", json={**marked, "spec": {}})
    await gone(api, "/api/v1/namespaces/n")
