"""Decoding is per object: an error in one is said in one line and harms no other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.resources.decode import decode
from controlplane.resources.kinds import (
    ALBCONFIGS,
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    SECRETS,
    SERVICES,
    Kind,
)
from controlplane.resources.view import Malformed

KINDS: tuple[Kind[Any], ...] = (ALBCONFIGS, ENDPOINT_SLICES, INGRESS_CLASSES, INGRESSES, SECRETS, SERVICES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_only_the_fields_that_are_read_are_kept() -> None:
    raw = (
        b'{"kind":"Service","metadata":{"name":"s","namespace":"n","uid":"u","resourceVersion":"7",'
        b'"generation":3,"creationTimestamp":"2026-01-01T00:00:00Z","managedFields":[{"x":1}]},'
        b'"spec":{"clusterIP":"10.0.0.1","ports":[{"name":"web","port":80,"targetPort":"http"}]}}'
    )
    service = decode(SERVICES, raw)
    assert not isinstance(service, Malformed)
    assert service.metadata.resource_version == "7"
    assert service.metadata.generation == 3
    assert [(port.name, port.port, port.protocol) for port in service.spec.ports] == [("web", 80, "TCP")]


def test_null_is_the_same_as_absent() -> None:
    raw = (
        b'{"metadata":{"name":"e","creationTimestamp":null,"labels":null},"addressType":"IPv4",'
        b'"endpoints":null,"ports":[{"name":null,"port":null}]}'
    )
    piece = decode(ENDPOINT_SLICES, raw)
    assert not isinstance(piece, Malformed)
    assert (piece.endpoints, piece.ports[0].name, piece.ports[0].port) == ((), "", None)


def test_numbers_in_an_albconfig_may_be_strings() -> None:
    config = decode(ALBCONFIGS, b'{"metadata":{"name":"a"},"spec":{"listeners":[{"port":"80"},{"port":81}]}}')
    assert not isinstance(config, Malformed)
    assert [listener["port"] for listener in config.spec["listeners"]] == ["80", 81]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (
            b'{"metadata":{"name":"i","namespace":"n","uid":"u"},"spec":{"rules":7}}',
            "spec.rules: expected array, got int",
        ),
        (
            b'{"metadata":{"name":"i","namespace":"n","uid":"u","annotations":{"a":1}}}',
            "metadata.annotations[...]: expected str, got int",
        ),
    ],
)
def test_a_malformed_object_is_named_with_field_and_problem(raw: bytes, error: str) -> None:
    assert decode(INGRESSES, raw) == Malformed("Ingress", "n", "i", "u", error)
    assert str(decode(INGRESSES, raw)) == f"Ingress n/i: {error}"


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b"\xff", b'{"metadata":[]}', b'{"metadata":{"name":1}}', b'{"a":' + b"[" * 100_000],
)
def test_bytes_that_are_no_object_are_malformed_without_a_name(raw: bytes) -> None:
    malformed = decode(INGRESSES, raw)
    assert isinstance(malformed, Malformed)
    assert (malformed.key, "\n" in malformed.error) == ("", False)


def test_a_secret_does_not_show_its_data() -> None:
    secret = decode(SECRETS, b'{"metadata":{"name":"s","namespace":"n"},"data":{"kubeconfig":"aHVzaA=="}}')
    assert repr(secret) == "Secret(n/s, keys ['kubeconfig'])"


@given(JSON)
def test_decoding_never_raises(value: object) -> None:
    raw = json.dumps(value).encode()
    for kind in KINDS:
        assert isinstance(decode(kind, raw), kind.type | Malformed)


@given(st.binary())
def test_decoding_bytes_never_raises(raw: bytes) -> None:
    found = decode(INGRESSES, raw)
    assert isinstance(found, Malformed | INGRESSES.type)
