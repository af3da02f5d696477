"""Canaries: which requests, in what order, in what proportion, and where to when nobody is there."""

from collections.abc import Mapping
from typing import Any

import pytest

from proxy.model.actions import Backend, Destination, Forward, Redirect, Share, Split, SplitMode
from proxy.model.conditions import Condition, CookieCondition, HeaderCondition, QueryCondition, TextKind
from proxy.model.policies import HeaderOperation
from proxy.model.snapshot import Route
from proxy.routing.patterns import MAX_PROGRAM, compile_regex
from proxy.routing.rank import rank
from tests.support.mse import drafted, ingress, nginx, routed

EXACT = TextKind.EXACT
ON = {"canary": "true"}
EVEN = Split(SplitMode.ENDPOINTS, (Share("c1"), Share("c2")))
IN_C2 = Split(SplitMode.WEIGHTS, (Share("c1"), Share("c2", 100)))


def forwarded(route: Route) -> Forward:
    assert isinstance(route.action, Forward)
    return route.action


@pytest.mark.parametrize(
    ("annotations", "condition"),
    [
        ({"by-header": "Stage"}, HeaderCondition("stage", ("always",), EXACT)),
        ({"by-header": "s", "by-header-value": "v"}, HeaderCondition("s", ("v", "always"), EXACT)),
        ({"by-header": "s", "by-header-value": "always"}, HeaderCondition("s", ("always",), EXACT)),
        (
            {"by-header": "s", "by-header-pattern": "a|b"},
            HeaderCondition("s", (".*(?:a|b).*",), TextKind.REGEX),
        ),
        ({"by-query": "Q"}, QueryCondition((("Q", "always"),), EXACT)),
        ({"by-query": "q", "by-query-value": "ä b"}, QueryCondition((("q", "ä b"), ("q", "always")), EXACT)),
        ({"by-query": "q", "by-query-pattern": "^a"}, QueryCondition((("q", ".*(?:^a).*"),), TextKind.REGEX)),
        ({"by-cookie": "C"}, CookieCondition((("C", "always"),), EXACT)),
        ({"by-cookie": "c", "by-cookie-value": "1"}, CookieCondition((("c", "1"), ("c", "always")), EXACT)),
    ],
)
def test_conditions(annotations: Mapping[str, str], condition: Condition) -> None:
    written = {f"canary-{name}": value for name, value in annotations.items()}
    for spelled in (written, nginx(written)):
        draft, found = drafted({**ON, **spelled})
        assert draft.canary is not None
        assert (draft.canary.condition, found) == (condition, [])


@pytest.mark.parametrize(
    ("annotations", "field", "allowed"),
    [
        ({"canary": "yes"}, "canary", "true, false"),
        ({**ON, "canary-by-header": "a b"}, "canary-by-header", "letters, digits"),
        ({**ON, "canary-by-header": ""}, "canary-by-header", "letters, digits"),
        (
            {**ON, "canary-by-header": "s", "canary-by-header-value": ""},
            "canary-by-header-value",
            "1 to 4096",
        ),
        ({**ON, "canary-by-header": "s", "canary-by-header-pattern": "("}, "canary-by-header-pattern", "RE2"),
        ({**ON, "canary-by-header": "s", "canary-by-header-pattern": r"(?=a)"}, "-by-header-pattern", "RE2"),
        ({**ON, "canary-by-query": "a b"}, "canary-by-query", "query parameter"),
        ({**ON, "canary-by-query": "q", "canary-by-query-pattern": "*"}, "canary-by-query-pattern", "RE2"),
        ({**ON, "canary-by-cookie": "a;b"}, "canary-by-cookie", "cookie"),
        ({**ON, "canary-weight": "-1"}, "canary-weight", "0 to canary-weight-total"),
        ({**ON, "canary-weight": "101"}, "canary-weight", "0 to canary-weight-total"),
        ({**ON, "canary-weight": "ten"}, "canary-weight", "0 to canary-weight-total"),
        ({**ON, "canary-weight": "11", "canary-weight-total": "10"}, "canary-weight", "canary-weight-total"),
        ({**ON, "canary-weight": "1", "canary-weight-total": "0"}, "canary-weight-total", "1 to 1000000"),
    ],
)
def test_values_that_cannot_be_used(annotations: Mapping[str, str], field: str, allowed: str) -> None:
    _, (finding,) = drafted(annotations)
    assert finding.level == "error"
    assert field in finding.field
    assert allowed in finding.allowed


def test_one_annotation_decides_and_the_others_are_told() -> None:
    written = {
        **ON,
        "canary-by-header": "s",
        "canary-by-header-value": "v",
        "canary-by-cookie": "c",
        "canary-weight": "10",
    }
    draft, found = drafted(written)
    assert draft.canary is not None
    assert draft.canary.condition == HeaderCondition("s", ("v", "always"), EXACT)
    assert [item.code for item in found] == ["FG0232", "FG0232"]
    assert all("canary-by-header alone decides" in item.message for item in found)


