"""Discovery: the classic documents and the aggregated one (apidiscovery.k8s.io/v2)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from controlplane.embedded.auth import REVIEWS
from controlplane.embedded.registry.registry import GROUP_ORDER, Registry
from controlplane.embedded.registry.resource import Resource

VERSION = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.4",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2025-04-22T00:00:00Z",
    "goVersion": "go1.23.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_SUBRESOURCE_VERBS = ["get", "patch", "update"]
Row = dict[str, Any]


class Discovery:
    """Documents about the kinds that a registry serves."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def groups(self) -> list[str]:
        """Named groups: builtin ones first, then custom ones by name."""
        present = {r.group for r in self._registry.resources() if r.group} | {group for group, *_ in REVIEWS}
        custom = sorted(present - set(GROUP_ORDER))
        return [group for group in GROUP_ORDER if group in present] + custom

    def versions(self, group: str) -> list[str]:
        """Newest and most stable first, as kube-apiserver orders the versions of a group."""
        found = {r.version for r in self._registry.resources() if r.group == group}
        if not found and group in {review[0] for review in REVIEWS}:
            found = {"v1"}
        return sorted(found, key=_priority)

    def api_versions(self) -> Row:
        address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}

    def group(self, group: str) -> Row:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version} for version in self.versions(group)
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def group_list(self) -> Row:
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [self.group(group) for group in self.groups()],
        }

    def resource_list(self, group: str, version: str) -> Row:
        rows = [row for resource in self._in(group, version) for row in _rows(resource)]
        rows += [_review_row(*review[1:]) for review in REVIEWS if review[0] == group]
        name = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows}

    def _in(self, group: str, version: str) -> list[Resource]:
        found = [r for r in self._registry.resources() if (r.group, r.version) == (group, version)]
        return sorted(found, key=lambda resource: resource.plural)

    def aggregated(self, groups: list[str], version: str) -> Row:
        """APIGroupDiscoveryList of `groups` ([""] is the core group)."""
        items = [
            {
                "metadata": {"name": group} if group else {},
                "versions": [self._version(group, v) for v in self.versions(group)],
            }
            for group in groups
        ]
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }

    def _version(self, group: str, version: str) -> Row:
        resources = [_aggregated(resource) for resource in self._in(group, version)]
        for owner, plural, kind, namespaced in REVIEWS:
            if owner == group:
                resources.append(
                    _aggregated_row(plural, kind, group, version, namespaced, ["create"], kind.lower())
                )
        return {"version": version, "freshness": "Current", "resources": resources}


def _priority(version: str) -> tuple[int, int, int, str]:
    """v2 before v1 before v1beta1 before v1alpha1 before all other versions."""
    text = version.removeprefix("v")
    major, _, rest = text.partition("beta") if "beta" in text else text.partition("alpha")
    stage = 0 if text.isdigit() else 1 if "beta" in text else 2 if "alpha" in text else 3
    if not major.isdigit():
        return (3, 0, 0, version)
    return (stage, -int(major), -int(rest or 0) if rest.isdigit() or not rest else 0, version)


def _rows(resource: Resource) -> list[Row]:
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
    row: Row = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    row["storageVersionHash"] = base64.b64encode(digest[:8]).decode()
    return [row, *(_subresource_row(resource, name, *gvk) for name, gvk in _subresources(resource))]


def _subresources(resource: Resource) -> list[tuple[str, tuple[str, str, str]]]:
    own = (resource.kind, resource.group, resource.version)
    found = [("status", own)] if resource.status else []
    if resource.scale is not None:
        found.append(("scale", ("Scale", "autoscaling", "v1")))
    if resource.store_key == "namespaces":
        found.append(("finalize", own))
    return found


def _subresource_row(resource: Resource, name: str, kind: str, group: str, version: str) -> Row:
    row: Row = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": kind,
        "verbs": ["update"] if name == "finalize" else _SUBRESOURCE_VERBS,
    }
    return {**row, "group": group, "version": version} if name == "scale" else row


def _review_row(plural: str, kind: str, namespaced: bool) -> Row:
    return {
        "name": plural,
        "singularName": kind.lower(),
        "namespaced": namespaced,
        "kind": kind,
        "verbs": ["create"],
    }


def _aggregated_row(
    plural: str, kind: str, group: str, version: str, namespaced: bool, verbs: list[str], singular: str
) -> Row:
    return {
        "resource": plural,
        "responseKind": {"group": group, "version": version, "kind": kind},
        "scope": "Namespaced" if namespaced else "Cluster",
        "singularResource": singular,
        "verbs": verbs,
    }


def _aggregated(resource: Resource) -> Row:
    row = _aggregated_row(
        resource.plural,
        resource.kind,
        resource.group,
        resource.version,
        resource.namespaced,
        list(resource.verbs),
        resource.singular,
    )
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    nested = [
        {
            "subresource": name,
            "responseKind": {"group": group, "version": version, "kind": kind},
            "verbs": ["update"] if name == "finalize" else _SUBRESOURCE_VERBS,
        }
        for name, (kind, group, version) in _subresources(resource)
    ]
    return {**row, "subresources": nested} if nested else row
