"""Builds the inputs of a translation from manifests and shows its results as plain data."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from controlplane.resources.decode import decode
from controlplane.resources.endpointslice import SERVICE_NAME_LABEL
from controlplane.resources.kinds import (
    ALBCONFIGS,
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    MSE_INGRESS_CONFIGS,
    PODS,
    REFERENCE_GRANTS,
    SERVER_GROUPS,
    SERVICES,
    Kind,
)
from controlplane.resources.view import FleetObjects, Malformed, MemberObjects
from controlplane.translate.builder import translate
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.model import (
    Facts,
    HostAddresses,
    LastGood,
    ObjectStatus,
    Tenancy,
    Translation,
)
from proxy.model.snapshot import Snapshot

Manifest = dict[str, Any]

_KINDS: dict[str, Kind[Any]] = {
    kind.kind: kind
    for kind in (
        ALBCONFIGS,
        MSE_INGRESS_CONFIGS,
        ENDPOINT_SLICES,
        INGRESS_CLASSES,
        INGRESSES,
        PODS,
        REFERENCE_GRANTS,
        SERVER_GROUPS,
        SERVICES,
    )
}


def gateway(port: int) -> list[Manifest]:
    """Return the gateway of the seed documents with its listener on `port`."""
    name = "ackone-gateway-demo"
    return [
        {
            "kind": "AlbConfig",
            "metadata": {
                "name": name,
                "generation": 1,
                "annotations": {"alb.ingress.kubernetes.io/remote-clusters": "cluster-1,cluster-2"},
            },
            "spec": {"listeners": [{"port": port, "protocol": "HTTP"}]},
        },
        {
            "kind": "IngressClass",
            "metadata": {"name": "alb"},
            "spec": {
                "controller": "ingress.k8s.alibabacloud/alb",
                "parameters": {"apiGroup": "alibabacloud.com", "kind": "AlbConfig", "name": name},
            },
        },
    ]


def key_of(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace", "")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


def read(manifests: Iterable[Manifest]) -> tuple[dict[str, dict[str, Any]], tuple[Malformed, ...]]:
    """Return the views by kind and key. An object without uid gets one of its kind and name."""
    views: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    malformed: list[Malformed] = []
    for manifest in manifests:
        kind = manifest["kind"]
        named = {"uid": f"{kind}/{key_of(manifest)}", **manifest["metadata"]}
        view = decode(_KINDS[kind], json.dumps({**manifest, "metadata": named}).encode())
        if isinstance(view, Malformed):
            malformed.append(view)
        else:
            views[kind][key_of(manifest)] = view
    return views, tuple(malformed)


def fleet_of(manifests: Iterable[Manifest]) -> FleetObjects:
    views, malformed = read(manifests)
    return FleetObjects(
        ingresses=views["Ingress"],
        ingress_classes=views["IngressClass"],
        albconfigs=views["AlbConfig"],
        mse_configs=views["MseIngressConfig"],
        server_groups=views["ServerGroup"],
        reference_grants=views["ReferenceGrant"],
        malformed=malformed,
    )


def member_of(cluster: str, manifests: Iterable[Manifest], **facts: Any) -> MemberObjects:
    """Return a member's objects; its pods are known in the namespaces where there are some."""
    views, malformed = read(manifests)
    pods: dict[str, dict[str, Any]] = {}
    for key, pod in views["Pod"].items():
        pods.setdefault(pod.metadata.namespace, {})[key] = pod
    return MemberObjects(
        cluster, views["Service"], views["EndpointSlice"], pods=pods, malformed=malformed, **facts
    )


def service(key: str, *ports: Manifest) -> Manifest:
    namespace, name = key.split("/")
    return {
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ports": list(ports) or [{"port": 80, "protocol": "TCP"}]},
    }


def endpoint_slice(key: str, endpoints: list[Manifest], suffix: str = "x", **fields: Any) -> Manifest:
    namespace, name = key.split("/")
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace,
            "name": f"{name}-{suffix}",
            "labels": {SERVICE_NAME_LABEL: name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
        **fields,
    }


