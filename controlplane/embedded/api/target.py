"""The target that a request path names."""

from __future__ import annotations

import msgspec

from controlplane.embedded.errors import unknown_path
from controlplane.embedded.registry.registry import Registry
from controlplane.embedded.registry.resource import Resource

_NAMESPACE_SUBRESOURCES = ("status", "finalize")


class Target(msgspec.Struct, frozen=True):
    """The target of a request. `namespace`: None for all namespaces, "" for cluster-scoped kinds."""

    resource: Resource
    namespace: str | None
    name: str = ""
    subresource: str = ""


def read_target(registry: Registry, group: str, version: str, rest: list[str]) -> Target:
    """The kind, namespace, name and subresource of `/apis/{group}/{version}/{rest…}`."""
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and not _namespace_itself(group, rest):
        namespace, rest = rest[1], rest[2:]
    resource = registry.find(group, version, rest[0])
    if resource is None or len(rest) > 3:
        raise unknown_path()
    if resource.namespaced != (namespace is not None) and (not resource.namespaced or len(rest) > 1):
        raise unknown_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in _served(resource):
        raise unknown_path()
    return Target(resource, namespace if resource.namespaced else "", name, subresource)


def _namespace_itself(group: str, rest: list[str]) -> bool:
    return not group and len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES


def _served(resource: Resource) -> list[str]:
    names = ["status"] if resource.status else []
    if resource.scale is not None:
        names.append("scale")
    if resource.store_key == "namespaces":
        names.append("finalize")
    return names
