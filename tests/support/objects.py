"""Kubernetes objects as the API server stores them, in one line each."""

from typing import Any

Json = dict[str, Any]


def service(name: str, namespace: str = "demo", port: int = 80, **meta: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": namespace, **meta},
        "spec": {"ports": [{"name": "http", "port": port}]},
    }


def endpoint_slice(name: str, *addresses: str, service: str = "web", namespace: str = "demo") -> Json:
    labels = {"kubernetes.io/service-name": service}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def ingress(name: str, namespace: str = "demo", generation: int = 1, **extra: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": namespace, "generation": generation},
        "spec": {"ingressClassName": "alb"},
        **extra,
    }
