"""Create, read, update, patch and delete over HTTP: codes, Status bodies, bookkeeping."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.embedded import running_server

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with running_server() as (_, client):
        yield client


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def _created(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()
    return result


def _status(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure")
    assert body["code"] == answer.status_code
    return answer.status_code, body.get("reason", ""), body["message"]


async def test_a_new_object_gets_its_bookkeeping(api: httpx.AsyncClient) -> None:
    obj = await _created(api, DEPLOYMENTS, {**deployment(), "status": {"replicas": 9}})
    meta = obj["metadata"]
    assert meta["generation"] == 1
    assert {"uid", "resourceVersion", "creationTimestamp"} <= meta.keys()
    assert obj["status"] == {}
    assert obj["spec"]["replicas"] == 1
    assert meta["managedFields"][0]["operation"] == "Update"


async def test_generation_counts_changes_of_the_spec_only(api: httpx.AsyncClient) -> None:
    await _created(api, DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/web"
    labelled = (await api.patch(path, json={"metadata": {"labels": {"a": "b"}}}, headers=MERGE)).json()
    assert labelled["metadata"]["generation"] == 1
    scaled = (
        await api.patch(path, json={"spec": {"replicas": 2}, "status": {"replicas": 7}}, headers=MERGE)
    ).json()
    assert (scaled["metadata"]["generation"], scaled["status"]) == (2, {})
    observed = (
        await api.patch(
            f"{path}/status", json={"status": {"replicas": 2}, "spec": {"replicas": 5}}, headers=MERGE
        )
    ).json()
    assert (observed["status"], observed["spec"]["replicas"]) == ({"replicas": 2}, 2)
    assert observed["metadata"]["generation"] == 2


async def test_a_write_that_changes_nothing_keeps_the_version(api: httpx.AsyncClient) -> None:
    obj = await _created(api, MAPS, config_map("a", data={"k": "v"}))
    again = await api.put(f"{MAPS}/a", json=obj)
    assert again.json() == obj
    patched = await api.patch(f"{MAPS}/a", json={"data": {"k": "v"}}, headers=MERGE)
    assert patched.json()["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]


async def test_a_stale_version_is_a_conflict(api: httpx.AsyncClient) -> None:
    old = await _created(api, MAPS, config_map("a"))
    await api.patch(f"{MAPS}/a", json={"data": {"k": "v"}}, headers=MERGE)
    code, reason, message = _status(await api.put(f"{MAPS}/a", json={**old, "data": {"k": "w"}}))
    assert (code, reason) == (409, "Conflict")
    assert message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply '
        "your changes "
        "to the latest version and try again"
    )
    patch = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"k": "x"}}
    assert _status(await api.patch(f"{MAPS}/a", json=patch, headers=MERGE))[:2] == (409, "Conflict")


async def test_names_are_generated_and_taken_once(api: httpx.AsyncClient) -> None:
    body = {"metadata": {"generateName": "web-"}}
    names = {(await _created(api, MAPS, body))["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("web-") and len(name) == 9 for name in names)
    await _created(api, MAPS, config_map("a"))
    assert _status(await api.post(MAPS, json=config_map("a"))) == (
        409,
        "AlreadyExists",
        'configmaps "a" already exists',
    )


ERRORS: list[tuple[str, str, Any, tuple[int, str]]] = [
    ("GET", f"{MAPS}/none", None, (404, "NotFound")),
    ("GET", "/api/v1/nonsense", None, (404, "NotFound")),
    ("GET", "/apis/no.such.group/v1", None, (404, "NotFound")),
    ("GET", "/api/v1/namespaces/default/namespaces", None, (404, "NotFound")),
    ("POST", "/api/v1/configmaps", config_map("a"), (405, "MethodNotAllowed")),
    ("PUT", MAPS, config_map("a"), (405, "MethodNotAllowed")),
    ("POST", "/api/v1/namespaces/none/configmaps", config_map("a"), (404, "NotFound")),
    ("POST", MAPS, {**config_map("a"), "kind": "Secret"}, (400, "BadRequest")),
    ("POST", MAPS, {**config_map("a"), "apiVersion": "v2"}, (400, "BadRequest")),
    ("POST", MAPS, config_map("Bad_Name"), (422, "Invalid")),
    ("POST", MAPS, {"metadata": {}}, (422, "Invalid")),
    ("POST", MAPS, {"metadata": {"name": "a", "namespace": "other"}}, (400, "BadRequest")),
    ("POST", MAPS, {"metadata": {"name": "a", "resourceVersion": "1"}}, (400, "BadRequest")),
    ("POST", MAPS, config_map("a", data={"k": 1}), (400, "BadRequest")),
    ("POST", MAPS, config_map("a", data={"a/b": ""}), (422, "Invalid")),
    ("POST", MAPS, config_map("a", binaryData={"a": "%"}), (400, "BadRequest")),
    ("POST", MAPS, [], (400, "BadRequest")),
    ("PUT", f"{MAPS}/none", config_map("none"), (404, "NotFound")),
    ("DELETE", "/api/v1/namespaces/default", None, (403, "Forbidden")),
    ("DELETE", f"{MAPS}/none", None, (404, "NotFound")),
]


@pytest.mark.parametrize(("method", "path", "body", "expected"), ERRORS)
async def test_errors_are_status_objects(
    api: httpx.AsyncClient, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    answer = await (api.request(method, path) if body is None else api.request(method, path, json=body))
    assert _status(answer)[:2] == expected


async def test_media_types_are_negotiated(api: httpx.AsyncClient) -> None:
    yaml = "metadata:\n  name: y\n  annotations: {at: 2024-01-01T00:00:00Z}\n"
    made = await api.post(MAPS, content=yaml, headers={"content-type": "application/yaml"})
    assert made.json()["metadata"]["annotations"] == {"at": "2024-01-01T00:00:00Z"}
    shown = await api.get(f"{MAPS}/y", headers={"accept": "application/yaml"})
    assert shown.text.startswith("apiVersion: v1")
    only = {"accept": "application/vnd.kubernetes.protobuf"}
    assert _status(await api.get(MAPS, headers=only))[:2] == (406, "NotAcceptable")
    both = {"accept": "application/vnd.kubernetes.protobuf,application/json"}
    assert (await api.get(MAPS, headers=both)).headers["content-type"] == "application/json"
    sent = {"content-type": "application/x-nothing"}
    assert _status(await api.post(MAPS, content=b"x", headers=sent))[:2] == (415, "UnsupportedMediaType")
    assert _status(await api.patch(f"{MAPS}/y", content=b"{}", headers=sent))[:2] == (
        415,
        "UnsupportedMediaType",
    )


async def test_tokens_are_required_except_for_health_and_version(api: httpx.AsyncClient) -> None:
    for value in ("", "Bearer wrong", "Basic eDp5", "Bearer"):
        answer = await api.get("/api/v1/namespaces", headers={"authorization": value})
        assert _status(answer) == (401, "Unauthorized", "Unauthorized")
        for path in ("/livez", "/readyz", "/healthz", "/version"):
            assert (await api.get(path, headers={"authorization": value})).status_code == 200


async def test_unknown_and_duplicate_fields(api: httpx.AsyncClient) -> None:
    raw = '{"metadata":{"name":"a"},"data":{"k":"1","k":"2"},"datum":{},"immutable":false}'
    strict = await api.post(MAPS, params={"fieldValidation": "Strict"}, content=raw)
    assert _status(strict)[2].endswith('strict decoding error: duplicate field "k", unknown field "datum"')
    made = await api.post(MAPS, content=raw)
    assert made.headers.get_list("warning") == [
        '299 - "duplicate field \\"k\\""',
        '299 - "unknown field \\"datum\\""',
    ]
    assert "datum" not in made.json()
    silent = await api.put(f"{MAPS}/a", params={"fieldValidation": "Ignore"}, content=raw)
    assert "warning" not in silent.headers


async def test_dry_run_stores_nothing(api: httpx.AsyncClient) -> None:
    made = await api.post(MAPS, params={"dryRun": "All"}, json=config_map("a"))
    assert made.status_code == 201
    assert "uid" in made.json()["metadata"]
    assert (await api.get(f"{MAPS}/a")).status_code == 404
    assert _status(await api.post(MAPS, params={"dryRun": "x"}, json=config_map("a")))[0] == 422


async def test_deletion_checks_its_preconditions(api: httpx.AsyncClient) -> None:
    obj = await _created(api, MAPS, config_map("a"))
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        refused = await api.request("DELETE", f"{MAPS}/a", json={"preconditions": wrong})
        assert _status(refused)[:2] == (409, "Conflict")
    right = {"preconditions": {"uid": obj["metadata"]["uid"]}}
    done = await api.request("DELETE", f"{MAPS}/a", json=right)
    assert done.json()["details"] == {"name": "a", "kind": "configmaps", "uid": obj["metadata"]["uid"]}


async def test_finalizers_keep_an_object_until_they_are_gone(api: httpx.AsyncClient) -> None:
    body = {"metadata": {"name": "a", "finalizers": ["example.com/x"]}}
    await _created(api, MAPS, body)
    marked = (await api.delete(f"{MAPS}/a")).json()
    assert marked["metadata"]["deletionTimestamp"]
    assert (await api.delete(f"{MAPS}/a")).json() == marked
    more = await api.patch(
        f"{MAPS}/a", json={"metadata": {"finalizers": ["example.com/x", "b.c/d"]}}, headers=MERGE
    )
    assert _status(more)[0] == 422
    await api.patch(f"{MAPS}/a", json={"metadata": {"finalizers": None}}, headers=MERGE)
    assert (await api.get(f"{MAPS}/a")).status_code == 404


async def test_the_scale_subresource_reads_and_writes_replicas(api: httpx.AsyncClient) -> None:
    await _created(api, DEPLOYMENTS, deployment(replicas=2))
    scale = (await api.get(f"{DEPLOYMENTS}/web/scale")).json()
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == (
        "Scale",
        {"replicas": 2},
        "app=web",
    )
    scaled = await api.put(f"{DEPLOYMENTS}/web/scale", json={**scale, "spec": {"replicas": 4}})
    assert scaled.json()["spec"] == {"replicas": 4}
    assert _status(await api.put(f"{DEPLOYMENTS}/web/scale", json=scale))[:2] == (409, "Conflict")
    negative = await api.patch(f"{DEPLOYMENTS}/web/scale", json={"spec": {"replicas": -1}}, headers=MERGE)
    assert _status(negative)[0] == 422


async def test_secrets_take_plain_strings_and_keep_their_type(api: httpx.AsyncClient) -> None:
    path = "/api/v1/namespaces/default/secrets"
    made = await _created(api, path, {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
    assert (made["type"], made["data"]) == ("Opaque", {"k": "dg=="})
    assert "stringData" not in made
    changed = await api.patch(f"{path}/s", json={"type": "other"}, headers=MERGE)
    assert _status(changed)[2] == 'Secret "s" is invalid: type: Invalid value: "other": field is immutable'
    found = await api.get(path, params={"fieldSelector": "type=Opaque"})
    assert [item["metadata"]["name"] for item in found.json()["items"]] == ["s"]


async def test_services_get_addresses_of_their_own(api: httpx.AsyncClient) -> None:
    path = "/api/v1/namespaces/default/services"
    ports = [{"port": 80}]
    first = await _created(api, path, {"metadata": {"name": "a"}, "spec": {"ports": ports}})
    second = await _created(api, path, {"metadata": {"name": "b"}, "spec": {"ports": ports}})
    assert first["spec"]["clusterIP"] != second["spec"]["clusterIP"]
    assert first["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    headless = await _created(
        api, path, {"metadata": {"name": "c"}, "spec": {"ports": ports, "clusterIP": "None"}}
    )
    assert headless["spec"]["clusterIPs"] == ["None"]
    taken = {"metadata": {"name": "d"}, "spec": {"ports": ports, "clusterIP": first["spec"]["clusterIP"]}}
    assert "provided IP is already allocated" in _status(await api.post(path, json=taken))[2]


async def test_values_in_field_errors_are_shown_as_go_shows_them(api: httpx.AsyncClient) -> None:
    body = deployment()
    body["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = await api.post(DEPLOYMENTS, json=body)
    assert _status(answer)[2] == (
        'Deployment.apps "web" is invalid: spec.template.metadata.labels: Invalid value: '
        'map[string]string{"app":"other"}: `selector` does not match template `labels`'
    )


async def test_events_are_one_store_under_two_names(api: httpx.AsyncClient) -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Ingress", "name": "i",
        "namespace": "default"},
             "reason": "Bad", "message": "text", "count": 2, "source": {"component": "c"}}  # fmt: skip
    await _created(api, "/api/v1/namespaces/default/events", event)
    new = (await api.get("/apis/events.k8s.io/v1/namespaces/default/events/e")).json()
    assert (new["note"], new["regarding"]["name"], new["deprecatedCount"]) == ("text", "i", 2)
    selector = {"fieldSelector": "involvedObject.name=i,involvedObject.kind=Ingress"}
    assert len((await api.get("/api/v1/events", params=selector)).json()["items"]) == 1


async def test_apply_creates_then_reports_conflicts(api: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/apply-patch+yaml"}

    async def apply(value: str, manager: str, **query: str) -> httpx.Response:
        body = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{k: {value}}}\n"
        return await api.patch(
            f"{MAPS}/a", content=body, params={"fieldManager": manager, **query}, headers=headers
        )

    assert (await apply("x", "one")).status_code == 201
    assert (await apply("x", "one")).status_code == 200
    refused = await apply("y", "two")
    assert _status(refused) == (409, "Conflict", 'Apply failed with 1 conflict: conflict with "one": .data.k')
    assert refused.json()["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    ]
    assert (await apply("y", "two", force="true")).json()["data"] == {"k": "y"}
    assert _status(await api.patch(f"{MAPS}/a", content="{}", headers=headers))[0] == 422
