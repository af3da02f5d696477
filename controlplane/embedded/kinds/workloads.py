"""apps/v1 Deployment and ReplicaSet, core/v1 Pod: the defaults kubectl shows, and the checks it runs into."""

from __future__ import annotations

import re
from typing import Any

from controlplane.embedded.causes import (
    duplicate,
    forbidden_field,
    immutable,
    invalid_value,
    not_supported,
    required,
)
from controlplane.embedded.errors import Cause
from controlplane.embedded.kinds.service import validate_port_number
from controlplane.embedded.registry.metadata import validate_labels
from controlplane.embedded.registry.names import label
from controlplane.embedded.registry.resource import Object
from controlplane.embedded.storage.store import Store

_TERMINATION_LOG = "/dev/termination-log"
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def default_pod_spec(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        _default_container(container)
    for volume in spec.get("volumes") or ():
        for source in ("secret", "configMap", "projected", "downwardAPI"):
            if volume.get(source) is not None:
                volume[source].setdefault("defaultMode", 420)


def _default_container(container: Object) -> None:
    image = container.get("image", "")
    latest = image.endswith(":latest") or not re.search(r"[:@][^/]*$", image)
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", _TERMINATION_LOG)
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _default_probe(probe)
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")


def _default_probe(probe: Object) -> None:
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        probe.setdefault(field, value)
    get = probe.get("httpGet")
    if get is not None:
        get.setdefault("path", "/")
        get.setdefault("scheme", "HTTP")


def default_deployment(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    _default_template(spec)
    obj.setdefault("status", {})


def default_replica_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _default_template(spec)
    obj.setdefault("status", {}).setdefault("replicas", 0)


def _default_template(spec: Object) -> None:
    template = spec.get("template")
    if template is not None:
        template.setdefault("metadata", {}).setdefault("creationTimestamp", None)
        default_pod_spec(template.setdefault("spec", {}))


def default_pod(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def prepare_pod(obj: Object, old: Object | None, store: Store) -> None:
    if old is None:
        guaranteed = all(
            (c.get("resources") or {}).get("limits", {}).keys() >= {"cpu", "memory"}
            for c in obj["spec"].get("containers") or ()
        )
        bounded = any(
            (c.get("resources") or {}).get(kind)
            for c in obj["spec"].get("containers") or ()
            for kind in ("limits", "requests")
        )
        quality = "Guaranteed" if guaranteed else "Burstable" if bounded else "BestEffort"
        obj["status"] = {"phase": "Pending", "qosClass": quality}


def validate_pod(obj: Object, old: Object | None) -> list[Cause]:
    causes = validate_pod_spec("spec", obj["spec"])
    if old is not None:
        changed = {
            key
            for key in obj["spec"].keys() | old["spec"].keys()
            if obj["spec"].get(key) != old["spec"].get(key)
        }
        allowed = {
            "containers",
            "initContainers",
            "activeDeadlineSeconds",
            "tolerations",
            "nodeName",
            "terminationGracePeriodSeconds",
            "schedulingGates",
        }
        if changed - allowed:
            detail = "pod updates may not change fields other than `spec.containers[*].image`"
            causes.append(Cause("FieldValueForbidden", "spec", f"Forbidden: {detail}"))
    return causes


def validate_pod_spec(field: str, spec: Object) -> list[Cause]:
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(required(f"{field}.containers"))
    seen: set[str] = set()
    for group in ("initContainers", "containers"):
        for n, container in enumerate(spec.get(group) or ()):
            causes += _validate_container(f"{field}.{group}[{n}]", container, seen)
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        causes.append(
            not_supported(
                f"{field}.restartPolicy", spec.get("restartPolicy"), ("Always", "Never", "OnFailure")
            )
        )
    return causes


def _validate_container(field: str, container: Object, seen: set[str]) -> list[Cause]:
    name = container.get("name", "")
    causes: list[Cause] = []
    if not name:
        causes.append(required(f"{field}.name"))
    else:
        causes += [invalid_value(f"{field}.name", name, error) for error in label(name)]
        if name in seen:
            causes.append(duplicate(f"{field}.name", name))
        seen.add(name)
    image = container.get("image", "")
    if not image:
        causes.append(required(f"{field}.image"))
    elif image != image.strip():
        causes.append(invalid_value(f"{field}.image", image, "must not have leading or trailing whitespace"))
    if container.get("imagePullPolicy") not in _PULL_POLICIES:
        causes.append(
            not_supported(f"{field}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
        )
    for n, port in enumerate(container.get("ports") or ()):
        causes += validate_port_number(f"{field}.ports[{n}].containerPort", port.get("containerPort", 0))
    return causes


def validate_deployment(obj: Object, old: Object | None) -> list[Cause]:
    return _validate_strategy(obj["spec"]) + _validate_replicated(obj, old, pod_policy="Always")


def _validate_strategy(spec: Object) -> list[Cause]:
    strategy = spec.get("strategy") or {}
    rolling, field = strategy.get("rollingUpdate"), "spec.strategy.rollingUpdate"
    if rolling is None:
        return []
    if strategy.get("type") == "Recreate":
        return [forbidden_field(field, "may not be specified when strategy `type` is 'Recreate'")]
    zero = (0, "0", "0%")
    if rolling.get("maxUnavailable") in zero and rolling.get("maxSurge") in zero:
        detail = "may not be 0 when `maxSurge` is 0"
        return [invalid_value(f"{field}.maxUnavailable", rolling["maxUnavailable"], detail)]
    return []


def validate_replica_set(obj: Object, old: Object | None) -> list[Cause]:
    return _validate_replicated(obj, old, pod_policy="Always")


def _validate_replicated(obj: Object, old: Object | None, *, pod_policy: str) -> list[Cause]:
    spec = obj["spec"]
    causes = _non_negative(spec)
    selector: Any = spec.get("selector")
    template = spec.get("template")
    labels = ((template or {}).get("metadata") or {}).get("labels") or {}
    if selector is None:
        causes.append(required("spec.selector"))
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        detail = "empty selector is invalid for deployment"
        causes.append(invalid_value("spec.selector", selector, detail))
    if template is None:
        return [*causes, required("spec.template")]
    if selector is not None and not matches_selector(selector, labels):
        detail = "`selector` does not match template `labels`"
        causes.append(invalid_value("spec.template.metadata.labels", labels, detail))
    causes += validate_labels(labels, "spec.template.labels")
    causes += validate_pod_spec("spec.template.spec", template.get("spec") or {})
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        causes.append(not_supported("spec.template.spec.restartPolicy", policy, (pod_policy,)))
    if old is not None and selector != old["spec"].get("selector"):
        causes.append(immutable("spec.selector", selector))
    return causes


def _non_negative(spec: Object) -> list[Cause]:
    detail = "must be greater than or equal to 0"
    return [
        invalid_value(f"spec.{name}", spec[name], detail)
        for name in ("replicas", "minReadySeconds", "revisionHistoryLimit")
        if isinstance(spec.get(name), int) and spec[name] < 0
    ]


def matches_selector(selector: Object, labels: dict[str, str]) -> bool:
    """A metav1.LabelSelector against labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_matches(expression, labels) for expression in selector.get("matchExpressions") or ())


def _matches(expression: Object, labels: dict[str, str]) -> bool:
    value, values = labels.get(expression.get("key", "")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
    return value is None
