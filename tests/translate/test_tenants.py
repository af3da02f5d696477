"""What Ingresses of one namespace may do to those of another, in translation."""

import json
from typing import Any

import msgspec
import pytest

from controlplane.translate.builder import translate
from controlplane.translate.model import CrossNamespace, Facts, LastGood, Tenancy, Translation
from proxy.model.actions import Forward
from proxy.model.policies import Access
from proxy.model.snapshot import Route
from tests.support.asking import find_in
from tests.support.tables import table_of
from tests.support.translation import Manifest, deployed, fleet_of, gateway, member_of
from tests.translate.test_attack_matrix import MSE, MSE_GATEWAY, NGINX, ingress, rule

OLD, YOUNG = "2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
HOST = "a.example.com"
ALLOWING = Tenancy(cross_namespace=CrossNamespace.ALLOW)
CANARY = {NGINX + "canary": "true", NGINX + "canary-weight": "30"}


def translated(*manifests: Manifest, **facts: Any) -> Translation:
    pods = {"a/web": 1, "a/other": 1, "b/web": 1}
    members = {"cluster-1": member_of("cluster-1", deployed(pods, "10.0.1"))}
    known = Facts("192.0.2.1", frozenset(members))
    fleet = fleet_of([*gateway(80), MSE_GATEWAY, *manifests])
    return translate(fleet, members, msgspec.structs.replace(known, **facts), LastGood(), 1)


def site(namespace: str, **annotations: str) -> Manifest:
    said = {key.replace("_", "-"): value for key, value in annotations.items()}
    host = HOST if namespace == "a" else f"{namespace}.example.com"
    created = OLD if namespace == "a" else YOUNG
    said = {MSE + key: value for key, value in said.items()}
    return ingress(namespace, "web", [rule(host, "/")], said, created, "mse")


def grant(*to: dict[str, str], source: str = "b", **metadata: str) -> Manifest:
    sources = [{"group": "networking.k8s.io", "kind": "Ingress", "namespace": source}]
    return {
        "kind": "ReferenceGrant",
        "metadata": {"namespace": "a", "name": "b-may", **metadata},
        "spec": {"from": sources, "to": list(to)},
    }


SERVICES = {"group": "", "kind": "Service"}
INGRESSES = {"group": "networking.k8s.io", "kind": "Ingress"}
REFERENCES = {
    "destination": "web.a.svc.cluster.local:80",
    "default_backend": "a/web",
    "fallback_service": "web.a.svc.cluster.local:80",
    "mirror_target_service": "a/web",
}


def reached(translation: Translation) -> set[str]:
    """Return the services of the namespace a in the snapshot, when it has no Ingress."""
    return {each.id for each in translation.snapshot.services if each.id.startswith("a/")}


def codes(translation: Translation, namespace: str) -> list[str]:
    levels = ("error", "warning")
    return sorted(
        item.code
        for item in translation.diagnostics
        if item.namespace == namespace and item.level in levels and item.kind == "Ingress"
    )


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(
    ("given", "is_allowed"),
    [
        ([], False),
        ([grant(SERVICES)], True),
        ([grant({**SERVICES, "name": "web"})], True),
        ([grant({**SERVICES, "name": "other"})], False),
        ([grant(INGRESSES)], False),
        ([grant(SERVICES, source="c")], False),
        ([grant(SERVICES, deletionTimestamp=YOUNG)], False),
    ],
    ids=["none", "all", "by name", "another name", "another kind", "another namespace", "going"],
)
def test_a_service_elsewhere_needs_a_grant(name: str, given: list[Manifest], is_allowed: bool) -> None:
    translation = translated(site("b", **{name: REFERENCES[name]}), *given)
    assert bool(reached(translation)) == is_allowed
    assert ("FG0631" in codes(translation, "b")) == (not is_allowed)


@pytest.mark.parametrize("name", REFERENCES)
def test_without_any_grant_the_gateway_may_allow_it(name: str) -> None:
    manifest = site("b", **{name: REFERENCES[name]})
    assert reached(translated(manifest, tenancy=ALLOWING))


def test_why_there_are_no_grants_is_said() -> None:
    manifest = site("b", **{"default_backend": "a/web"})
    found = translated(manifest, no_grants="the Fleet does not serve them").diagnostics
    (item,) = [each for each in found if each.code == "FG0631"]
    assert "no ReferenceGrant allows this reference (the Fleet does not serve them)" in item.message


