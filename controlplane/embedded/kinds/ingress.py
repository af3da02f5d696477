"""networking.k8s.io/v1 Ingress and IngressClass."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from controlplane.embedded.causes import forbidden_field, immutable, invalid_value, not_supported, required
from controlplane.embedded.errors import Cause
from controlplane.embedded.kinds.service import validate_port_number
from controlplane.embedded.registry.names import dns1035, port_name, subdomain, wildcard_host
from controlplane.embedded.registry.resource import Object

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_FORBIDDEN = ("//", "/./", "/../", "%2f", "%2F")
_FORBIDDEN_ENDINGS = ("/..", "/.")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


def default_ingress(obj: Object) -> None:
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def validate_ingress(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        causes.append(invalid_value("spec", [], "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend") is not None:
        causes += _validate_backend("spec.defaultBackend", spec["defaultBackend"])
    for n, rule in enumerate(spec.get("rules") or ()):
        causes += _validate_rule(f"spec.rules[{n}]", rule)
    for n, tls in enumerate(spec.get("tls") or ()):
        causes += _validate_tls(f"spec.tls[{n}]", tls)
    name = spec.get("ingressClassName")
    if name is not None:
        causes += [invalid_value("spec.ingressClassName", name, error) for error in subdomain(name)]
    annotation = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    if old is None and annotation is not None and name is not None and annotation != name:
        detail = "must match `ingressClassName` when both are specified"
        causes.append(invalid_value(f"annotations.{CLASS_ANNOTATION}", annotation, detail))
    return causes


def validate_ingress_status(obj: Object, old: Object | None) -> list[Cause]:
    causes: list[Cause] = []
    entries = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    for n, entry in enumerate(entries):
        field = f"status.loadBalancer.ingress[{n}]"
        address, host = entry.get("ip", ""), entry.get("hostname", "")
        if address and not _is_address(address):
            causes.append(invalid_value(f"{field}.ip", address, "must be a valid IP address"))
        if host:
            causes += [invalid_value(f"{field}.hostname", host, error) for error in subdomain(host)]
            if _is_address(host):
                detail = "must be a DNS name, not an IP address"
                causes.append(invalid_value(f"{field}.hostname", host, detail))
    return causes


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _validate_rule(field: str, rule: Object) -> list[Cause]:
    causes = []
    host = rule.get("host", "")
    if host:
        causes += _validate_host(f"{field}.host", host)
    http = rule.get("http")
    if http is None:
        return causes
    paths = http.get("paths") or []
    if not paths:
        causes.append(required(f"{field}.http.paths"))
    for n, path in enumerate(paths):
        causes += _validate_path(f"{field}.http.paths[{n}]", path)
    return causes


def _validate_host(field: str, host: str) -> list[Cause]:
    if _is_address(host):
        return [invalid_value(field, host, "must be a DNS name, not an IP address")]
    check = wildcard_host if "*" in host else subdomain
    return [invalid_value(field, host, error) for error in check(host)]


def _validate_path(field: str, entry: Object) -> list[Cause]:
    causes = []
    kind = entry.get("pathType")
    path = entry.get("path", "")
    if not kind:
        return [required(f"{field}.pathType", "pathType must be specified")]
    if kind == "ImplementationSpecific":
        if path and not path.startswith("/"):
            causes.append(invalid_value(f"{field}.path", path, "must be an absolute path"))
    elif kind in PATH_TYPES:
        causes += _validate_strict_path(f"{field}.path", path)
    else:
        causes.append(not_supported(f"{field}.pathType", kind, PATH_TYPES))
    return causes + _validate_backend(f"{field}.backend", entry.get("backend") or {})


def _validate_strict_path(field: str, path: str) -> list[Cause]:
    causes = []
    if not path.startswith("/"):
        causes.append(invalid_value(field, path, "must be an absolute path"))
    causes += [invalid_value(field, path, f"must not contain '{bad}'") for bad in _FORBIDDEN if bad in path]
    causes += [
        invalid_value(field, path, f"cannot end with '{bad}'")
        for bad in _FORBIDDEN_ENDINGS
        if path.endswith(bad)
    ]
    return causes


def _validate_backend(field: str, backend: Object) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        detail = "cannot set both resource and service backends"
        return [invalid_value(field, "", detail)]
    if resource is not None:
        return _validate_resource(f"{field}.resource", resource)
    if service is None:
        return [invalid_value(field, "", "resource or service backend is required")]
    return _validate_service_backend(field, service)


def _validate_resource(field: str, resource: Object) -> list[Cause]:
    causes = [required(f"{field}.{name}") for name in ("kind", "name") if not resource.get(name)]
    group = resource.get("apiGroup")
    if group:
        causes += [invalid_value(f"{field}.apiGroup", group, error) for error in subdomain(group)]
    return causes


def _validate_service_backend(field: str, service: Object) -> list[Cause]:
    causes = []
    name = service.get("name", "")
    if not name:
        causes.append(required(f"{field}.service.name"))
    else:
        causes += [invalid_value(f"{field}.service.name", name, error) for error in dns1035(name)]
    port = service.get("port") or {}
    by_name, number = port.get("name"), port.get("number")
    if by_name and number:
        causes.append(invalid_value(field, "", "cannot set both port name & port number"))
    elif by_name:
        causes += [
            invalid_value(f"{field}.service.port.name", by_name, error) for error in port_name(by_name)
        ]
    elif number:
        causes += validate_port_number(f"{field}.service.port.number", number)
    else:
        causes.append(required(field, "port name or number is required"))
    return causes


def _validate_tls(field: str, tls: Object) -> list[Cause]:
    causes = []
    for n, host in enumerate(tls.get("hosts") or ()):
        check = wildcard_host if "*" in host else subdomain
        causes += [invalid_value(f"{field}.hosts[{n}]", host, error) for error in check(host)]
    secret = tls.get("secretName", "")
    if secret:
        causes += [invalid_value(f"{field}.secretName", secret, error) for error in subdomain(secret)]
    return causes


def default_ingress_class(obj: Object) -> None:
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def validate_ingress_class(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj.get("spec") or {}
    controller = spec.get("controller", "")
    causes: list[Cause] = []
    if old is not None and controller != (old.get("spec") or {}).get("controller", ""):
        causes.append(immutable("spec.controller", controller))
    elif len(controller) > 250:
        causes.append(
            Cause("FieldValueTooLong", "spec.controller", "Too long: may not be more than 250 bytes")
        )
    elif controller:
        causes += _validate_controller(controller)
    parameters = spec.get("parameters")
    return causes + (_validate_parameters(parameters) if parameters is not None else [])


def _validate_controller(controller: str) -> list[Cause]:
    field = "spec.controller"
    domain, slash, path = controller.partition("/")
    if not slash or not domain or not path:
        return [invalid_value(field, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    causes = [invalid_value(field, domain, error) for error in subdomain(domain)]
    if not re.fullmatch(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", path):
        detail = (
            "Invalid path, regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+' (e.g. "
            "'example/api')"
        )
        causes.append(invalid_value(field, path, detail))
    return causes


def _validate_parameters(parameters: Object) -> list[Cause]:
    field = "spec.parameters"
    causes = [
        required(f"{field}.{name}", f"{name} is required")
        for name in ("kind", "name")
        if not parameters.get(name)
    ]
    scope: Any = parameters.get("scope")
    if scope == "Namespace":
        if not parameters.get("namespace"):
            detail = "`parameters.scope` is set to 'Namespace'"
            causes.append(required(f"{field}.namespace", detail))
    elif scope == "Cluster":
        if parameters.get("namespace") is not None:
            detail = "`parameters.scope` is set to 'Cluster'"
            causes.append(forbidden_field(f"{field}.namespace", detail))
    else:
        causes.append(not_supported(f"{field}.scope", scope, ("Cluster", "Namespace")))
    return causes
