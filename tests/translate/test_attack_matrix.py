"""Tenant × annotation × victim: an Ingress of one namespace against the hosts of another, in both dialects.

Every annotation of the catalogue is put on an Ingress of the namespace `tenant`, with values that would do
harm, at every place where its rules could stand beside those of the namespace `victim`. What the victim
answers must be what it answers without that Ingress, and nothing of the victim may be in the tenant's routes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from controlplane.translate.annotations.registry import ROWS
from controlplane.translate.annotations.row import Annotation, Scope, Support
from controlplane.translate.builder import translate
from controlplane.translate.dialects import Dialect
from controlplane.translate.model import Facts, HostOwnership, LastGood, Tenancy, Translation
from proxy.model.snapshot import Route, Snapshot, destinations_of
from proxy.routing.table import RouteTable
from tests.support.asking import Headers, find_in
from tests.support.translation import Manifest, deployed, fleet_of, gateway, member_of

BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
ACTION = {"service": {"name": "web", "port": {"name": "use-annotation"}}}
DIALECTS = {"alb": (Dialect.ALB, 80), "mse": (Dialect.MSE, 81)}
MSE_GATEWAY: Manifest = {
    "kind": "MseIngressConfig",
    "metadata": {
        "name": "mse",
        "annotations": {
            "mse.alibabacloud.com/remote-clusters": "cluster-1,cluster-2",
            "fleetgate.io/listeners": '[{"HTTP": 81}]',
        },
    },
    "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
}

# What the victim has

HOST, WILDCARD = "a.example.com", "*.apps.example.com"
MSE = "mse.ingress.kubernetes.io/"
NGINX = "nginx.ingress.kubernetes.io/"


def ingress(
    namespace: str,
    name: str,
    rules: list[Any],
    annotations: Mapping[str, str],
    created: str,
    kind: str,
    **spec: Any,
) -> Manifest:
    return {
        "kind": "Ingress",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "annotations": dict(annotations),
            "creationTimestamp": created,
        },
        "spec": {"ingressClassName": kind, **({"rules": rules} if rules else {}), **spec},
    }


def rule(host: str, *paths: str, path_type: str = "Prefix", backend: Any = None) -> Any:
    listed = [{"path": path, "pathType": path_type, "backend": backend or BACKEND} for path in paths]
    return {**({"host": host} if host else {}), "http": {"paths": listed}}


def victim(kind: str) -> list[Manifest]:
    """Return a site with an allow list, a part with an order, a canary, a wildcard; all of 2024 and 2025."""
    order = {"alb.ingress.kubernetes.io/order": "20"} if kind == "alb" else {}
    guard = {MSE + "whitelist-source-range": "192.0.2.0/24", MSE + "affinity": "cookie"}
    canary = {NGINX + "canary": "true", NGINX + "canary-by-header": "stage"}
    return [
        ingress(
            "victim",
            "site",
            [rule(HOST, "/", "/api")],
            guard if kind == "mse" else {},
            "2024-01-01T00:00:00Z",
            kind,
        ),
        ingress("victim", "part", [rule(HOST, "/part")], order, "2025-01-01T00:00:00Z", kind),
        ingress("victim", "canary", [rule(HOST, "/")], canary, "2025-01-01T00:00:00Z", kind),
        ingress("victim", "apps", [rule(WILDCARD, "/")], {}, "2024-01-01T00:00:00Z", kind),
    ]


@dataclass(frozen=True)
class Probe:
    host: str
    path: str
    stage: str = ""
    method: str = "GET"
    client: str = "192.0.2.9"


ANSWERED = [
    Probe(host, path, stage, method, client)
    for host, paths in (
        (HOST, ("/", "/x", "/api", "/api/x", "/part/y")),
        ("x.apps.example.com", ("/", "/api")),
    )
    for path in paths
    for stage in ("", "always")
    for method in ("GET", "POST")
    for client in ("192.0.2.9", "203.0.113.9")
]
"""Requests that the victim's rules take."""

# Where the tenant's rules stand

PLACES: dict[str, Any] = {
    "the same host and path": [rule(HOST, "/")],
    "the same host and path, exactly": [rule(WILDCARD, "/"), rule(HOST, "/api")],
    "an unused path": [rule(HOST, "/unused")],
    "a longer path": [rule(HOST, "/api/x")],
    "an exact path": [rule(HOST, "/api", path_type="Exact")],
    "a pattern": [rule(HOST, "/x*", path_type="ImplementationSpecific")],
    "a pattern for everything": [rule(HOST, "/*", "/?*", path_type="ImplementationSpecific")],
    "a pattern for what has a rule": [rule(HOST, "/api*", path_type="ImplementationSpecific")],
    "no host": [rule("", "/", "/api")],
    "a wildcard above": [rule("*.example.com", "/", "/api/x")],
    "a host below the wildcard": [rule("x.apps.example.com", "/")],
    "a host of its own": [rule("tenant.example.net", "/")],
    "a host of its own, by an action": [rule("tenant.example.net", "/", backend=ACTION)],
    "the default backend": None,
}
TAKING = {"a longer path", "an exact path", "a pattern", "a host below the wildcard"}
"""By default these take requests, and both sides are told."""

