"""core/v1 Service: defaults, cluster IP and node port allocation, validation."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from controlplane.embedded.causes import duplicate, invalid_value, not_supported, required
from controlplane.embedded.errors import ApiError, Cause, invalid
from controlplane.embedded.registry.metadata import validate_labels
from controlplane.embedded.registry.names import label, port_name
from controlplane.embedded.registry.resource import Object
from controlplane.embedded.storage.store import Store

NETWORK = ipaddress.ip_network("10.96.0.0/16")
_NODE_PORTS = range(30000, 32768)
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")


def default_service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    kind = spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {}).setdefault(
            "timeoutSeconds", 10800
        )
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        if kind in ("NodePort", "LoadBalancer"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if kind == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def allocate(obj: Object, old: Object | None, store: Store) -> None:
    """Gives the Service its address and ports; an update keeps what it had unless it asks otherwise."""
    spec = obj["spec"]
    before = old["spec"] if old is not None else {}
    if spec["type"] == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(name, None)
        return
    if not spec.get("clusterIP") and before.get("clusterIP"):
        spec["clusterIP"] = before["clusterIP"]
    if not spec.get("clusterIP"):
        spec["clusterIP"] = (spec.get("clusterIPs") or [""])[0] or _free_address(store)
    elif spec["clusterIP"] != "None" and spec["clusterIP"] != before.get("clusterIP"):
        _check_address(obj, spec["clusterIP"], store)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _allocate_node_ports(obj, before, store)
    else:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)


def _services(store: Store) -> Iterator[Any]:
    for stored in store.bucket("services").objects.values():
        yield stored.object["spec"]


def _free_address(store: Store) -> str:
    used = {spec.get("clusterIP") for spec in _services(store)}
    start = 10 + len(used)
    for offset in range(NETWORK.num_addresses - 12):
        address = str(NETWORK[10 + (start + offset) % (NETWORK.num_addresses - 12)])
        if address not in used:
            return address
    raise ApiError(500, "InternalError", "failed to allocate a serviceIP: range is full")


def _check_address(obj: Object, address: str, store: Store) -> None:
    name = obj["metadata"]["name"]
    problem = ""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return
    if parsed not in NETWORK:
        problem = (
            "failed to allocate IP {}: the provided IP ({}) is not in the valid range. The range "
            "of valid IPs is {}"
        )
        problem = problem.format(address, address, NETWORK)
    elif any(spec.get("clusterIP") == address for spec in _services(store)):
        problem = f"failed to allocate IP {address}: provided IP is already allocated"
    if problem:
        raise invalid("Service", "", name, [invalid_value("spec.clusterIPs", [address], problem)])


def _allocate_node_ports(obj: Object, before: Object, store: Store) -> None:
    spec = obj["spec"]
    used = {port.get("nodePort") for other in _services(store) for port in other.get("ports") or ()}
    kept = {(p["port"], p.get("protocol")): p.get("nodePort") for p in before.get("ports") or ()}
    free = (number for number in _NODE_PORTS if number not in used)
    taken = used - set(kept.values())
    for n, port in enumerate(spec.get("ports") or ()):
        if port.get("nodePort") in taken - {None}:
            detail = "provided port is already allocated"
            cause = invalid_value(f"spec.ports[{n}].nodePort", port["nodePort"], detail)
            raise invalid("Service", "", obj["metadata"]["name"], [cause])
        if not port.get("nodePort"):
            port["nodePort"] = kept.get((port["port"], port["protocol"])) or next(free)


def validate_service(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    kind = spec["type"]
    if kind not in TYPES:
        causes.append(not_supported("spec.type", kind, TYPES))
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and kind != "ExternalName":
        causes.append(required("spec.ports"))
    causes += _validate_ports(spec.get("ports") or [])
    causes += validate_labels(spec.get("selector") or {}, "spec.selector")
    if spec["sessionAffinity"] not in ("None", "ClientIP"):
        causes.append(not_supported("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None")))
    causes += _validate_type(spec, kind)
    if old is not None and old["spec"].get("type") != "ExternalName" and kind != "ExternalName":
        was = old["spec"].get("clusterIP")
        if was and spec.get("clusterIP") and spec["clusterIP"] != was:
            detail = "may not change once set"
            causes.append(invalid_value("spec.clusterIPs[0]", [spec["clusterIP"]], detail))
    return causes


def _validate_type(spec: Object, kind: str) -> list[Cause]:
    causes = []
    address = spec.get("clusterIP", "")
    if kind == "ExternalName":
        if not spec.get("externalName"):
            causes.append(required("spec.externalName"))
    elif address and address != "None":
        try:
            ipaddress.ip_address(address)
        except ValueError:
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            causes.append(invalid_value("spec.clusterIPs[0]", address, detail))
    if address == "None" and kind in ("NodePort", "LoadBalancer"):
        detail = f"may not be set to 'None' for {kind} services"
        causes.append(invalid_value("spec.clusterIPs[0]", address, detail))
    return causes


def _validate_ports(ports: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    numbers: set[tuple[Any, Any]] = set()
    for n, port in enumerate(ports):
        field = f"spec.ports[{n}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            causes.append(required(f"{field}.name"))
        elif name:
            causes += [invalid_value(f"{field}.name", name, error) for error in label(name)]
            if name in names:
                causes.append(duplicate(f"{field}.name", name))
            names.add(name)
        causes += validate_port_number(f"{field}.port", port.get("port", 0))
        if port.get("protocol") not in _PROTOCOLS:
            causes.append(not_supported(f"{field}.protocol", port.get("protocol"), _PROTOCOLS))
        causes += validate_target_port(f"{field}.targetPort", port.get("targetPort"))
        key = (port.get("port"), port.get("protocol"))
        if key in numbers:
            causes.append(duplicate(field, {"port": key[0], "protocol": key[1]}))
        numbers.add(key)
    return causes


def validate_port_number(field: str, value: Any) -> list[Cause]:
    if isinstance(value, int) and 0 < value < 65536:
        return []
    return [invalid_value(field, value, "must be between 1 and 65535, inclusive")]


def validate_target_port(field: str, value: Any) -> list[Cause]:
    if isinstance(value, str):
        return [invalid_value(field, value, error) for error in port_name(value)]
    return validate_port_number(field, value)
