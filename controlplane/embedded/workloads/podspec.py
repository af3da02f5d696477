"""The parts of a pod that the controllers read: environment, ports, probe, life cycle."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from controlplane.embedded.workloads.apiclient import Object

PORTS_ANNOTATION = "fleetgate.io/demo-ports"
"""Set by the node when a pod does not listen on its container ports: "8080=40123,9090=40124"."""

FINALIZER = "fleetgate.io/pod-process"
"""Keeps a deleted pod in the API until its process has ended."""

DEFAULT_PORT = 8080
MIN_PRE_STOP_S = 1.0
"""A pod goes on serving for this long after it was marked terminating, even without a preStop sleep."""

DEFAULT_GRACE_S = 30


class Probe(msgspec.Struct, frozen=True):
    """A readiness probe; the defaults are kubelet's."""

    path: str = "/healthz"
    period_s: float = 10.0
    timeout_s: float = 1.0
    failures: int = 3


def container(pod: Object) -> Object:
    """Return the first container: the one that serves."""
    containers: list[Object] = pod["spec"].get("containers") or [{}]
    return containers[0]


def environment(pod: Object) -> dict[str, str]:
    return {
        str(variable["name"]): str(variable.get("value") or "").replace("\0", "")
        for variable in container(pod).get("env") or []
    }


def container_ports(pod: Object) -> list[Object]:
    """Return the TCP ports of the serving container; the image's own when it declares none."""
    declared = container(pod).get("ports") or []
    tcp = [port for port in declared if port.get("protocol", "TCP") == "TCP"]
    return tcp or [{"containerPort": DEFAULT_PORT}]


def actual_ports(pod: Object) -> dict[int, int]:
    """Return where each container port really listens."""
    ports = {int(port["containerPort"]): int(port["containerPort"]) for port in container_ports(pod)}
    text = (pod["metadata"].get("annotations") or {}).get(PORTS_ANNOTATION, "")
    for pair in text.split(",") if text else ():
        declared, _, real = pair.partition("=")
        ports[int(declared)] = int(real)
    return ports


def readiness_probe(pod: Object) -> Probe:
    spec = container(pod).get("readinessProbe") or {}
    default = Probe()
    return Probe(
        path=str((spec.get("httpGet") or {}).get("path") or default.path),
        period_s=float(spec.get("periodSeconds") or default.period_s),
        timeout_s=float(spec.get("timeoutSeconds") or default.timeout_s),
        failures=int(spec.get("failureThreshold") or default.failures),
    )


def pre_stop_s(pod: Object) -> float:
    """Return how long to wait between marking a pod as terminating and SIGTERM (KEP-3960 sleep)."""
    hook: dict[str, Any] = (container(pod).get("lifecycle") or {}).get("preStop") or {}
    return max(MIN_PRE_STOP_S, float((hook.get("sleep") or {}).get("seconds") or 0))


def grace_s(pod: Object) -> float:
    chosen = pod["metadata"].get("deletionGracePeriodSeconds")
    return float(chosen or pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_S))


def is_terminating(item: Object) -> bool:
    return "deletionTimestamp" in item["metadata"]


def is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def now() -> str:
    """Return the current time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