# What its annotations say: the example of each, and what would do more harm

OTHERS = "web.victim.svc.cluster.local:80"
HARMFUL: dict[str, tuple[str, ...]] = {
    "order": ("1",),
    "albconfig.order": ("1",),
    "server-alias": (f"{HOST},{WILDCARD},x.apps.example.com",),
    "destination": (OTHERS, f"50% {OTHERS}\n50% web.tenant.svc.cluster.local:80"),
    "default-backend": ("victim/web",),
    "fallback-service": (OTHERS,),
    "mirror-target-service": ("victim/web:80",),
    "canary-weight": ("100",),
    "canary-by-header-pattern": (".*",),
    "domain-whitelist-source-range": ("198.51.100.0/24",),
    "domain-blacklist-source-range": ("0.0.0.0/0", "192.0.2.0/24"),
    "whitelist-source-range": ("198.51.100.0/24",),
    "match-method": ("GET POST PUT DELETE",),
    "app-root": ("/stolen",),
    "permanent-redirect": ("http://tenant.example.net/",),
    "healthcheck-path": ("/stop",),
    "conditions.*": (
        json.dumps([{"type": "Host", "hostConfig": {"values": [HOST, "x.apps.example.com"]}}]),
        json.dumps([{"type": "Host", "hostConfig": {"values": ["*.example.com", "?.example.com"]}}]),
        json.dumps([{"type": "Path", "pathConfig": {"values": ["/*", "/api*"]}}]),
        json.dumps([{"type": "Method", "methodConfig": {"values": ["GET", "POST"]}}]),
        json.dumps([{"type": "SourceIp", "sourceIpConfig": {"values": ["0.0.0.0/0"]}}]),
    ),
    "actions.*": (
        json.dumps([{"type": "FixedResponse", "fixedResponseConfig": {"httpCode": "503", "content": "x"}}]),
        json.dumps(
            [
                {
                    "type": "ForwardGroup",
                    "forwardConfig": {"serverGroups": [{"serviceName": "victim/web", "servicePort": 80}]},
                }
            ]
        ),
        json.dumps(
            [
                {
                    "type": "ForwardGroup",
                    "forwardConfig": {"serverGroups": [{"serverGroupID": "victim-group", "weight": 100}]},
                }
            ]
        ),
    ),
}
CANARY = {NGINX + "canary": "true", NGINX + "canary-weight": "100"}
NEEDS: dict[str, dict[str, str]] = {
    "canary": {NGINX + "canary": "true"},
    "custom-http-errors": {NGINX + "default-backend": "victim/web"},
    "healthcheck": {"alb.ingress.kubernetes.io/healthcheck-enabled": "true"},
}
"""What else must be there for an annotation to do something, by how its name begins."""


def suffix_of(row: Annotation) -> str:
    return {"cluster-weight.*": "cluster-1"}.get(row.name, "web")


def annotations_of(row: Annotation) -> Iterator[dict[str, str]]:
    key = row.keys[0].replace("*", suffix_of(row))
    others: dict[str, str] = {}
    for beginning, wanted in NEEDS.items():
        if row.name.startswith(beginning):
            others |= wanted
    for value in dict.fromkeys((row.example, *HARMFUL.get(row.name, ()))):
        yield {**others, key: value}


def translated(kind: str, ownership: HostOwnership, *more: Manifest) -> Translation:
    members = {
        f"cluster-{number}": member_of(
            f"cluster-{number}", deployed({"victim/web": 1, "tenant/web": 1}, f"10.0.{number}")
        )
        for number in (1, 2)
    }
    group = {
        "kind": "ServerGroup",
        "metadata": {"namespace": "victim", "name": "victim-group"},
        "spec": {"id": "victim-group", "servers": [{"address": "10.1.1.1", "port": 80}]},
    }
    fleet = fleet_of([*gateway(80), MSE_GATEWAY, group, *victim(kind), *more])
    facts = Facts("192.0.2.1", frozenset(members), tenancy=Tenancy(ownership))
    return translate(fleet, members, facts, LastGood(), 1)


def table_for(translation: Translation) -> RouteTable[Route]:
    table: RouteTable[Route] = RouteTable(lambda route: route, owned=translation.snapshot.hosts_owned)
    for route in translation.snapshot.routes:
        table.add(route)
    return table


def taken(table: RouteTable[Route], port: int, probe: Probe) -> Route | None:
    headers = Headers(stage=probe.stage) if probe.stage else Headers()
    found: Route | None = find_in(
        table, port, probe.host, probe.path, headers, method=probe.method, client=probe.client
    )
    return found


@cache
def alone(kind: str, ownership: HostOwnership) -> tuple[Translation, dict[Probe, Route | None]]:
    translation = translated(kind, ownership)
    table = table_for(translation)
    return translation, {probe: taken(table, DIALECTS[kind][1], probe) for probe in ANSWERED}


