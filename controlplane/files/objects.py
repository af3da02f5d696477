"""Manifests to the typed objects that the translation reads."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.files.finding import Finding, about_file
from controlplane.files.manifests import Manifest
from controlplane.resources.decode import decode
from controlplane.resources.kinds import (
    ALBCONFIGS,
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    MSE_INGRESS_CONFIGS,
    PODS,
    REFERENCE_GRANTS,
    REFERENCE_GRANTS_BETA,
    SERVER_GROUPS,
    SERVICES,
    Kind,
)
from controlplane.resources.pod import Pod
from controlplane.resources.view import FleetObjects, Malformed, MemberObjects

FLEET_KINDS: Final[Mapping[str, Kind[Any]]] = {
    "ingresses": INGRESSES,
    "ingress_classes": INGRESS_CLASSES,
    "albconfigs": ALBCONFIGS,
    "reference_grants": REFERENCE_GRANTS,
    "server_groups": SERVER_GROUPS,
    "mse_configs": MSE_INGRESS_CONFIGS,
}
"""Kinds by the field of FleetObjects that holds them."""

MEMBER_KINDS: Final[Mapping[str, Kind[Any]]] = {
    "services": SERVICES,
    "slices": ENDPOINT_SLICES,
    "pods": PODS,
}
"""Kinds by the field of MemberObjects that holds them."""

SAME_FIELDS: Final = (REFERENCE_GRANTS_BETA,)
"""Kinds that are read as the other version of theirs above."""

_FORMER_GROUPS: Final = ("extensions",)  # Ingress up to Kubernetes 1.21

Identity = tuple[str, str, str]
"""kind, namespace, name"""


class Objects(msgspec.Struct):
    """Views by field and key, and where each object stands."""

    views: dict[str, dict[str, Any]]
    malformed: dict[Identity, Malformed] = field(default_factory=dict)
    manifests: dict[Identity, Manifest] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    others: int = 0  # objects of kinds that are not read

    def complete(self) -> list[dict[str, Any]]:
        """Return all objects as JSON has them, each with its namespace."""
        return [
            {**manifest.value, "metadata": {**manifest.value["metadata"], "namespace": namespace}}
            for (_, namespace, _), manifest in self.manifests.items()
        ]

    @property
    def count(self) -> int:
        return len(self.manifests)


def read_objects(manifests: Iterable[Manifest], kinds: Mapping[str, Kind[Any]], namespace: str) -> Objects:
    """Return the objects of `kinds`; namespaced ones without a namespace are in `namespace`."""
    objects = Objects({name: {} for name in kinds})
    by_kind = {kind.kind: (name, kind) for name, kind in kinds.items()}
    for manifest in manifests:
        name, kind = by_kind.get(manifest.kind, ("", None))
        if kind is None or manifest.group not in (kind.group, *_FORMER_GROUPS):
            objects.others += 1
        elif manifest.api_version not in versions_of(kind):
            objects.findings.append(_wrong_version(manifest, kind))
        else:
            _add(objects, name, kind, manifest, namespace)
    return objects


def versions_of(kind: Kind[Any]) -> tuple[str, ...]:
    """Return the apiVersions by which objects of a kind are read."""
    same = (other.api_version for other in SAME_FIELDS if other.kind == kind.kind)
    return (kind.api_version, *same)


def fleet_of(objects: Objects) -> FleetObjects:
    return FleetObjects(**objects.views, malformed=tuple(objects.malformed.values()))


def member_of(cluster: str, objects: Objects) -> MemberObjects:
    views, malformed = objects.views, tuple(objects.malformed.values())
    pods: dict[str, dict[str, Pod]] = {}  # namespaces without any are left out, rather than empty
    for key, pod in views["pods"].items():
        pods.setdefault(key.partition("/")[0], {})[key] = pod
    return MemberObjects(cluster, views["services"], views["slices"], pods=pods, malformed=malformed)


def _add(objects: Objects, field: str, kind: Kind[Any], manifest: Manifest, default: str) -> None:
    metadata = manifest.value["metadata"]
    name = str(metadata["name"])
    namespace = str(metadata.get("namespace") or default) if kind.namespaced else ""
    identity = (kind.kind, namespace, name)
    key = f"{namespace}/{name}" if namespace else name
    earlier = objects.manifests.get(identity)
    if earlier is not None:
        place = manifest.place("metadata.name")
        described = f"{kind.kind} {key}"
        objects.findings.append(about_file("FG0113", place, object=described, other=earlier.place()))
    objects.manifests[identity] = manifest
    value = {**manifest.value, "metadata": {**metadata, "namespace": namespace}}
    view = decode(kind, json.dumps(value).encode())
    objects.views[field].pop(key, None)
    objects.malformed.pop(identity, None)
    if isinstance(view, Malformed):
        objects.malformed[identity] = replace(view, namespace=namespace, name=name)
    else:
        objects.views[field][key] = view


def _wrong_version(manifest: Manifest, kind: Kind[Any]) -> Finding:
    return about_file(
        "FG0115",
        manifest.place("apiVersion"),
        object=f"{manifest.kind} {manifest.value['metadata']['name']}",
        field="apiVersion",
        value=manifest.api_version,
        kind=manifest.kind,
        version=manifest.api_version,
        allowed=" or ".join(versions_of(kind)),
    )
