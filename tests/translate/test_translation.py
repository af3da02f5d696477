"""Properties of the translation as a whole: deterministic, isolated, with a memory of good versions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlplane.resources.kinds import INGRESSES
from controlplane.resources.view import FleetObjects
from controlplane.translate import usable
from controlplane.translate.annotations.effective_shares import KEY as SHARES_KEY
from controlplane.translate.builder import translate
from controlplane.translate.model import Facts, LastGood
from proxy.model.actions import Forward
from proxy.model.codec import encode_snapshot
from proxy.model.snapshot import PathMatch
from proxy.validation.problem import Problem
from tests.support.translation import Manifest, deployed, fleet_of, gateway, member_of, run_case

ALB = "alb.ingress.kubernetes.io/"
FACTS = Facts("192.0.2.1", frozenset({"cluster-1", "cluster-2"}))
MEMBERS = {
    "cluster-1": member_of("cluster-1", deployed({"a/s": 2}, "10.0.1")),
    "cluster-2": member_of("cluster-2", deployed({"a/s": 3}, "10.0.2")),
}


def ingress(name: str, annotations: dict[str, str] | None = None, **metadata: Any) -> Manifest:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "a", "name": name, "annotations": annotations or {}, **metadata},
        "spec": {
            "ingressClassName": "alb",
            "rules": [{"host": f"{name}.example.com", "http": {"paths": [path]}}],
        },
    }


def test_equal_objects_in_any_order_give_equal_bytes() -> None:
    case = Path(__file__).parent / "cases" / "failover.yaml"
    manifests = yaml.safe_load(case.read_text().partition("\n--- ")[0])["fleet"]
    facts = Facts("192.0.2.1", frozenset({"cluster-3", "cluster-2", "cluster-1"}))
    one = translate(fleet_of(manifests), MEMBERS, facts, LastGood(), 1)
    reordered = dict(reversed(MEMBERS.items()))
    other = translate(fleet_of(reversed(manifests)), reordered, facts, LastGood(), 1)
    assert encode_snapshot(one.snapshot) == encode_snapshot(other.snapshot)
    assert (one.diagnostics, one.statuses) == (other.diagnostics, other.statuses)


@given(
    st.dictionaries(
        st.sampled_from(
            ["order", "listen-ports", "cluster-weight.cluster-1", "conditions.s", "actions.s", "x"]
        ),
        st.text() | st.sampled_from(["1", "100", '[{"HTTP":80}]']),
    ),
    st.text(),
    st.text(),
)
def test_whatever_one_ingress_says_another_keeps_its_routes(
    annotations: dict[str, str], host: str, path: str
) -> None:
    neighbour = ingress("neighbour")
    odd = ingress("odd", {ALB + key: value for key, value in annotations.items()})
    odd["spec"]["rules"][0]["host"] = host
    odd["spec"]["rules"][0]["http"]["paths"][0]["path"] = path
    alone = translate(fleet_of([*gateway(80), neighbour]), MEMBERS, FACTS, LastGood(), 1)
    together = translate(fleet_of([*gateway(80), neighbour, odd]), MEMBERS, FACTS, LastGood(), 1)
    kept = [route for route in together.snapshot.routes if route.source.name == "neighbour"]
    assert kept == list(alone.snapshot.routes)


def test_the_memory_survives_its_way_to_disk_and_back() -> None:
    good, bad = ingress("web"), ingress("web", {ALB + "order": "no"})
    first = translate(fleet_of([*gateway(80), good]), MEMBERS, FACTS, LastGood(), 1)
    memory = msgspec.json.decode(msgspec.json.encode(first.last_good), type=LastGood)
    second = translate(fleet_of([*gateway(80), bad]), MEMBERS, FACTS, memory, 2)
    assert second.snapshot.routes == first.snapshot.routes
    assert second.last_good == first.last_good


def test_a_deleted_ingress_is_forgotten() -> None:
    first = translate(fleet_of([*gateway(80), ingress("web")]), MEMBERS, FACTS, LastGood(), 1)
    gone = translate(fleet_of(gateway(80)), MEMBERS, FACTS, first.last_good, 2)
    assert gone.last_good.ingresses == {}
    again = ingress("web", {ALB + "order": "no"}, uid="Ingress/a/web")
    assert translate(fleet_of([*gateway(80), again]), MEMBERS, FACTS, gone.last_good, 3).snapshot.routes == ()


def test_an_ingress_that_leaves_our_class_is_forgotten_but_one_whose_class_is_missing_is_not() -> None:
    first = translate(fleet_of([*gateway(80), ingress("web")]), MEMBERS, FACTS, LastGood(), 1)
    moved = ingress("web")
    moved["spec"]["ingressClassName"] = "nginx"
    nginx = {
        "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    }
    left = translate(fleet_of([*gateway(80), nginx, moved]), MEMBERS, FACTS, first.last_good, 2)
    assert (left.snapshot.routes, left.last_good.ingresses, left.diagnostics) == ((), {}, ())
    missing = translate(fleet_of([*gateway(80), moved]), MEMBERS, FACTS, first.last_good, 2)
    assert missing.snapshot.routes == ()
    assert missing.last_good.ingresses == first.last_good.ingresses


def test_the_last_good_version_keeps_its_own_class() -> None:
    first = translate(fleet_of([*gateway(80), ingress("web")]), MEMBERS, FACTS, LastGood(), 1)
    edited = ingress("web", {ALB + "order": "no", ALB + "albconfig.name": "elsewhere"})
    second = translate(fleet_of([*gateway(80), edited]), MEMBERS, FACTS, first.last_good, 2)
    assert second.snapshot.routes == first.snapshot.routes


def test_a_cluster_that_is_attached_to_one_gateway_serves_no_route_of_another() -> None:
    other = json.loads(
        json.dumps(gateway(81)).replace("ackone-gateway-demo", "other").replace('"alb"', '"other"')
    )
    other[0]["metadata"]["annotations"][ALB + "remote-clusters"] = "cluster-2"
    second = ingress("second")
    second["spec"]["ingressClassName"] = "other"
    result = translate(
        fleet_of([*gateway(80), *other, ingress("first"), second]), MEMBERS, FACTS, LastGood(), 1
    )
    shares = {
        route.source.name: [share.cluster for share in route.action.split.shares]
        for route in result.snapshot.routes
        if isinstance(route.action, Forward)
    }
    assert shares == {"first": ["cluster-1", "cluster-2"], "second": ["cluster-2"]}
    assert result.attached == {"cluster-1", "cluster-2"}


def test_no_objects_give_an_empty_snapshot() -> None:
    result = translate(FleetObjects(), {}, Facts(), LastGood(), 7)
    assert (result.snapshot.version, result.snapshot.routes, result.diagnostics) == (7, (), ())


def test_an_ingress_without_uid_is_remembered_by_name() -> None:
    manifest = ingress("web")
    fleet = fleet_of([*gateway(80), manifest])
    view = fleet.ingresses["a/web"]
    anonymous = msgspec.structs.replace(view, metadata=msgspec.structs.replace(view.metadata, uid=""))
    assert isinstance(anonymous, INGRESSES.type)
    fleet = FleetObjects({"a/web": anonymous}, fleet.ingress_classes, fleet.albconfigs)
    assert list(translate(fleet, MEMBERS, FACTS, LastGood(), 1).last_good.ingresses) == ["a/web"]


def test_a_route_no_worker_could_use_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever check was forgotten: one bad rule must not cost all others their new version."""

    def refuse(path: PathMatch) -> Iterator[Problem]:
        if path.value == "/bad":
            yield Problem("path", path.value, "cannot be", "another path")

    monkeypatch.setattr(usable, "of_path_match", refuse)
    translation = run_case(
        {
            "gateway": {"port": 80},
            "fleet": [web_ingress("/bad"), web_ingress("/good")],
            "members": {"cluster-1": {"pods": {"a/s": 1}}},
        }
    )
    assert [route.path.value for route in translation.snapshot.routes] == ["/good"]
    (found,) = [item for item in translation.diagnostics if item.level == "error"]
    assert (found.code, found.field, found.value, found.allowed) == (
        "FG0310", "spec.rules[0].http.paths[0]", "/bad", "another path",
    )  # fmt: skip


def web_ingress(path: str) -> dict[str, Any]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    rule = {"http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "a", "name": path[1:]},
        "spec": {"ingressClassName": "alb", "rules": [rule]},
    }


def test_a_copied_annotation_of_the_gateway_itself_changes_nothing_and_is_told() -> None:
    text = '{"a/s:80":{"cluster-1":{"configured":50,"effective":0,"reason":"breaker_open"}}}'
    plain = translate(fleet_of([*gateway(80), ingress("web")]), MEMBERS, FACTS, LastGood(), 1)
    copied = translate(
        fleet_of([*gateway(80), ingress("web", {SHARES_KEY: text})]), MEMBERS, FACTS, LastGood(), 1
    )
    assert encode_snapshot(copied.snapshot) == encode_snapshot(plain.snapshot)
    assert copied.statuses == plain.statuses
    (finding,) = set(copied.diagnostics) - set(plain.diagnostics)
    assert (finding.code, finding.level, SHARES_KEY in finding.field) == ("FG0204", "info", True)
    assert "the gateway writes it" in finding.message
