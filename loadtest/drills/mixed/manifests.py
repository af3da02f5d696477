"""A case as objects of the Fleet and its two clusters."""

import json
from collections.abc import Mapping
from typing import Any, Final

from loadtest.drills.mixed.cases import Case, Split
from loadtest.drills.mixed.schedule import KEY, PIN
from loadtest.drills.site import CLUSTERS, SURVIVOR
from loadtest.kit.site import HOST, PREFIX

Json = dict[str, Any]
Address = tuple[str, int]

NAMESPACE: Final = "mixed"
SERVICE: Final = "web"
GROUP: Final = "sgp-mixed"
NAME: Final = "pods.mixed.test"
"""RFC 6761: no DNS server knows it; the gateway has a hosts file of its own."""
_ALB: Final = "alb.ingress.kubernetes.io/"
_NGINX: Final = "nginx.ingress.kubernetes.io/"
WEIGHTS: Final = {Split.PREFERRED: (100, 0), Split.HALVES: (50, 50), Split.PINNED: (0, 100)}


def is_mse(case: Case) -> bool:
    """Hashes and algorithms are annotations of the MSE dialect."""
    return case.split in (Split.HASHED, Split.LEAST_CONN)


def fleet(case: Case, port: int, endpoints: Mapping[str, list[Address]]) -> list[Json]:
    gateway = _mse_gateway(port) if is_mse(case) else _alb_gateway(case, port)
    named = [_server_group(endpoints)] if case.is_named else []
    return [_namespace(), *gateway, *named, _ingress(case)]


def member(endpoints: list[Address]) -> list[Json]:
    """Each pod is a slice of its own: pods that share an address differ in their port."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": NAMESPACE, "name": SERVICE},
        "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    }
    return [_namespace(), service, *(endpoint_slice(each) for each in endpoints)]


def endpoint_slice(where: Address) -> Json:
    address, port = where
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": NAMESPACE,
            "name": f"{SERVICE}-{port}",
            "labels": {"kubernetes.io/service-name": SERVICE},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }


def _server_group(endpoints: Mapping[str, list[Address]]) -> Json:
    """Zones stand for clusters; the server of the first one has a name."""
    servers = [
        {"address": NAME if cluster == SURVIVOR else address, "port": port, "zone": cluster}
        for cluster in CLUSTERS
        for address, port in endpoints[cluster]
    ]
    return {
        "apiVersion": "fleetgate.io/v1",
        "kind": "ServerGroup",
        "metadata": {"namespace": NAMESPACE, "name": GROUP},
        "spec": {"id": GROUP, "servers": servers, "failover": list(CLUSTERS)},
    }


def _namespace() -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def _alb_gateway(case: Case, port: int) -> list[Json]:
    listener = {"port": port, "protocol": "HTTP", "requestTimeout": case.response_timeout_s}
    config = {
        "apiVersion": "alibabacloud.com/v1",
        "kind": "AlbConfig",
        "metadata": {"name": "mixed", "annotations": {f"{_ALB}remote-clusters": ",".join(CLUSTERS)}},
        "spec": {"config": {"name": "mixed"}, "listeners": [listener]},
    }
    return [config, _class("alibabacloud.com", "AlbConfig", "ingress.k8s.alibabacloud/alb")]


def _mse_gateway(port: int) -> list[Json]:
    config = {
        "apiVersion": "mse.alibabacloud.com/v1alpha1",
        "kind": "MseIngressConfig",
        "metadata": {
            "name": "mixed",
            "annotations": {
                "mse.alibabacloud.com/remote-clusters": ",".join(CLUSTERS),
                "fleetgate.io/listeners": f'[{{"HTTP": {port}}}]',
            },
        },
        "spec": {"ingress": {"local": {"ingressClass": "mixed"}}, "name": "mixed"},
    }
    return [config, _class("mse.alibabacloud.com", "MseIngressConfig", "mse.alibabacloud.com/ingress")]


def _class(group: str, kind: str, controller: str) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "mixed"},
        "spec": {
            "controller": controller,
            "parameters": {"apiGroup": group, "kind": kind, "name": "mixed"},
        },
    }


def _ingress(case: Case) -> Json:
    backend: Json = {"service": {"name": SERVICE, "port": {"number": 80}}}
    if case.is_named:
        backend = {"service": {"name": "group", "port": {"name": "use-annotation"}}}
    path = {"path": PREFIX, "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": NAMESPACE, "name": "web", "annotations": _annotations(case)},
        "spec": {"ingressClassName": "mixed", "rules": [{"host": HOST, "http": {"paths": [path]}}]},
    }


def _annotations(case: Case) -> dict[str, str]:
    found = dict(case.annotations)
    if case.is_named:
        group = {"ServerGroupID": GROUP, "Weight": 100}
        action = {"type": "ForwardGroup", "ForwardConfig": {"ServerGroups": [group]}}
        return found | {f"{_ALB}actions.group": json.dumps([action])}
    for cluster, weight in zip(CLUSTERS, WEIGHTS.get(case.split, ()), strict=False):
        found[f"{_ALB}cluster-weight.{cluster}"] = str(weight)
    if case.split is Split.PINNED:
        key, value = PIN
        found[f"{_ALB}conditions.{SERVICE}"] = (
            f'[{{"type": "Header", "headerConfig": {{"key": "{key}", "values": ["{value}"]}}}}]'
        )
    if case.split is Split.HASHED:
        found[f"{_NGINX}upstream-hash-by"] = f"$http_{KEY.replace('-', '_')}"
    if case.split is Split.LEAST_CONN:
        found[f"{_NGINX}load-balance"] = "least_conn"
    if case.split is Split.STICKY:
        found[f"{_ALB}sticky-session"] = "true"
    return found