def test_a_gateway_that_watches_a_namespace_reaches_no_other_whatever_is_granted() -> None:
    limited = json.loads(json.dumps(MSE_GATEWAY))
    limited["metadata"]["name"] = "limited"
    limited["metadata"]["annotations"]["fleetgate.io/listeners"] = '[{"HTTP": 82}]'
    limited["spec"]["ingress"]["local"] = {"ingressClass": "limited", "watchNamespace": "b"}
    manifest = site("b", destination="web.a.svc.cluster.local:80")
    manifest["spec"]["ingressClassName"] = "limited"
    for facts in ({}, {"tenancy": ALLOWING}):
        translation = translated(limited, manifest, grant(SERVICES), **facts)
        assert not reached(translation)
        assert codes(translation, "b") == ["FG0632"]


def test_a_reference_that_is_refused_leaves_the_rest_of_the_rule() -> None:
    parts = "50% web.a.svc.cluster.local:80\n50% web.b.svc.cluster.local:80"
    (route,) = translated(site("b", destination=parts)).snapshot.routes
    assert isinstance(route.action, Forward)
    refused, own = route.action.backends
    assert (own.service, own.weight, refused.weight) == ("b/web:80", 50, 50)
    assert not refused.service.startswith("a/")


def test_a_grant_that_goes_takes_its_reference_along() -> None:
    """It is not a value of the Ingress that has become unusable: no last good version stays live."""
    manifest = site("b", destination="web.a.svc.cluster.local:80")
    before = translated(manifest, grant(SERVICES))
    assert reached(before)
    pods = {"a/web": 1, "b/web": 1}
    members = {"cluster-1": member_of("cluster-1", deployed(pods, "10.0.1"))}
    fleet = fleet_of([*gateway(80), MSE_GATEWAY, manifest])
    after = translate(fleet, members, Facts(known_clusters=frozenset(members)), before.last_good, 2)
    assert not reached(after)


def canary_of(namespace: str) -> Manifest:
    return ingress(namespace, "canary", [rule(HOST, "/")], CANARY, YOUNG, "mse")


def weights(translation: Translation) -> dict[str, int]:
    routes = [route for route in translation.snapshot.routes if route.host == HOST]
    found: dict[str, int] = {}
    for route in routes:
        assert isinstance(route.action, Forward)
        found |= {backend.service: backend.weight for backend in route.action.backends}
    return found


def test_a_canary_elsewhere_needs_a_grant() -> None:
    refused = translated(site("a"), canary_of("b"))
    assert weights(refused).keys() == {"a/web:80"}
    assert codes(refused, "b") == ["FG0711"]
    for to in (INGRESSES, {**INGRESSES, "name": "web"}):
        joined = translated(site("a"), canary_of("b"), grant(to))
        assert weights(joined).keys() == {"a/web:80", "b/web:80"}
        assert codes(joined, "b") == []
    assert weights(translated(site("a"), canary_of("b"), grant({**INGRESSES, "name": "x"}))).keys() == {
        "a/web:80"
    }
    assert codes(translated(site("a"), canary_of("a")), "a") == []


def test_a_canary_joins_the_base_of_its_own_namespace_first() -> None:
    """Though another one is older, and has granted it."""
    own = ingress("b", "base", [rule(HOST, "/")], {}, YOUNG, "mse")
    translation = translated(site("a"), own, canary_of("b"), grant(INGRESSES))
    by_source = {route.source.name: route for route in translation.snapshot.routes}
    base = by_source["web"].action
    assert isinstance(base, Forward)
    assert [backend.service for backend in base.backends] == ["a/web:80"]


def test_a_canary_that_was_let_in_passes_no_guard_of_its_base() -> None:
    guarded = site("a", domain_whitelist_source_range="10.0.0.0/8")
    by_header = {NGINX + "canary": "true", NGINX + "canary-by-header": "stage"}
    canary = ingress("b", "canary", [rule(HOST, "/")], by_header, YOUNG, "mse")
    translation = translated(guarded, canary, grant(INGRESSES))
    (route,) = [each for each in translation.snapshot.routes if each.source.namespace == "b"]
    assert route.tenant == "a"
    assert route.policies is not None
    assert route.policies.access == Access(allow=("10.0.0.0/8",))


