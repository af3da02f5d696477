"""Answers that were compared with those of kube-apiserver 1.28: codes and words, one request each."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.embedded import gone, running_server

MAPS = "/api/v1/namespaces/default/configmaps"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GATEWAYS = "/apis/example.com/v1/gateways"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
OTHER_UID = "00000000-0000-0000-0000-000000000000"
REJECTED = "the server rejected our request due to an error in our request"
DEFINITION: dict[str, Any] = {
    "metadata": {"name": "gateways.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Cluster",
        "names": {"kind": "Gateway", "plural": "gateways"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with running_server() as (_, client):
        yield client


def ingress(*paths: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"rules": [{"http": {"paths": list(paths)}}]}}


def path(**more: Any) -> dict[str, Any]:
    service = {"name": "web", "port": {"number": 80}}
    return {"path": "/", "pathType": "Prefix", "backend": {"service": service}, **more}


async def patch(api: httpx.AsyncClient, url: str, body: Any, kind: str = MERGE) -> tuple[int, str]:
    answer = await api.patch(url, json=body, headers={"content-type": kind})
    return answer.status_code, answer.json().get("message", "")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ([{"op": "test", "path": "/data/a", "value": "x"}], JSON, REJECTED),
        ([{"op": "remove", "path": "/data/absent"}], JSON, REJECTED),
        (
            {"metadata": {"uid": OTHER_UID}},
            MERGE,
            f'ConfigMap "c" is invalid: metadata.uid: Invalid value: "{OTHER_UID}": field is immutable',
        ),
    ],
)
async def test_a_patch_that_does_not_apply_is_invalid(
    api: httpx.AsyncClient, body: Any, kind: str, message: str
) -> None:
    await api.post(MAPS, json={"metadata": {"name": "c"}, "data": {"a": "b"}})
    assert await patch(api, f"{MAPS}/c", body, kind) == (422, message)


async def test_a_patch_of_a_wrong_type_is_invalid_and_shows_the_patched_object(
    api: httpx.AsyncClient,
) -> None:
    await api.post(MAPS, json={"metadata": {"name": "c"}})
    code, message = await patch(api, f"{MAPS}/c", {"data": {"a": 5}})
    assert code == 422
    assert message.startswith(' "" is invalid: patch: Invalid value: "{')
    assert "cannot unmarshal number into Go struct field ConfigMap.data" in message


async def test_force_is_for_apply_only(api: httpx.AsyncClient) -> None:
    await api.post(MAPS, json={"metadata": {"name": "c"}})
    code, message = await patch(api, f"{MAPS}/c?force=true", {"data": {"a": "b"}})
    assert code == 422
    assert message.endswith("force: Forbidden: may not be specified for non-apply patch")


async def test_plain_text_is_no_object(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        MAPS, content=b'{"metadata":{"name":"c"}}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 415


async def test_a_negative_limit_is_none(api: httpx.AsyncClient) -> None:
    for name in "abc":
        await api.post(MAPS, json={"metadata": {"name": name}})
    answer = (await api.get(f"{MAPS}?limit=-1")).json()
    assert "continue" not in answer["metadata"]
    assert {"a", "b", "c"} <= {item["metadata"]["name"] for item in answer["items"]}


async def test_one_object_cannot_be_watched_by_its_path(api: httpx.AsyncClient) -> None:
    await api.post(MAPS, json={"metadata": {"name": "c"}})
    assert (await api.get(f"{MAPS}/c?watch=true&timeoutSeconds=1")).json()["metadata"]["name"] == "c"


def _applied(text: str) -> dict[str, Any]:
    """A ConfigMap as `kubectl apply` leaves it: what it set is in an annotation too."""
    config = {"apiVersion": "v1", "data": {"a": text}, "kind": "ConfigMap", "metadata": {"name": "c"}}
    return {**config, "metadata": {"name": "c", "annotations": {LAST_APPLIED: json.dumps(config)}}}


async def _apply(api: httpx.AsyncClient, manager: str, text: str) -> httpx.Response:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": text}}
    headers = {"content-type": "application/apply-patch+yaml"}
    return await api.patch(f"{MAPS}/c?fieldManager={manager}", json=body, headers=headers)


async def test_server_side_apply_of_kubectl_takes_over_what_its_client_side_apply_set(
    api: httpx.AsyncClient,
) -> None:
    await api.post(f"{MAPS}?fieldManager=kubectl-client-side-apply", json=_applied("old"))
    assert (await _apply(api, "other", "new")).status_code == 409
    answer = await _apply(api, "kubectl", "new")
    assert answer.status_code == 200, answer.text
    config = json.loads(answer.json()["metadata"]["annotations"][LAST_APPLIED])
    assert config == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"a": "new"},
    }


async def test_a_field_that_others_changed_since_a_client_side_apply_stays_a_conflict(
    api: httpx.AsyncClient,
) -> None:
    await api.post(f"{MAPS}?fieldManager=kubectl-client-side-apply", json=_applied("old"))
    await patch(api, f"{MAPS}/c?fieldManager=somebody", {"data": {"a": "theirs"}})
    answer = await _apply(api, "kubectl", "new")
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")


async def test_a_node_port_is_given_out_once(api: httpx.AsyncClient) -> None:
    services = "/api/v1/namespaces/default/services"
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
    assert (await api.post(services, json={"metadata": {"name": "a"}, "spec": spec})).status_code == 201
    assert (await patch(api, f"{services}/a", {"spec": {"selector": {"x": "y"}}}))[0] == 200
    answer = await api.post(services, json={"metadata": {"name": "b"}, "spec": spec})
    assert answer.status_code == 422
    assert answer.json()["message"] == (
        'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already '
        "allocated"
    )


@pytest.mark.parametrize(
    ("strategy", "field"),
    [
        ({"type": "Recreate"}, "spec.strategy.rollingUpdate"),
        (
            {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
            "spec.strategy.rollingUpdate.maxUnavailable",
        ),
    ],
)
async def test_a_strategy_that_contradicts_itself_is_refused(
    api: httpx.AsyncClient, strategy: dict[str, Any], field: str
) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    await api.post(DEPLOYMENTS, json={"metadata": {"name": "web"}, "spec": spec})
    code, message = await patch(api, f"{DEPLOYMENTS}/web", {"spec": {"strategy": strategy}})
    assert (code, field in message) == (422, True)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("labelSelector=a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        (
            "fieldSelector=data.k=v",
            '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
async def test_selectors_that_cannot_be_used(api: httpx.AsyncClient, query: str, message: str) -> None:
    answer = await api.get(f"{MAPS}?{query}")
    assert (answer.status_code, answer.json()["message"]) == (400, message)


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (path(backend={}), "spec.rules[0].http.paths[0].backend"),
        (path(backend={"service": {"name": "w", "port": {}}}), "spec.rules[0].http.paths[0].backend"),
        (
            path(backend={"service": {"name": "w", "port": {"name": "a", "number": 1}}}),
            "spec.rules[0].http.paths[0].backend",
        ),
        (path(pathType=None, backend={}), "spec.rules[0].http.paths[0].pathType"),
    ],
)
async def test_a_bad_path_of_an_ingress_is_one_error(
    api: httpx.AsyncClient, entry: dict[str, Any], field: str
) -> None:
    answer = await api.post(INGRESSES, json=ingress(entry))
    causes = answer.json()["details"]["causes"]
    assert (answer.status_code, [cause["field"] for cause in causes]) == (422, [field])


@pytest.mark.parametrize(
    ("entry", "field"),
    [({"ip": "nonsense"}, "ip"), ({"hostname": "192.0.2.1"}, "hostname"), ({"hostname": "A_b"}, "hostname")],
)
async def test_the_status_of_an_ingress_is_checked(
    api: httpx.AsyncClient, entry: dict[str, Any], field: str
) -> None:
    await api.post(INGRESSES, json=ingress(path()))
    code, message = await patch(
        api, f"{INGRESSES}/web/status", {"status": {"loadBalancer": {"ingress": [entry]}}}
    )
    assert code == 422
    assert f"status.loadBalancer.ingress[0].{field}: Invalid value" in message


async def test_the_uid_guards_the_status_of_builtin_kinds_only(api: httpx.AsyncClient) -> None:
    body = {"metadata": {"uid": OTHER_UID}, "status": {"loadBalancer": {}}}
    await api.post(INGRESSES, json=ingress(path()))
    assert (await patch(api, f"{INGRESSES}/web/status", body))[0] == 422
    await api.post(DEFINITIONS, json=DEFINITION)
    assert (await api.post(GATEWAYS, json=_gateway())).status_code == 201
    assert (await patch(api, f"{GATEWAYS}/g/status", body))[0] == 200
    assert (await patch(api, f"{GATEWAYS}/g", body))[0] == 422
    stale = {"metadata": {"resourceVersion": "1"}, "status": {}}
    assert (await patch(api, f"{GATEWAYS}/g/status", stale))[0] == 409


def _gateway() -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Gateway", "metadata": {"name": "g"}}


async def test_a_definition_has_a_finalizer_only_while_it_is_deleted(api: httpx.AsyncClient) -> None:
    await api.post(DEFINITIONS, json=DEFINITION)
    url = f"{DEFINITIONS}/gateways.example.com"
    assert "finalizers" not in (await api.get(url)).json()["metadata"]
    answer = (await api.delete(url)).json()
    assert answer["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    await gone(api, url)


async def test_new_finalizers_of_what_is_deleted_are_refused_in_go_syntax(api: httpx.AsyncClient) -> None:
    await api.post(MAPS, json={"metadata": {"name": "c", "finalizers": ["example.com/f"]}})
    await api.delete(f"{MAPS}/c")
    code, message = await patch(api, f"{MAPS}/c", {"metadata": {"finalizers": ["example.com/g"]}})
    assert code == 422
    assert message.endswith('found new finalizers []string{"example.com/g"}')


async def test_an_event_without_a_reporter_has_none_in_the_new_api_either(api: httpx.AsyncClient) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "ConfigMap", "name": "c", "namespace": "default"},
    }
    await api.post("/api/v1/namespaces/default/events", json=event)
    core = (await api.get("/api/v1/namespaces/default/events/e")).json()
    assert (core["reportingComponent"], core["reportingInstance"]) == ("", "")
    new = (await api.get("/apis/events.k8s.io/v1/namespaces/default/events/e")).json()
    assert not {"reportingController", "reportingInstance"} & new.keys()
