"""CustomResourceDefinitions and what they define."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from controlplane.embedded.custom.validation import validate_custom
from tests.support.embedded import gone, running_server, watching

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
MERGE = {"content-type": "application/merge-patch+json"}
SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set",
        "maxItems": 2},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
        "when": {"type": "string", "format": "date-time"},
        "ratio": {"type": "number", "multipleOf": 0.5},
        "maybe": {"type": "string", "nullable": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "choice": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                   "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    },
}  # fmt: skip


def definition(scope: str = "Namespaced", **names: Any) -> dict[str, Any]:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    schema = {"type": "object", "properties": {"spec": SPEC, "status": {"type": "object",
              "x-kubernetes-preserve-unknown-fields": True}}}  # fmt: skip
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
        },
    }
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], **names}
    return {
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": scope, "names": names, "versions": [version]},
    }


def widget(name: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 3, **spec},
    }


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with running_server() as (_, client):
        answer = await client.post(DEFINITIONS, json=definition())
        assert answer.status_code == 201, answer.text
        yield client


async def _make(api: httpx.AsyncClient, **spec: Any) -> dict[str, Any]:
    answer = await api.post(WIDGETS, json=widget(**spec))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_definition_is_established_and_discovered(api: httpx.AsyncClient) -> None:
    stored = (await api.get(f"{DEFINITIONS}/widgets.example.com")).json()
    assert {c["type"]: c["status"] for c in stored["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert stored["status"]["acceptedNames"]["listKind"] == "WidgetList"
    listed = (await api.get("/apis/example.com/v1")).json()["resources"]
    assert [row["name"] for row in listed] == ["widgets", "widgets/status", "widgets/scale"]
    v3 = (await api.get("/openapi/v3")).json()["paths"]
    document = (await api.get(v3["apis/example.com/v1"]["serverRelativeURL"])).json()
    assert "com.example.v1.Widget" in document["components"]["schemas"]


async def test_defaults_fill_in_and_unknown_fields_are_pruned(api: httpx.AsyncClient) -> None:
    made = await _make(api, unknown=1, free={"kept": {"deep": None}}, port="http", maybe=None)
    assert made["spec"] == {
        "size": 3,
        "color": "red",
        "free": {"kept": {"deep": None}},
        "port": "http",
        "maybe": None,
    }


async def test_status_and_spec_are_written_apart(api: httpx.AsyncClient) -> None:
    made = await _make(api)
    assert (await api.put(f"{WIDGETS}/one", json=widget())).status_code == 422
    changed = (await api.put(f"{WIDGETS}/one", json={**made, "spec": {"size": 4}, "status": {"x": 1}})).json()
    assert "status" not in changed
    assert changed["metadata"]["generation"] == 2
    body = {**changed, "spec": {"size": 9}, "status": {"x": 1}}
    observed = (await api.put(f"{WIDGETS}/one/status", json=body)).json()
    assert (observed["spec"]["size"], observed["status"], observed["metadata"]["generation"]) == (
        4,
        {"x": 1},
        2,
    )


async def test_strategic_merge_is_not_for_custom_resources(api: httpx.AsyncClient) -> None:
    await _make(api)
    headers = {"content-type": "application/strategic-merge-patch+json"}
    assert (await api.patch(f"{WIDGETS}/one", json={}, headers=headers)).status_code == 415


async def test_scaling_follows_the_paths_of_the_definition(api: httpx.AsyncClient) -> None:
    await _make(api)
    scaled = await api.patch(f"{WIDGETS}/one/scale", json={"spec": {"replicas": 7}}, headers=MERGE)
    assert scaled.json()["spec"] == {"replicas": 7}
    assert (await api.get(f"{WIDGETS}/one")).json()["spec"]["size"] == 7


async def test_deleting_the_definition_deletes_the_objects_and_ends_the_watches(
    api: httpx.AsyncClient,
) -> None:
    made = await _make(api)
    async with watching(api, WIDGETS, resourceVersion=made["metadata"]["resourceVersion"]) as stream:
        await api.delete(f"{DEFINITIONS}/widgets.example.com")
        events = await stream.rest()
    assert [event["type"] for event in events] == ["DELETED"]
    await gone(api, "/apis/example.com/v1")
    assert (await api.get(WIDGETS)).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"group": "nodots"}, "spec.group"),
        ({"scope": "Nowhere"}, "spec.scope"),
        ({"versions": []}, "spec.versions"),
        ({"names": {"plural": "gadgets", "kind": "Gadget"}}, "metadata.name"),
    ],
)
async def test_bad_definitions_are_refused(change: dict[str, Any], field: str) -> None:
    async with running_server() as (_, api):
        bad = definition()
        answer = await api.post(DEFINITIONS, json={**bad, "spec": {**bad["spec"], **change}})
        assert answer.status_code == 422
        assert field in [cause["field"] for cause in answer.json()["details"]["causes"]]


WRONG_TYPE = 'spec.{0}: Invalid value: "{2}": spec.{0} in body must be of type {1}: "{2}"'
ONE_OF = '"spec.choice" must validate one and only one schema (oneOf). Found none valid'
FITS = {
    "size": 1.0,
    "ratio": 1,
    "port": "x",
    "maybe": None,
    "when": "2024-01-01T00:00:00Z",
    "choice": {"a": ""},
}
VALIDATION: list[tuple[dict[str, Any], str | None]] = [
    ({}, "spec.size: Required value"),
    ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
    ({"size": 11}, "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"),
    ({"size": "x"}, WRONG_TYPE.format("size", "integer", "string")),
    ({"size": None}, WRONG_TYPE.format("size", "integer", "null")),
    ({"size": 1, "tags": [1]}, WRONG_TYPE.format("tags[0]", "string", "integer")),
    ({"size": 1, "labels": {"a": 1}}, WRONG_TYPE.format("labels.a", "string", "integer")),
    ({"size": 1, "color": "x"}, 'spec.color: Unsupported value: "x": supported values: "red", "blue"'),
    ({"size": 1, "code": "A"}, "spec.code: Invalid value: \"A\": spec.code in body should match '^[a-z]+$'"),
    ({"size": 1, "code": "abcde"}, "spec.code: Too long: may not be more than 4 bytes"),
    ({"size": 1, "tags": ["a", "a"]}, 'spec.tags[1]: Duplicate value: "a"'),
    ({"size": 1, "tags": ["a", "b", "c"]}, "spec.tags: Too many: 3: must have at most 2 items"),
    (
        {"size": 1, "when": "soon"},
        'spec.when: Invalid value: "soon": spec.when in body must be of type date-time: "soon"',
    ),
    (
        {"size": 1, "ratio": 0.7},
        "spec.ratio: Invalid value: 0.7: spec.ratio in body should be a multiple of 0.5",
    ),
    ({"size": 1, "choice": {}}, f"spec.choice: Invalid value: {{}}: {ONE_OF}"),
    (FITS, None),
]


@pytest.mark.parametrize(("spec", "message"), VALIDATION)
def test_validation_messages(spec: dict[str, Any], message: str | None) -> None:
    causes = validate_custom({"type": "object", "properties": {"spec": SPEC}}, {"spec": spec})
    assert [f"{cause.field}: {cause.message}" for cause in causes] == ([] if message is None else [message])