def test_without_canary_the_others_say_nothing() -> None:
    draft, found = drafted({"canary": "false", "canary-weight": "10"})
    assert draft.canary is None
    assert [item.code for item in found] == ["FG0204"]


def test_a_value_that_looks_like_an_expression_is_told() -> None:
    _, (finding,) = drafted({**ON, "canary-by-header": "s", "canary-by-header-value": "a|b"})
    assert finding.code == "FG0202"


def test_canaries_go_before_their_base_in_a_fixed_order() -> None:
    kinds = {
        "m-weight": {"canary-weight": "10"},
        "l-cookie": {"canary-by-cookie": "c"},
        "k-query": {"canary-by-query": "q"},
        "j-always": {"canary-by-header": "s"},
        "i-pattern": {"canary-by-header": "s", "canary-by-header-pattern": "v.*"},
        "h-value": {"canary-by-header": "s", "canary-by-header-value": "v"},
    }
    canaries = [
        ingress(name, {**ON, **kind}, service="next", created=f"2026-01-0{number}T00:00:00Z")
        for number, (name, kind) in enumerate(kinds.items(), start=2)
    ]
    routes, found = routed(ingress("base"), *canaries)
    ranked = [route.source.name for route in sorted(routes.values(), key=rank)]
    assert ranked == ["h-value", "i-pattern", "j-always", "k-query", "l-cookie", "base"]
    assert [(b.service, b.weight) for b in forwarded(routes["base"]).backends] == [
        ("demo/web:80", 90),
        ("demo/next:80", 10),
    ]
    assert found == []


def test_a_weighted_canary_is_a_backend_of_its_base_and_falls_back_to_it() -> None:
    routes, found = routed(ingress("base"), ingress("canary", {**ON, "canary-weight": "10"}, service="next"))
    action = forwarded(routes["base"])
    assert action.split == EVEN
    assert action.backends == (
        Backend("demo/web:80", 90),
        Backend("demo/next:80", 10, fallbacks=(Destination("demo/web:80"),)),
    )
    assert (list(routes), found) == (["base"], [])


def test_a_weighted_canary_keeps_its_own_clusters() -> None:
    pinned = {"service-subset": "two", "subset-labels": "topology.istio.io/cluster c2"}
    routes, found = routed(ingress("base"), ingress("canary", {**ON, **pinned, "canary-weight": "10"}))
    assert forwarded(routes["base"]).backends == (
        Backend("demo/web:80", 90),
        Backend("demo/web:80", 10, split=IN_C2),  # c1 is in its split: nothing else to fall back to
    )
    assert found == []


def test_several_weights_share_the_total() -> None:
    routes, found = routed(
        ingress("base"),
        ingress("one", {**ON, "canary-weight": "300", "canary-weight-total": "1000"}, service="next"),
        ingress("two", {**ON, "canary-weight": "700", "canary-weight-total": "1000"}, service="third"),
    )
    weights = [(backend.service, backend.weight) for backend in forwarded(routes["base"]).backends]
    assert weights == [("demo/web:80", 0), ("demo/next:80", 300), ("demo/third:80", 700)]
    assert found == []


def test_weights_above_the_total_cost_the_youngest_canary_its_part() -> None:
    routes, (finding,) = routed(
        ingress("base"),
        ingress("young", {**ON, "canary-weight": "60"}, service="next", created="2026-03-01T00:00:00Z"),
        ingress("old", {**ON, "canary-weight": "50"}, service="third", created="2026-02-01T00:00:00Z"),
    )
    weights = [(backend.service, backend.weight) for backend in forwarded(routes["base"]).backends]
    assert weights == [("demo/web:80", 50), ("demo/third:80", 50)]
    assert (finding.code, finding.name, finding.value) == ("FG0704", "young", "60")
    assert "110 of 100" in finding.message


def test_another_total_than_the_oldest_says_is_told() -> None:
    _, (finding,) = routed(
        ingress("base"),
        ingress("old", {**ON, "canary-weight": "1", "canary-weight-total": "10"}, service="third"),
        ingress("young", {**ON, "canary-weight": "2", "canary-weight-total": "20"}, service="next"),
    )
    assert (finding.code, finding.name) == ("FG0202", "young")


def test_a_header_canary_copies_its_base_but_for_changes_of_headers() -> None:
    base = {"timeout": "7", "request-header-control-update": "a base"}
    own = {**ON, "canary-by-header": "s", "request-header-control-update": "a canary"}
    routes, found = routed(ingress("base", base), ingress("canary", own, service="next"))
    canary = routes["canary"]
    assert canary.policies is not None
    assert canary.policies.response_timeout_s == 7.0
    assert [(c.operation, c.value) for c in canary.policies.request_headers] == [
        (HeaderOperation.SET, "canary")
    ]
    assert forwarded(canary).backends == (Backend("demo/next:80", fallbacks=(Destination("demo/web:80"),)),)
    assert found == []


