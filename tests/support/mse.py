"""Ingresses of the MSE dialect, translated without their gateway object."""

import json
from collections.abc import Mapping
from typing import Any

from controlplane.resources.decode import decode
from controlplane.resources.ingress import Ingress
from controlplane.resources.kinds import INGRESSES
from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.families import apply_all
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import MSE, NGINX
from controlplane.translate.canaries import join_canaries
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.endpoints import ServiceResolver
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.hostaccess import guard_hosts
from controlplane.translate.ingresses import plan_ingress
from controlplane.translate.live import Outcome
from controlplane.translate.routes import Binding, bind_routes
from controlplane.translate.servergroups import ServerGroups
from proxy.model.snapshot import Listener, Route, Source
from tests.support.translation import deployed, member_of

_SUBJECT = Subject("MseIngressConfig", "", "mse")
_CLUSTERS = ("c1", "c2")
_RESOLVER = ServiceResolver(
    {
        cluster: member_of(
            cluster, deployed({"demo/web": 2, "demo/next": 1, "demo/third": 1}, f"10.0.{number}")
        )
        for number, cluster in enumerate(_CLUSTERS, start=1)
    },
    _CLUSTERS,
)
_GATEWAY = LiveGateway(
    Dialect.MSE,
    _SUBJECT,
    (Listener(80, Source("MseIngressConfig", "", "mse")),),
    _CLUSTERS,
    Findings(_SUBJECT),
)


def spelled(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return annotations by key; names without prefix get that of MSE."""
    return {name if "/" in name else MSE + name: value for name, value in annotations.items()}


def nginx(annotations: Mapping[str, str]) -> dict[str, str]:
    return {NGINX + name: value for name, value in annotations.items()}


def drafted(annotations: Mapping[str, str]) -> tuple[Draft, list[Diagnostic]]:
    """Apply every family to annotations, names without prefix being MSE's."""
    findings = Findings(Subject("Ingress", "demo", "web"))
    draft = Draft("demo")
    apply_all(Reader(spelled(annotations), Dialect.MSE, findings), draft)
    return draft, findings.items


def ingress(
    name: str,
    annotations: Mapping[str, str] | None = None,
    *,
    service: str = "web",
    host: str = "example.com",
    path: str = "/",
    path_type: str = "Prefix",
    created: str = "2026-01-01T00:00:00Z",
) -> Ingress:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    manifest: dict[str, Any] = {
        "metadata": {
            "namespace": "demo",
            "name": name,
            "annotations": spelled(annotations or {}),
            "creationTimestamp": created,
        },
        "spec": {
            "rules": [
                {"host": host, "http": {"paths": [{"path": path, "pathType": path_type, "backend": backend}]}}
            ]
        },
    }
    view = decode(INGRESSES, json.dumps(manifest).encode())
    assert isinstance(view, Ingress)
    return view


def routed(*ingresses: Ingress) -> tuple[dict[str, Route], list[Diagnostic]]:
    """Return the routes by the name of their Ingress, which has one rule, and all findings."""
    outcomes: list[Outcome] = []
    for one in ingresses:
        findings = Findings(Subject.of("Ingress", one.metadata))
        plan = plan_ingress(one, Dialect.MSE, findings)
        routes = bind_routes(plan, Binding(_GATEWAY, _RESOLVER, ServerGroups(), findings))
        outcomes.append(Outcome(findings, True, None, routes, plan))
    routes = guard_hosts(outcomes, join_canaries(outcomes).routes)
    joined = {route.source.name: route for route in routes}
    return joined, [item for outcome in outcomes for item in outcome.findings.items]