def test_a_guard_holds_for_the_rules_of_its_namespace() -> None:
    hostile = ingress(
        "b",
        "guard",
        [rule(HOST, "/unused")],
        {MSE + "domain-whitelist-source-range": "192.0.2.1"},
        OLD,
        "mse",
    )
    hostile["metadata"]["creationTimestamp"] = "2000-01-01T00:00:00Z"
    own = site("a", domain_blacklist_source_range="198.51.100.0/24")
    routes: dict[str, Route] = {
        route.source.name: route for route in translated(own, hostile).snapshot.routes
    }
    assert routes["web"].policies is not None
    assert routes["web"].policies.access == Access(deny=("198.51.100.0/24",))
    assert routes["guard"].policies is not None
    assert routes["guard"].policies.access == Access(allow=("192.0.2.1/32",))


def test_a_health_check_is_made_for_services_of_its_namespace_only() -> None:
    checked = site("b", destination="web.a.svc.cluster.local:80")
    checked["metadata"]["annotations"] |= {
        "alb.ingress.kubernetes.io/healthcheck-enabled": "true",
        "alb.ingress.kubernetes.io/healthcheck-path": "/stop",
    }
    for service in translated(checked, grant(SERVICES)).snapshot.services:
        assert service.health is None


def test_equal_rules_come_in_the_order_in_which_they_are_written() -> None:
    """As numbers: the eleventh is no earlier than the second."""
    patterns = [rule(HOST, f"/{letter}.*", path_type="ImplementationSpecific") for letter in "abcdefghijkl"]
    patterns[2] = rule(HOST, "/[xy]*", path_type="ImplementationSpecific")
    patterns[11] = rule(HOST, "/[xz]*", path_type="ImplementationSpecific")
    said = {MSE + "use-regex": "true"}
    translation = translated(ingress("a", "web", patterns, said, OLD, "mse"))
    taken = find_in(table_of(translation.snapshot.routes), 81, HOST, "/xxx")
    assert taken.startswith("a/web/a.example.com/[xy]*")


@pytest.mark.parametrize("path", ["/.*", "/(x|.*)(padding)?"])
def test_an_expression_takes_no_more_of_a_host_than_what_it_begins_with(path: str) -> None:
    hostile = ingress("b", "web", [rule(HOST, path)], {NGINX + "use-regex": "true"}, YOUNG, "mse")
    translation = translated(site("a"), hostile)
    for asked in ("/", "/x", "/x/y"):
        assert taker(translation, asked) == "a"
    told = {(each.namespace, each.code) for each in translation.diagnostics}
    assert {("a", "FG0713"), ("b", "FG0714")} <= told


def test_an_expression_with_a_beginning_takes_that_and_both_are_told() -> None:
    hostile = ingress("b", "web", [rule(HOST, "/pay(/|$)(.*)")], {NGINX + "use-regex": "true"}, YOUNG, "mse")
    translation = translated(site("a"), hostile)
    assert [taker(translation, asked) for asked in ("/", "/pay", "/pay/x", "/x")] == ["a", "b", "b", "a"]
    told = {(each.namespace, each.code) for each in translation.diagnostics}
    assert {("b", "FG0713"), ("a", "FG0714")} <= told


def test_app_root_redirects_hosts_of_its_own_namespace_only() -> None:
    said = {NGINX + "app-root": "/shop"}
    rules = [rule(HOST, "/shop"), rule("b.example.com", "/shop")]
    translation = translated(site("a"), ingress("b", "web", rules, said, YOUNG, "mse"))
    assert (taker(translation, "/"), taker(translation, "/shop")) == ("a", "b")
    assert taker(translation, "/", "b.example.com") == "b"
    (refused,) = [each for each in translation.diagnostics if each.code == "FG0717"]
    assert (refused.namespace, refused.value) == ("b", HOST)
    assert refused.field == f"metadata.annotations[{NGINX}app-root]"


def taker(translation: Translation, path: str, host: str = HOST) -> str | None:
    """Return the namespace of the rule that takes a request."""
    table = table_of(list(translation.snapshot.routes))
    found = find_in(table, 81, host, path)
    return found.partition("/")[0] if found is not None else None
