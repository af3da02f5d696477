"""discovery.k8s.io/v1 EndpointSlice and core/v1 Endpoints.

One deliberate difference from kube-apiserver: loopback addresses are accepted, because the pods of this
server are processes on its own host.
"""

from __future__ import annotations

import ipaddress

from controlplane.embedded.causes import (
    duplicate,
    immutable,
    invalid_value,
    not_supported,
    required,
    too_many,
)
from controlplane.embedded.errors import Cause
from controlplane.embedded.registry.names import label, subdomain
from controlplane.embedded.registry.resource import Object

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")


def default_slice(obj: Object) -> None:
    obj.setdefault("endpoints", [])
    obj.setdefault("ports", [])
    for endpoint in obj["endpoints"]:
        endpoint.setdefault("conditions", {})
    for port in obj["ports"]:
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def validate_slice(obj: Object, old: Object | None) -> list[Cause]:
    kind = obj.get("addressType", "")
    causes: list[Cause] = []
    if not kind:
        causes.append(required("addressType"))
    elif kind not in ADDRESS_TYPES:
        causes.append(not_supported("addressType", kind, ADDRESS_TYPES))
    if old is not None and kind != old.get("addressType"):
        causes.append(immutable("addressType", kind))
    if len(obj["endpoints"]) > 1000:
        causes.append(too_many("endpoints", len(obj["endpoints"]), 1000))
    for n, endpoint in enumerate(obj["endpoints"]):
        causes += _validate_endpoint(f"endpoints[{n}]", endpoint, kind)
    return causes + _validate_ports(obj["ports"])


def _validate_endpoint(field: str, endpoint: Object, kind: str) -> list[Cause]:
    addresses = endpoint.get("addresses") or []
    causes: list[Cause] = []
    if not addresses:
        causes.append(required(f"{field}.addresses", "must contain at least 1 address"))
    if len(addresses) > 100:
        causes.append(too_many(f"{field}.addresses", len(addresses), 100))
    for n, address in enumerate(addresses):
        causes += _validate_address(f"{field}.addresses[{n}]", address, kind)
        if address in addresses[:n]:
            causes.append(duplicate(f"{field}.addresses[{n}]", address))
    hostname = endpoint.get("hostname")
    if hostname is not None:
        causes += [invalid_value(f"{field}.hostname", hostname, error) for error in label(hostname)]
    return causes


def _validate_address(field: str, address: str, kind: str) -> list[Cause]:
    if kind == "FQDN":
        return [invalid_value(field, address, error) for error in subdomain(address.rstrip("."))]
    if kind not in ADDRESS_TYPES:
        return []
    version = 4 if kind == "IPv4" else 6
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != version:
        return [invalid_value(field, address, f"must be a valid {kind} address")]
    if parsed.is_unspecified:
        return [invalid_value(field, address, f"may not be unspecified ({address})")]
    if parsed.is_link_local:
        detail = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        return [invalid_value(field, address, detail)]
    return []


def _validate_ports(ports: list[Object]) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for n, port in enumerate(ports):
        name = port.get("name") or ""
        if name:
            causes += [invalid_value(f"ports[{n}].name", name, error) for error in label(name)]
        if name in names:
            causes.append(duplicate(f"ports[{n}].name", name))
        names.add(name)
        if port.get("protocol") not in _PROTOCOLS:
            causes.append(not_supported(f"ports[{n}].protocol", port.get("protocol"), _PROTOCOLS))
    return causes


def default_endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")
