"""The builtin type tables against an independent description of the API, and the protobuf form."""

import re
from typing import Any

import kubernetes_asyncio.client as library
import pytest

from controlplane.embedded.registry.builtin import builtin_resources
from controlplane.embedded.schema.builtin_types import builtin_types, kind_schema
from controlplane.embedded.schema.decode import Decoder, WrongType
from controlplane.embedded.schema.node import Schema
from controlplane.embedded.schema.protobuf import MAGIC, ProtobufError, decode_message, unwrap

MODELS = {"Event": "CoreV1Event", "EventsEvent": "EventsV1Event", "EndpointPort": "CoreV1EndpointPort",
          "SlicePort": "DiscoveryV1EndpointPort", "SliceEndpoint": "V1Endpoint", "Subject": "RbacV1Subject",
          "EventSeries": "CoreV1EventSeries", "EventsEventSeries": "EventsV1EventSeries"}  # fmt: skip
SCALARS = {"str": {"string", "quantity", "bytes"}, "int": {"int"}, "bool": {"bool"}, "float": {"number"},
           "datetime": {"time", "microtime"}, "object": {"any", "intstr"}}  # fmt: skip


def _model(name: str) -> Any:
    return getattr(library, MODELS.get(name, f"V1{name}"), None)


def _agrees(told: str, node: Schema) -> bool:
    if told in SCALARS:
        return node.type in SCALARS[told]
    for pattern, kind in ((r"list\[(.*)\]", "list"), (r"dict\(str, (.*)\)", "map")):
        match = re.fullmatch(pattern, told)
        if match:
            return node.type == kind and _agrees(match[1], node.element())
    return node.type == "object" and bool(node.name)


@pytest.mark.parametrize("name", sorted(name for name in builtin_types() if _model(name) is not None))
def test_types_agree_with_the_client_library(name: str) -> None:
    model, schema = _model(name), builtin_types()[name]
    names = model.attribute_map
    told = {
        names[key]: kind
        for key, kind in model.openapi_types.items()
        if names[key] not in ("apiVersion", "kind")
    }
    ours = {key: node for key, node in schema.fields.items() if key not in ("apiVersion", "kind")}
    assert ours.keys() == told.keys()
    assert [key for key, kind in told.items() if not _agrees(kind, ours[key])] == []


def test_merge_keys_are_fields_of_the_elements() -> None:
    for schema in builtin_types().values():
        for name, node in schema.fields.items():
            for key in (node.merge_key, *node.keys):
                assert not key or key in node.element().fields, f"{schema.name}.{name}: {key}"


def test_every_builtin_kind_has_columns_and_a_schema() -> None:
    for resource in builtin_resources():
        assert resource.columns
        assert "metadata" in resource.schema.fields


def test_decoding_prunes_reports_and_converts() -> None:
    decoder = Decoder()
    spec = {
        "containers": [{"name": "a", "bad": 1, "resources": {"limits": {"cpu": 1}}, "args": None, "env": []}],
        "x": 1,
    }
    obj = decoder.decode(kind_schema("Pod"), {"spec": spec})
    assert obj == {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]}}
    assert decoder.unknown == ["spec.containers[0].bad", "spec.x"]


@pytest.mark.parametrize("value", ["3", 1.5, True, [], {}])
def test_wrong_types_are_named(value: Any) -> None:
    with pytest.raises(WrongType, match=r"Go struct field DeploymentSpec\.spec\.replicas of type int32"):
        Decoder().decode(kind_schema("Deployment"), {"spec": {"replicas": value}})


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def test_protobuf_messages_become_the_json_form() -> None:
    time = _field(1, 1700000000) + _field(2, 5000)
    meta = _field(1, "n") + _field(3, "") + _field(8, time) + _field(11, _field(1, "k") + _field(2, "v"))
    port = (
        _field(1, "http")
        + _field(2, "TCP")
        + _field(3, 80)
        + _field(4, _field(1, 1) + _field(3, "web"))
        + _field(5, 0)
    )
    spec = _field(1, port) + _field(2, _field(1, "app") + _field(2, "x")) + _field(3, "")
    assert decode_message(kind_schema("Service"), _field(1, meta) + _field(2, spec)) == {
        "metadata": {"name": "n", "creationTimestamp": "2023-11-14T22:13:20Z", "labels": {"k": "v"}},
        "spec": {
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}],
            "selector": {"app": "x"},
        },
    }


def test_flattened_messages_zero_pointers_and_negative_numbers() -> None:
    volume = _field(1, "v") + _field(2, _field(6, _field(1, "secret") + _field(3, 0)))
    pod = decode_message(kind_schema("Pod"), _field(2, _field(1, volume)))
    assert pod == {"spec": {"volumes": [{"name": "v", "secret": {"secretName": "secret", "defaultMode": 0}}]}}
    deployment = decode_message(kind_schema("Deployment"), _field(2, _field(1, -1)))
    assert deployment == {"spec": {"replicas": -1}}


def test_the_envelope_is_checked() -> None:
    head = _field(1, "v1") + _field(2, "Secret")
    assert unwrap(MAGIC + _field(1, head) + _field(2, b"raw")) == ("v1", "Secret", b"raw")
    for bad in (b"", b"{}", MAGIC + b"\xff", MAGIC + _field(1, b"\x0a\x05x"), MAGIC + b"\x0b"):
        with pytest.raises(ProtobufError):
            unwrap(bad)
