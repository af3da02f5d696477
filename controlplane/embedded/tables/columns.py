"""Printer columns of the builtin kinds, as data: what `kubectl get` and `-o wide` show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controlplane.embedded.registry.resource import Column, Object
from controlplane.embedded.tables import cells
from controlplane.embedded.tables.cells import count, path, selector_text
from controlplane.embedded.tables.render import AGE, NAME


def _text(name: str, read: Callable[[Object], Any], *, wide: bool = False) -> Column:
    return Column(name, "string", read, priority=int(wide))


def _number(name: str, read: Callable[[Object], Any], *, wide: bool = False) -> Column:
    return Column(name, "integer", read, priority=int(wide))


def _selector(obj: Object) -> str:
    return selector_text((obj.get("spec") or {}).get("selector"))


def _deployment_ready(obj: Object) -> str:
    ready = (obj.get("status") or {}).get("readyReplicas", 0)
    return f"{ready}/{(obj.get('spec') or {}).get('replicas', 0)}"


def _wide_workload() -> tuple[Column, ...]:
    return (
        _text("Containers", cells.container_names, wide=True),
        _text("Images", cells.container_images, wide=True),
        _text("Selector", _selector, wide=True),
    )


def _parameters(obj: Object) -> str:
    reference = (obj.get("spec") or {}).get("parameters")
    if not reference:
        return "<none>"
    kind = reference["kind"] + (f".{reference['apiGroup']}" if reference.get("apiGroup") else "")
    return f"{kind}/{reference['name']}"


def _role(obj: Object) -> str:
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


def _pod_ip(obj: Object) -> str:
    return str((obj.get("status") or {}).get("podIP") or "<none>")


def _ingress_ports(obj: Object) -> str:
    return "80, 443" if (obj.get("spec") or {}).get("tls") else "80"


_CREATED = Column("Created At", "date", path("metadata", "creationTimestamp"))
_INFO = ("status", "nodeInfo")
_EVENT_WIDE = (
    _text("First Seen", cells.first_seen, wide=True),
    _number("Count", path("count", default=1), wide=True),
    Column("Name", "string", NAME.read, priority=1, format="name"),
)
_BINDING = (
    NAME,
    _text("Role", _role),
    AGE,
    _text("Users", cells.subjects("User"), wide=True),
    _text("Groups", cells.subjects("Group"), wide=True),
    _text("ServiceAccounts", cells.subjects("ServiceAccount"), wide=True),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "namespaces": (NAME, _text("Status", path("status", "phase", default="")), AGE),
    "configmaps": (NAME, _number("Data", count("data", "binaryData")), AGE),
    "secrets": (NAME, _text("Type", path("type")), _number("Data", count("data")), AGE),
    "serviceaccounts": (NAME, _number("Secrets", count("secrets")), AGE),
    "services": (
        NAME,
        _text("Type", path("spec", "type")),
        _text("Cluster-IP", path("spec", "clusterIP", default="<none>")),
        _text("External-IP", cells.external_address),
        _text("Port(s)", cells.service_ports),
        AGE,
        _text("Selector", _selector, wide=True),
    ),
    "endpoints": (NAME, _text("Endpoints", cells.endpoint_addresses), AGE),
    "endpointslices": (
        NAME,
        _text("AddressType", path("addressType")),
        _text("Ports", cells.slice_ports),
        _text("Endpoints", cells.slice_addresses),
        AGE,
    ),
    "ingresses": (
        NAME,
        _text("Class", cells.ingress_class),
        _text("Hosts", cells.hosts),
        _text("Address", cells.load_balancer),
        _text("Ports", _ingress_ports),
        AGE,
    ),
    "ingressclasses": (
        NAME,
        _text("Controller", path("spec", "controller", default="")),
        _text("Parameters", _parameters),
        AGE,
    ),
    "leases": (NAME, _text("Holder", path("spec", "holderIdentity", default="")), AGE),
    "pods": (
        NAME,
        _text("Ready", cells.pod_ready),
        _text("Status", cells.pod_status),
        _text("Restarts", cells.pod_restarts),
        AGE,
        _text("IP", _pod_ip, wide=True),
        _text("Node", path("spec", "nodeName", default="<none>"), wide=True),
        _text("Nominated Node", path("status", "nominatedNodeName", default="<none>"), wide=True),
        _text("Readiness Gates", lambda obj: "<none>", wide=True),
    ),
    "replicasets": (
        NAME,
        _number("Desired", path("spec", "replicas", default=0)),
        _number("Current", path("status", "replicas", default=0)),
        _number("Ready", path("status", "readyReplicas", default=0)),
        AGE,
        *_wide_workload(),
    ),
    "deployments": (
        NAME,
        _text("Ready", _deployment_ready),
        _number("Up-to-date", path("status", "updatedReplicas", default=0)),
        _number("Available", path("status", "availableReplicas", default=0)),
        AGE,
        *_wide_workload(),
    ),
    "nodes": (
        NAME,
        _text("Status", cells.node_status),
        _text("Roles", cells.node_roles),
        AGE,
        _text("Version", path(*_INFO, "kubeletVersion", default="")),
        _text("Internal-IP", cells.node_address("InternalIP"), wide=True),
        _text("External-IP", cells.node_address("ExternalIP"), wide=True),
        _text("OS-Image", path(*_INFO, "osImage", default="<unknown>"), wide=True),
        _text("Kernel-Version", path(*_INFO, "kernelVersion", default="<unknown>"), wide=True),
        _text("Container-Runtime", path(*_INFO, "containerRuntimeVersion", default="<unknown>"), wide=True),
    ),
    "events": (
        _text("Last Seen", cells.event_seen),
        _text("Type", path("type", default="")),
        _text("Reason", path("reason", default="")),
        _text("Object", cells.event_object),
        _text("Subobject", path("involvedObject", "fieldPath", default=""), wide=True),
        _text("Source", cells.event_source, wide=True),
        _text("Message", lambda obj: (obj.get("message") or "").strip()),
        *_EVENT_WIDE,
    ),
    "customresourcedefinitions": (NAME, _CREATED),
    "roles": (NAME, _CREATED),
    "clusterroles": (NAME, _CREATED),
    "rolebindings": _BINDING,
    "clusterrolebindings": _BINDING,
}