def pods(addresses: Iterable[str], **conditions: bool) -> list[Manifest]:
    return [{"addresses": [address], "conditions": conditions} for address in addresses]


def deployed(pod_counts: Mapping[str, int], network: str) -> list[Manifest]:
    """Return Service and EndpointSlice for each "namespace/name" with that many pods."""
    manifests: list[Manifest] = []
    for key, count in pod_counts.items():
        addresses = [f"{network}.{number}" for number in range(1, count + 1)]
        manifests += [service(key), endpoint_slice(key, pods(addresses, ready=True))]
    return manifests


def run_case(case: Mapping[str, Any]) -> Translation:
    """Translate a case file: the state in `before` first, when there is one."""
    last_good, previous = LastGood(), None
    if "before" in case:
        first = _translate({**case, **case["before"]}, last_good, None)
        last_good, previous = first.last_good, first.snapshot
    return _translate(case, last_good, previous)


def _translate(case: Mapping[str, Any], last_good: LastGood, previous: Snapshot | None) -> Translation:
    manifests = [*(gateway(case["gateway"]["port"]) if "gateway" in case else []), *case.get("fleet", [])]
    members = {
        cluster: member_of(
            cluster,
            [*deployed(state.get("pods", {}), f"10.0.{index}"), *state.get("objects", [])],
            **{flag: state[flag] for flag in ("synced", "stale") if flag in state},
            pods_denied=frozenset(state.get("pods_denied", ())),
        )
        for index, (cluster, state) in enumerate(case.get("members", {}).items(), start=1)
    }
    facts: dict[str, Any] = {"address": "gateway.example.com", "known_clusters": ["cluster-1", "cluster-2"]}
    facts.update(case.get("facts", {}))
    known = frozenset(facts.pop("known_clusters"))
    facts["trusted_proxies"] = tuple(facts.get("trusted_proxies", ()))
    facts["tenancy"] = msgspec.convert(facts.get("tenancy", {}), Tenancy)
    facts["hosts"] = {
        host: HostAddresses(tuple(found.get("addresses", ())), found.get("problem", ""))
        for host, found in facts.get("hosts", {}).items()
    }
    return translate(
        fleet_of(manifests), members, Facts(known_clusters=known, **facts), last_good, 1, previous
    )


def shown(translation: Translation) -> dict[str, Any]:
    """Return a translation as plain data, without what every case would repeat, and without defaults."""
    snapshot = _plain(translation.snapshot)
    for common in ("version", "limits", "trusted_proxies", "workers"):
        snapshot.pop(common, None)
    return {
        "snapshot": snapshot,
        "diagnostics": [_shown_diagnostic(diagnostic) for diagnostic in translation.diagnostics],
        "statuses": {_named(status): _shown_status(status) for status in translation.statuses},
    }


def _plain(value: object) -> Any:
    """Return a value of the snapshot as JSON has it; of structs only what differs from the default."""
    if isinstance(value, msgspec.Struct):
        tag = {"type": value.__struct_config__.tag} if value.__struct_config__.tag else {}
        return tag | {
            field.name: _plain(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
            if field.required or getattr(value, field.name) != field.default
        }
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value)


def _shown_diagnostic(diagnostic: Diagnostic) -> dict[str, str]:
    place = f"{diagnostic.namespace}/{diagnostic.name}" if diagnostic.namespace else diagnostic.name
    return {
        "code": diagnostic.code,
        "level": diagnostic.level,
        "reason": diagnostic.reason,
        "object": f"{diagnostic.kind} {place}",
        "field": diagnostic.field,
        "value": diagnostic.value,
        "message": diagnostic.message,
        "allowed": diagnostic.allowed,
        "fix": diagnostic.fix,
    }


def _shown_status(status: ObjectStatus) -> dict[str, Any]:
    return {"releases": status.releases} if status.releases else status.status


def _named(status: ObjectStatus) -> str:
    place = f"{status.namespace}/{status.name}" if status.namespace else status.name
    return f"{status.kind.kind} {place}"
