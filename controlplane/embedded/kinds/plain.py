"""core/v1 kinds with few rules: Namespace, ConfigMap, Secret, Node, ServiceAccount; Lease and RBAC roles."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from controlplane.embedded.causes import forbidden_field, immutable, invalid_value, required
from controlplane.embedded.errors import Cause
from controlplane.embedded.registry.names import config_key
from controlplane.embedded.registry.resource import Object
from controlplane.embedded.storage.store import Store

_DATA_LIMIT = 1024 * 1024
_REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def default_namespace(obj: Object) -> None:
    name = obj["metadata"].get("name")
    if name:
        labels = obj["metadata"].get("labels") or {}
        obj["metadata"]["labels"] = {**labels, NAMESPACE_LABEL: name}
    obj.setdefault("status", {}).setdefault("phase", "Active")
    obj.setdefault("spec", {})


def prepare_namespace(obj: Object, old: Object | None, store: Store) -> None:
    """The `kubernetes` finalizer of the spec keeps a namespace while its contents go."""
    if old is None:
        obj["spec"]["finalizers"] = ["kubernetes"]
        obj["status"] = {"phase": "Active"}
    else:
        obj["spec"] = old["spec"]


def default_secret(obj: Object) -> None:
    obj.setdefault("type", "Opaque")
    plain: dict[str, Any] | None = obj.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def validate_secret(obj: Object, old: Object | None) -> list[Cause]:
    data = obj.get("data") or {}
    causes = _validate_keys("data", data)
    size = sum(len(value) * 3 // 4 for value in data.values())
    if size > _DATA_LIMIT:
        causes.append(
            Cause("FieldValueTooLong", "data", f"Too long: may not be more than {_DATA_LIMIT} bytes")
        )
    kind = obj["type"]
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in data:
            causes.append(required(f"data[{key}]"))
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        causes.append(required("data[username]"))
        causes.append(required("data[password]"))
    if kind == "kubernetes.io/dockerconfigjson" and ".dockerconfigjson" in data:
        causes += _validate_json("data[.dockerconfigjson]", data[".dockerconfigjson"])
    if old is not None:
        if obj["type"] != old.get("type"):
            causes.append(immutable("type", obj["type"]))
        causes += _validate_immutable(obj, old, ("data",))
    return causes


def validate_config_map(obj: Object, old: Object | None) -> list[Cause]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    causes = _validate_keys("data", data) + _validate_keys("binaryData", binary)
    for key in data.keys() & binary.keys():
        causes.append(invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData"))
    size = sum(len(value.encode()) for value in data.values()) + sum(
        len(value) * 3 // 4 for value in binary.values()
    )
    if size > _DATA_LIMIT:
        causes.append(Cause("FieldValueTooLong", "", f"Too long: may not be more than {_DATA_LIMIT} bytes"))
    if old is not None:
        causes += _validate_immutable(obj, old, ("data", "binaryData"))
    return causes


def _validate_keys(field: str, data: dict[str, Any]) -> list[Cause]:
    return [invalid_value(f"{field}[{key}]", key, error) for key in data for error in config_key(key)]


def _validate_json(field: str, encoded: str) -> list[Cause]:
    try:
        msgspec.json.decode(base64.b64decode(encoded))
    except (msgspec.DecodeError, ValueError):
        return [invalid_value(field, "<secret contents redacted>", "invalid character in JSON")]
    return []


def _validate_immutable(obj: Object, old: Object, fields: tuple[str, ...]) -> list[Cause]:
    if not old.get("immutable"):
        return []
    causes = []
    detail = "field is immutable when `immutable` is set"
    if not obj.get("immutable"):
        causes.append(forbidden_field("immutable", detail))
    causes += [
        forbidden_field(field, detail) for field in fields if (obj.get(field) or {}) != (old.get(field) or {})
    ]
    return causes


def default_node(obj: Object) -> None:
    status = obj.setdefault("status", {})
    if status.get("capacity"):
        status.setdefault("allocatable", dict(status["capacity"]))
    obj.setdefault("spec", {})


def validate_lease(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes = []
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        causes.append(invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        detail = "must be greater than or equal to 0"
        causes.append(invalid_value("spec.leaseTransitions", transitions, detail))
    return causes


def default_binding(obj: Object) -> None:
    obj.setdefault("roleRef", {}).setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or ():
        group = "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"
        if group:
            subject.setdefault("apiGroup", group)


def validate_binding(obj: Object, old: Object | None) -> list[Cause]:
    reference = obj.get("roleRef") or {}
    causes = [required(f"roleRef.{name}") for name in ("kind", "name") if not reference.get(name)]
    if old is not None and reference != old.get("roleRef"):
        causes.append(invalid_value("roleRef", reference, "cannot change roleRef"))
    return causes


def validate_rules(obj: Object, old: Object | None) -> list[Cause]:
    return [
        required(f"rules[{n}].verbs", "verbs must contain at least one value")
        for n, rule in enumerate(obj.get("rules") or ())
        if not rule.get("verbs")
    ]
