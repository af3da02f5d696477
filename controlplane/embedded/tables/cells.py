"""How the cells of builtin kinds read their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controlplane.embedded.registry.resource import Object
from controlplane.embedded.tables.duration import age

_SHOWN_ADDRESSES = 3


def path(*names: str, default: Any = None) -> Callable[[Object], Any]:
    """Reads a nested field."""

    def read(obj: Object) -> Any:
        value: Any = obj
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return default if value is None else value

    return read


def count(*names: str) -> Callable[[Object], Any]:
    """The number of entries of one or several top-level maps or lists."""
    return lambda obj: sum(len(obj.get(name) or ()) for name in names)


def selector_text(labels: Any) -> str:
    """A label map or a LabelSelector on one line."""
    if not labels:
        return "<none>"
    if "matchLabels" not in labels and "matchExpressions" not in labels:
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    parts = [f"{key}={value}" for key, value in sorted((labels.get("matchLabels") or {}).items())]
    for expression in labels.get("matchExpressions") or ():
        key, operator = expression["key"], expression["operator"]
        values = ",".join(sorted(expression.get("values") or ()))
        form = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(form.get(operator, f"!{key}"))
    return ",".join(parts) or "<none>"


def _containers(obj: Object) -> list[Object]:
    spec = obj.get("spec") or {}
    return ((spec.get("template") or {}).get("spec") or {}).get("containers") or []


def container_names(obj: Object) -> str:
    return ",".join(container.get("name", "") for container in _containers(obj))


def container_images(obj: Object) -> str:
    return ",".join(container.get("image", "") for container in _containers(obj))


def pod_ready(obj: Object) -> str:
    statuses = (obj.get("status") or {}).get("containerStatuses") or ()
    total = len((obj.get("spec") or {}).get("containers") or ())
    return f"{sum(bool(status.get('ready')) for status in statuses)}/{total}"


def pod_restarts(obj: Object) -> str:
    statuses = (obj.get("status") or {}).get("containerStatuses") or ()
    return str(sum(status.get("restartCount", 0) for status in statuses))


def pod_status(obj: Object) -> str:
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    shown = status.get("reason") or status.get("phase") or "Unknown"
    for container in reversed(status.get("containerStatuses") or ()):
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            shown = waiting["reason"]
        elif ended:
            shown = ended.get("reason") or (
                f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"
            )
    return str(shown)


def service_ports(obj: Object) -> str:
    parts = []
    for port in (obj.get("spec") or {}).get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(parts) or "<none>"


def load_balancer(obj: Object) -> str:
    points = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(point.get("ip") or point.get("hostname") or "" for point in points)


def external_address(obj: Object) -> str:
    spec = obj.get("spec") or {}
    given = ",".join(spec.get("externalIPs") or ())
    match spec.get("type"):
        case "LoadBalancer":
            both = ",".join(part for part in (load_balancer(obj), given) if part)
            return both or "<pending>"
        case "ExternalName":
            return spec.get("externalName") or "<none>"
    return given or "<none>"


def ingress_class(obj: Object) -> str:
    annotation = (obj["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class")
    return (obj.get("spec") or {}).get("ingressClassName") or annotation or "<none>"


def hosts(obj: Object) -> str:
    listed = [rule["host"] for rule in (obj.get("spec") or {}).get("rules") or () if rule.get("host")]
    if not listed:
        return "*"
    more = f" + {len(listed) - 3} more..." if len(listed) > 3 else ""
    return ",".join(listed[:3]) + more


def endpoint_addresses(obj: Object) -> str:
    parts: list[str] = []
    for subset in obj.get("subsets") or ():
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        ports = [port["port"] for port in subset.get("ports") or ()]
        parts += [f"{address}:{port}" for port in ports for address in addresses] if ports else addresses
    return _shortened(parts, "<none>")


def slice_addresses(obj: Object) -> str:
    listed = [
        address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()
    ]
    return _shortened(listed, "<unset>")


def slice_ports(obj: Object) -> str:
    ports = [str(port["port"]) for port in obj.get("ports") or () if port.get("port")]
    return _shortened(ports, "<unset>")


def _shortened(parts: list[str], nothing: str) -> str:
    if not parts:
        return nothing
    more = f" + {len(parts) - _SHOWN_ADDRESSES} more..." if len(parts) > _SHOWN_ADDRESSES else ""
    return ",".join(parts[:_SHOWN_ADDRESSES]) + more


def event_seen(obj: Object) -> str:
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime")
    return age(last or obj["metadata"].get("creationTimestamp"))


def first_seen(obj: Object) -> str:
    return age(obj.get("firstTimestamp") or obj.get("eventTime"))


def event_object(obj: Object) -> str:
    involved = obj.get("involvedObject") or {}
    kind, name = involved.get("kind", "").lower(), involved.get("name", "")
    return f"{kind}/{name}" if kind and name else name or kind


def event_source(obj: Object) -> str:
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or ""
    host = source.get("host") or ""
    return f"{component}, {host}" if host else component


def node_status(obj: Object) -> str:
    ready = next((c for c in (obj.get("status") or {}).get("conditions") or () if c["type"] == "Ready"), None)
    shown = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    return f"{shown},SchedulingDisabled" if (obj.get("spec") or {}).get("unschedulable") else shown


def node_roles(obj: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def node_address(kind: str) -> Callable[[Object], str]:
    def read(obj: Object) -> str:
        addresses = (obj.get("status") or {}).get("addresses") or ()
        return next((entry["address"] for entry in addresses if entry["type"] == kind), "<none>")

    return read


def subjects(kind: str) -> Callable[[Object], str]:
    def read(obj: Object) -> str:
        listed = [subject for subject in obj.get("subjects") or () if subject.get("kind") == kind]
        return ", ".join(
            f"{subject.get('namespace', '')}/{subject['name']}"
            if kind == "ServiceAccount"
            else subject["name"]
            for subject in listed
        )

    return read