def test_other_policies_of_a_canary_have_no_effect_and_that_is_told() -> None:
    own = {**ON, "canary-by-header": "s", "timeout": "9"}
    routes, (finding,) = routed(ingress("base", {"timeout": "7"}), ingress("canary", own, service="next"))
    policies = routes["canary"].policies
    assert policies is not None
    assert policies.response_timeout_s == 7.0
    assert (finding.code, finding.name) == ("FG0204", "canary")


def test_a_canary_that_may_not_leave_its_cluster_does_not_fall_back_out_of_it() -> None:
    pinned = {"subset-labels": "topology.istio.io/cluster c2", "fleetgate.io/failover": "none"}
    routes, _ = routed(
        ingress("base"), ingress("canary", {**ON, **pinned, "canary-by-header": "s"}, service="next")
    )
    action = forwarded(routes["canary"])
    assert action.split == Split(SplitMode.WEIGHTS, (Share("c2", 100),), failover=False)
    only_c2 = Split(SplitMode.ENDPOINTS, (Share("c2"),))
    assert action.backends == (Backend("demo/next:80", fallbacks=(Destination("demo/web:80", only_c2),)),)


@pytest.mark.parametrize("other", [{"host": "other.example.com"}, {"path": "/x"}, {"path_type": "Exact"}])
def test_a_canary_without_base_routes_nothing_and_says_so(other: dict[str, Any]) -> None:
    canary = ingress("canary", {**ON, "canary-by-header": "s"}, service="next")
    routes, (finding,) = routed(ingress("base", **other), canary)
    assert list(routes) == ["base"]
    assert (finding.code, finding.field) == ("FG0702", "spec.rules[0].http.paths[0]")


def test_a_canary_is_no_base() -> None:
    one = ingress("one", {**ON, "canary-by-header": "s"})
    two = ingress("two", {**ON, "canary-weight": "10"})
    routes, found = routed(one, two)
    assert routes == {}
    assert [item.code for item in found] == ["FG0702", "FG0702"]


def test_a_canary_that_nothing_chooses_gets_nothing() -> None:
    routes, (finding,) = routed(ingress("base"), ingress("canary", ON, service="next"))
    assert forwarded(routes["base"]).backends == (Backend("demo/web:80", 100),)
    assert finding.code == "FG0204"


def test_a_canary_has_the_conditions_of_its_base_too() -> None:
    match = {"match-method": "GET"}
    base, canary = ingress("base", match), ingress("canary", {**ON, **match, "canary-by-header": "s"})
    routes, found = routed(base, canary)
    assert routes["canary"].conditions == (
        *routes["base"].conditions,
        HeaderCondition("s", ("always",), EXACT),
    )
    _, (other,) = routed(ingress("base"), canary)
    assert (found, other.code) == ([], "FG0702")


@pytest.mark.parametrize("kind", [{"canary-by-header": "s"}, {"canary-weight": "10"}])
def test_there_is_nothing_to_divide_where_the_base_or_the_canary_redirects(kind: dict[str, str]) -> None:
    redirect = {"temporal-redirect": "https://example.org/"}
    routes, (finding,) = routed(ingress("base", redirect), ingress("canary", {**ON, **kind}))
    assert (list(routes), finding.code, finding.name) == (["base"], "FG0703", "canary")


def test_a_canary_by_header_may_redirect_and_one_by_weight_may_not() -> None:
    redirect = {**ON, "temporal-redirect": "https://example.org/"}
    routes, found = routed(ingress("base"), ingress("canary", {**redirect, "canary-by-header": "s"}))
    assert routes["canary"].action == Redirect(302, location="https://example.org/")
    assert found == []
    routes, (finding,) = routed(ingress("base"), ingress("canary", {**redirect, "canary-weight": "10"}))
    assert finding.code == "FG0703"
    assert [(b.service, b.weight) for b in forwarded(routes["base"]).backends] == [("demo/web:80", 100)]


def test_parts_of_several_destinations_are_exact() -> None:
    several = "33% web.demo.svc:80\n67% third.demo.svc:80"
    routes, _ = routed(
        ingress("base", {"destination": several}),
        ingress("canary", {**ON, "canary-weight": "10"}, service="next"),
    )
    backends = forwarded(routes["base"]).backends
    total = sum(backend.weight for backend in backends)
    assert [backend.weight / total for backend in backends] == [0.297, 0.603, 0.1]


def test_an_expression_that_is_too_long_with_what_goes_around_it() -> None:
    compiled: Any = compile_regex("a" * 10)  # RE2 says how large it is
    size = compiled.programsize - 10
    longest = "a" * (MAX_PROGRAM - size)
    compile_regex(longest)
    _, (finding,) = drafted({**ON, "canary-by-header": "s", "canary-by-header-pattern": longest})
    assert (finding.code, finding.level) == ("FG0201", "error")