def tenant(kind: str, place: str, annotations: Mapping[str, str]) -> Manifest:
    rules = PLACES[place]
    spec = {} if rules is not None else {"defaultBackend": BACKEND}
    name = place.replace(" ", "-").replace(",", "")
    if (kind, place) == ("mse", "a pattern"):
        rules = [rule(HOST, "/x", path_type="ImplementationSpecific")]
        annotations = {MSE + "use-regex": "true", **annotations}
    return ingress("tenant", name, rules or [], annotations, "2026-01-01T00:00:00Z", kind, **spec)


def rows(kind: str) -> list[Annotation]:
    dialect = DIALECTS[kind][0]
    return [row for row in ROWS if row.scope is Scope.INGRESS and row.dialect in (None, dialect)]


CELLS = [(kind, row) for kind in DIALECTS for row in rows(kind)]
HARMLESS = [place for place in PLACES if place not in TAKING]


@pytest.mark.parametrize(("kind", "row"), CELLS, ids=[f"{kind}-{row.name}" for kind, row in CELLS])
def test_no_annotation_reaches_another_namespace(kind: str, row: Annotation) -> None:
    """The places from which nothing is taken anyway are tried together, which is more than one by one."""
    for annotations in annotations_of(row):
        check(kind, HostOwnership.NAMESPACE, [*PLACES], annotations)
        if row.support in (Support.WORKS, Support.APPROXIMATED):
            check(kind, HostOwnership.NAMESPACE, [*PLACES], {**CANARY, **annotations})
            check(kind, HostOwnership.SHARED, HARMLESS, {**CANARY, **annotations})
            for place in TAKING:
                check(kind, HostOwnership.SHARED, [place], annotations)
        check(kind, HostOwnership.SHARED, HARMLESS, annotations)


def check(kind: str, ownership: HostOwnership, places: list[str], annotations: Mapping[str, str]) -> None:
    cell = (ownership.value, places, annotations)
    before, wanted = alone(kind, ownership)
    after = translated(kind, ownership, *(tenant(kind, place, annotations) for place in places))
    table = table_for(after)
    moved = {probe for probe in ANSWERED if taken(table, DIALECTS[kind][1], probe) != wanted[probe]}
    if ownership is HostOwnership.NAMESPACE or not may_take(places, annotations):
        assert not moved, cell
    elif moved:
        told = {(item.code, item.namespace) for item in after.diagnostics}
        assert {("FG0713", "tenant"), ("FG0714", "victim")} <= told, cell
    reaches_nothing(before.snapshot, after.snapshot, cell)


def reaches_nothing(before: Snapshot, after: Snapshot, cell: object) -> None:
    """Nothing of the victim is read, copied, asked or configured by the tenant."""
    services = {service.id: service for service in after.services}
    for service in before.services:
        assert services.get(service.id) == service, cell
    for route in after.routes:
        if route.source.namespace == "tenant":
            for name, _ in destinations_of(route):
                assert not name.removeprefix("servergroup:").startswith("victim/"), cell
    assert [each for each in after.routes if each.source.namespace == "victim"] == list(before.routes), cell
    for name in ("listeners", "clusters", "limits", "trusted_proxies"):
        assert getattr(after, name) == getattr(before, name), cell


def may_take(places: list[str], annotations: Mapping[str, str]) -> bool:
    """Say whether rules there are more specific than the victim's: by place, or by what annotations add."""
    says_more = ("conditions.",)
    return places[0] in TAKING or any(word in key for key in annotations for word in says_more)


@pytest.mark.parametrize("kind", DIALECTS)
def test_an_ingress_at_a_place_that_takes_does_take_and_is_told(kind: str) -> None:
    """The matrix would hold if no route ever matched."""
    for place in TAKING:
        after = translated(kind, HostOwnership.SHARED, tenant(kind, place, {}))
        table, wanted = table_for(after), alone(kind, HostOwnership.SHARED)[1]
        moved = {probe for probe in ANSWERED if taken(table, DIALECTS[kind][1], probe) != wanted[probe]}
        assert moved, place
        told = {(item.code, item.namespace) for item in after.diagnostics}
        assert {("FG0713", "tenant"), ("FG0714", "victim")} <= told, place


@pytest.mark.parametrize("kind", DIALECTS)
@pytest.mark.parametrize("place", PLACES)
def test_an_owned_host_answers_nothing_for_others(kind: str, place: str) -> None:
    """Also what the victim does not answer is not the tenant's: cookies and passwords come along."""
    manifests = [each for each in victim(kind) if each["metadata"]["name"] != "canary"]
    for each in manifests:
        each["spec"]["rules"] = [rule(HOST, "/only"), rule(WILDCARD, "/only")]
    fleet = fleet_of([*gateway(80), MSE_GATEWAY, *manifests, tenant(kind, place, {})])
    facts = Facts("192.0.2.1", frozenset({"cluster-1"}), tenancy=Tenancy(HostOwnership.NAMESPACE))
    table = table_for(translate(fleet, {}, facts, LastGood(), 1))
    for host in (HOST, "x.apps.example.com"):
        for path in ("/", "/unused", "/api/x", "/x"):
            assert taken(table, DIALECTS[kind][1], Probe(host, path)) is None
        found = taken(table, DIALECTS[kind][1], Probe(host, "/only"))
        assert found is not None
        assert found.source.namespace == "victim"
