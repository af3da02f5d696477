"""What the translation accepts works: a worker compiles all of it, and requests pass through it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.translate.annotations.row import Annotation
from controlplane.translate.builder import translate
from controlplane.translate.dialects import Dialect
from controlplane.translate.model import Facts, LastGood, Translation
from proxy.model.actions import Redirect
from proxy.model.codec import decode_snapshot, encode_snapshot
from tests.support import annotated
from tests.support.planned import planned, requests, send
from tests.support.translation import Manifest, deployed, fleet_of, gateway, member_of

MSE_GATEWAY: Manifest = {
    "kind": "MseIngressConfig",
    "metadata": {
        "name": "mse",
        "annotations": {
            "mse.alibabacloud.com/remote-clusters": "cluster-1",
            "fleetgate.io/listeners": '[{"HTTP": 81}]',
        },
    },
    "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
}
CLASSES = {Dialect.ALB: "alb", Dialect.MSE: "mse"}
PATHS = st.sampled_from(["/", "/api", "/a/(.*)", "/v([0-9]+)/(.*)", "~/a(b|c)*", "/a*", "/a?c", "/(a|b"])
TYPES = st.sampled_from(["Prefix", "Exact", "ImplementationSpecific"])


def ingress(
    name: str, dialect: Dialect, annotations: dict[str, str], *paths: tuple[str, str], port: Any = None
) -> Manifest:
    backend = {"service": {"name": "web", "port": port or {"number": 80}}}
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "demo", "name": name, "annotations": annotations},
        "spec": {
            "ingressClassName": CLASSES[dialect],
            "rules": [
                {
                    "host": "shop.example.com",
                    "http": {
                        "paths": [
                            {"path": path, "pathType": kind, "backend": backend}
                            for path, kind in paths or (("/", "Prefix"),)
                        ]
                    },
                }
            ],
        },
    }


def translated(*manifests: Manifest, last_good: LastGood | None = None) -> Translation:
    members = {"cluster-1": member_of("cluster-1", deployed({"demo/web": 1}, "10.0.1"))}
    facts = Facts("192.0.2.1", frozenset({"cluster-1", "cluster-2"}))
    fleet = fleet_of([*gateway(80), MSE_GATEWAY, *manifests])
    return translate(fleet, members, facts, last_good or LastGood(), 1)


def check(translation: Translation) -> None:
    """Compile all of it as a worker does, and send requests through every route."""
    snapshot = translation.snapshot
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot
    table, plans = planned(snapshot)
    for plan, route in zip(plans, snapshot.routes, strict=True):
        for asked in requests(route.host.replace("*", "w"), route.ports[0]):
            send(table, plan, asked)


ACTION_PORT = {"name": "use-annotation"}
CASES = [
    pytest.param(dialect, row, id=f"{dialect}-{row.name}")
    for dialect, rows in annotated.ROWS.items()
    for row in rows
]


@pytest.mark.parametrize(("dialect", "row"), CASES)
def test_each_annotation_by_itself(dialect: Dialect, row: Annotation) -> None:
    @settings(max_examples=400 if row.name in ("actions.*", "conditions.*") else 12)
    @given(annotated.of_row(row), PATHS, TYPES, st.booleans())
    def run(annotations: dict[str, str], path: str, kind: str, has_port: bool) -> None:
        port = None if has_port else ACTION_PORT
        check(translated(ingress("web", dialect, annotations, (path, kind), port=port)))

    run()


@pytest.mark.parametrize("dialect", list(Dialect))
@settings(max_examples=150)
@given(data=st.data())
def test_several_annotations_beside_a_base(dialect: Dialect, data: st.DataObject) -> None:
    annotations = data.draw(annotated.annotations(dialect))
    base = data.draw(annotated.annotations(dialect, 2))
    path = (data.draw(PATHS), data.draw(TYPES))
    port = data.draw(st.sampled_from([None, ACTION_PORT]))
    check(
        translated(
            ingress("web", dialect, annotations, path, port=port),
            ingress("base", dialect, base, path, port=port),
        )
    )


ALB, MSE = "alb.ingress.kubernetes.io/", "mse.ingress.kubernetes.io/"


def action(kind: str, **config: Any) -> dict[str, str]:
    return {ALB + "actions.web": json.dumps([{"type": kind, f"{kind}Config": config}])}


GOOD = action("InsertHeader", key="X-Source", value="alb")
UNUSABLE = [
    # Values that only the worker refused, one after the other with 500 to every request
    (action("Redirect", host="#{host}"), "RedirectConfig.host", "#{host}"),
    (action("Redirect", host="a_b/c"), "RedirectConfig.host", "a_b/c"),
    (action("Redirect", host="${path}"), "RedirectConfig.host", "${path}"),
    (action("Redirect", host="a.example:70000"), "RedirectConfig.host", "a.example:70000"),
    (action("Redirect", host="a.example:81", port="82"), "RedirectConfig.port", "82"),
    (action("Rewrite", Host="a b"), "RewriteConfig.Host", "a b"),
    (action("Rewrite", Host="#{host}"), "RewriteConfig.Host", "#{host}"),
    (action("Rewrite", Path="/../a"), "RewriteConfig.Path", "/../a"),
    (action("Rewrite", Path="/a%00"), "RewriteConfig.Path", "/a%00"),
    (action("Cors", AllowHeaders=["X Custom"]), "CorsConfig.AllowHeaders", "X Custom"),
    (action("Cors", AllowMethods=["GET\r\nX: y"]), "CorsConfig.AllowMethods", "GET X: y"),
    (action("Cors", ExposeHeaders=["a:b"]), "CorsConfig.ExposeHeaders", "a:b"),
    (action("Cors", AllowOrigin=["https://a b"]), "CorsConfig.AllowOrigin", "https://a b"),
    (action("InsertHeader", key="X_Source", value="a"), "InsertHeaderConfig.key", "X_Source"),
    (action("InsertHeader", key="Connection", value="a"), "InsertHeaderConfig.key", "Connection"),
    (
        action("InsertHeader", key="X-A", value="x_b", valueType="ReferenceHeader"),
        "InsertHeaderConfig.value",
        "x_b",
    ),
    (
        action("InsertHeader", key="X-A", value=[], valueType="SystemDefined"),
        "InsertHeaderConfig.value",
        "[]",
    ),
    (action("RemoveHeader", key="Transfer-Encoding"), "RemoveHeaderConfig.key", "Transfer-Encoding"),
    (action("RemoveHeader", key="X_Source"), "RemoveHeaderConfig.key", "X_Source"),
    ({MSE + "permanent-redirect": f"https://{'a' * 300}$request_uri"}, "permanent-redirect", None),
    ({MSE + "rewrite-path": "/../b"}, "rewrite-path", "/../b"),
    ({MSE + "rewrite-target": "/../b/$1"}, "rewrite-target", "/../b/$1"),
    ({ALB + "rewrite-target": "/a/../../b"}, "rewrite-target", "/a/../../b"),
]


@pytest.mark.parametrize(("annotations", "field", "value"), UNUSABLE)
def test_a_value_no_worker_could_use_is_a_finding(
    annotations: dict[str, str], field: str, value: str | None
) -> None:
    """With its field, its value, the allowed form and a fix; the last good version stays live."""
    dialect = Dialect.ALB if next(iter(annotations)).startswith(ALB) else Dialect.MSE
    port = ACTION_PORT if "RedirectConfig" in field else None
    neighbour = ingress("neighbour", dialect, {})
    before = translated(ingress("web", dialect, GOOD if dialect is Dialect.ALB else {}), neighbour)
    edited = translated(
        ingress("web", dialect, annotations, port=port), neighbour, last_good=before.last_good
    )
    (finding,) = [item for item in edited.diagnostics if item.level == "error"]
    assert (finding.kind, finding.name) == ("Ingress", "web")
    assert field in finding.field
    assert value is None or finding.value == value
    assert finding.allowed
    assert finding.fix
    assert "the last good version stays live" in finding.message
    assert edited.snapshot.routes == before.snapshot.routes
    check(edited)


def test_a_port_with_spaces_or_zeros_is_that_port() -> None:
    translation = translated(
        ingress("web", Dialect.ALB, action("Redirect", host="a.example", port=" 0081 "), port=ACTION_PORT)
    )
    check(translation)
    (route,) = translation.snapshot.routes
    assert isinstance(route.action, Redirect)
    assert route.action.port == "81"
